"""A first start without a model: the daemon, without network, starts the unit, reports its progress, and then works."""

import re
from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.login import UNIT, Login, login, samples
from tests.support.login.user_manager import ROOT
from tests.support.models.hub import CATALOG, MODEL, Corrupt, LoopbackHub, Stall, Status, unreachable_address

OPEN = samples()[0]
FETCH = "coldvoxd-model.service"
ENGINE = "org.coldvox.Engine1"
ENCODER = "encoder-model.onnx"
OTHER = f"{MODEL}-2"


@pytest.fixture(scope="module")
def newcomer() -> Iterator[Login]:
    """A login whose settings name a model that only a hub has."""
    with login() as here:
        here.write(".config/coldvoxd/coldvoxd.toml", f'[model]\nname = "{MODEL}"\n')
        here.write(".config/coldvoxd/models.toml", CATALOG + CATALOG.replace(f"[{MODEL}]", f"[{OTHER}]"))
        yield here


@pytest.fixture
def hub(newcomer: Login) -> Iterator[LoopbackHub]:
    """A hub that the unit uses; nothing is left of earlier downloads."""
    with LoopbackHub() as hub:
        lead_to(newcomer, hub.client_environment | {"HF_HUB_DOWNLOAD_TIMEOUT": "60"})
        yield hub
        newcomer.systemctl("stop", UNIT, FETCH, check=False)
        newcomer.systemctl("reset-failed", UNIT, FETCH, check=False)
        newcomer.run(newcomer.ctl, "model", "remove", MODEL, check=False)


def lead_to(login: Login, variables: dict[str, str]) -> None:
    lines = "".join(f"Environment={name}={value}\n" for name, value in variables.items())
    login.write(f".config/systemd/user/{FETCH}.d/hub.conf", f"[Service]\nRestartSec=1\n{lines}")
    login.systemctl("daemon-reload")


def most_of_the_encoder(hub: LoopbackHub) -> int:
    return int(0.6 * len(hub.files[ENCODER]))


def progress(login: Login) -> float:
    return float(login.property("Progress", ENGINE))


def last_error(login: Login) -> str:
    return str(login.property("LastError", ENGINE))


def refusal(login: Login) -> str:
    refused = login.call("StartDictation", check=False)
    assert refused.returncode
    return refused.stderr


def assert_dictation_works(login: Login) -> None:
    login.wait_for_state("idle")
    assert progress(login) == -1
    login.answer("StartDictation")
    login.speak(OPEN)
    assert OPEN.is_in(login.answer("StopDictation"))


def test_a_missing_model_arrives_by_itself_and_its_progress_is_told(newcomer: Login, hub: LoopbackHub) -> None:
    hub.spoil(ENCODER, Stall(most_of_the_encoder(hub)))
    newcomer.systemctl("start", UNIT)
    eventually_blocking(lambda: progress(newcomer) > 0.5, what="half of the model")
    told = refusal(newcomer)
    percent = re.search(rf"The model {MODEL} is being downloaded: (\d+)%", told)
    assert percent, told
    assert 50 < int(percent[1]) < 100
    assert "Try again when it is complete" in told
    assert newcomer.property("Degraded", ENGINE) == "model-missing"
    assert f"is being downloaded, {percent[1]}%" in newcomer.show(UNIT, "StatusText")
    assert "is being downloaded" in newcomer.run(newcomer.ctl, "status").stdout
    assert newcomer.show(FETCH, "ActiveState") == "activating"
    hub.release()
    assert_dictation_works(newcomer)
    assert newcomer.show(FETCH, "Result") == "success"
    records = newcomer.run("sh", "-c", f"cat {newcomer.home}/.cache/coldvoxd/golden/*.json").stdout
    assert "message to Peter" in records, "the unit tried the model on the CPU"
    assert newcomer.show(UNIT, "NRestarts") == "0"
    listed = newcomer.run(newcomer.ctl, "model", "verify").stdout
    assert "all 4 files match the download" in listed


def test_a_killed_fetch_goes_on_where_it_ended(newcomer: Login, hub: LoopbackHub) -> None:
    hub.spoil(ENCODER, Stall(most_of_the_encoder(hub)))
    newcomer.systemctl("start", UNIT)
    eventually_blocking(lambda: progress(newcomer) > 0.5, what="half of the model")
    newcomer.systemctl("kill", "--signal=KILL", FETCH)
    assert_dictation_works(newcomer)
    assert hub.sent_twice() < 1 << 20


def test_a_refusal_is_told_with_what_to_do_and_works_once_that_was_done(newcomer: Login, hub: LoopbackHub) -> None:
    hub.answer("*", Status(401))
    newcomer.systemctl("start", UNIT)
    failed = f"The model {MODEL} could not be downloaded"  # it is being downloaded until the unit has ended
    wanted = ("HTTP 401", failed)
    told = eventually_blocking(lambda: all(part in last_error(newcomer) for part in wanted) and last_error(newcomer))
    assert isinstance(told, str)
    assert "hf auth login" in told
    assert "To retry: `systemctl --user start coldvoxd-model`, or `coldvoxctl model pull" in told
    assert "HTTP 401" in refusal(newcomer)
    assert newcomer.show(FETCH, "ActiveState") == "failed"
    assert progress(newcomer) == -1
    newcomer.systemctl("start", FETCH)
    assert_dictation_works(newcomer)


def test_a_model_that_keeps_arriving_damaged_is_told(newcomer: Login, hub: LoopbackHub) -> None:
    hub.spoil(ENCODER, Corrupt(), Corrupt())
    newcomer.systemctl("start", UNIT)
    eventually_blocking(lambda: "was damaged in transit" in last_error(newcomer), what="the reason")
    assert newcomer.state() == "unavailable"


def test_a_machine_that_is_offline_is_told_so_and_goes_on_when_it_is_not(newcomer: Login, hub: LoopbackHub) -> None:
    lead_to(newcomer, hub.client_environment | {"HF_ENDPOINT": unreachable_address()})
    newcomer.systemctl("start", UNIT)
    eventually_blocking(lambda: "is unreachable" in last_error(newcomer), what="the reason")
    assert "retrying in" in refusal(newcomer)
    assert progress(newcomer) == 0
    lead_to(newcomer, hub.client_environment)
    newcomer.systemctl("restart", "--no-block", FETCH)
    assert_dictation_works(newcomer)


def test_a_person_may_fetch_it_meanwhile(newcomer: Login, hub: LoopbackHub) -> None:
    hub.answer("*", Status(404))
    newcomer.systemctl("start", UNIT)
    eventually_blocking(lambda: "HTTP 404" in last_error(newcomer), what="the reason")
    newcomer.run(newcomer.ctl, "model", "pull", environment=hub.client_environment)
    assert_dictation_works(newcomer)


def test_who_changes_their_mind_gets_the_other_model_at_once(newcomer: Login, hub: LoopbackHub) -> None:
    hub.spoil(ENCODER, Stall(most_of_the_encoder(hub)))
    newcomer.systemctl("start", UNIT)
    eventually_blocking(lambda: progress(newcomer) > 0.5, what="half of the model")
    newcomer.write(".config/coldvoxd/coldvoxd.toml", f'[model]\nname = "{OTHER}"\n')
    try:
        newcomer.systemctl("restart", UNIT)
        assert_dictation_works(newcomer)
        assert newcomer.property("Model", ENGINE) == OTHER
    finally:
        newcomer.write(".config/coldvoxd/coldvoxd.toml", f'[model]\nname = "{MODEL}"\n')


def test_nothing_is_fetched_where_the_setting_forbids_it(newcomer: Login, hub: LoopbackHub) -> None:
    settings = f'[model]\nname = "{MODEL}"\n'
    newcomer.write(".config/coldvoxd/coldvoxd.toml", settings + "fetch = false\n")
    try:
        newcomer.systemctl("start", UNIT)
        eventually_blocking(lambda: "coldvoxctl model pull" in last_error(newcomer), what="the command to type")
        assert f"coldvoxctl model pull {MODEL}" in refusal(newcomer)
        assert newcomer.show(FETCH, "ActiveState") == "inactive"
        assert not hub.requests
    finally:
        newcomer.write(".config/coldvoxd/coldvoxd.toml", settings)


def test_without_the_unit_the_command_to_type_is_told(newcomer: Login, hub: LoopbackHub) -> None:
    assert not hub.requests
    newcomer.run("rm", newcomer.home / f".config/systemd/user/{FETCH}")
    newcomer.run("rm", "-r", newcomer.home / f".config/systemd/user/{FETCH}.d")
    newcomer.systemctl("daemon-reload")
    newcomer.systemctl("start", UNIT)
    eventually_blocking(lambda: "could not be downloaded automatically" in last_error(newcomer), what="the reason")
    assert f"coldvoxctl model pull {MODEL}" in refusal(newcomer)
    newcomer.run(ROOT / "contrib/dev/install-units.sh")
