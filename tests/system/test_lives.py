"""The service is killed, and replaces its own process, under a real user manager; contrib/ has the long runs."""

import json
from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.inside import Trial, trial
from tests.support.login.login import UNIT


@pytest.fixture(scope="module")
def crashing() -> Iterator[Trial]:
    with trial() as here:
        yield here


@pytest.fixture(scope="module")
def renewing() -> Iterator[Trial]:
    with trial(accelerator=True) as here:
        yield here


def test_nothing_is_lost_doubled_or_brought_back_when_the_service_is_killed(crashing: Trial) -> None:
    found = crashing.perform("crashing", "--times", "8", "--seed", "5", patience_s=400)
    assert found["passed"], json.dumps(found, indent=2)
    assert found["kills"] >= 8
    assert found["sentences"] > 0
    assert found["retried"] > 0


def test_nothing_is_left_in_the_spool_after_sessions_and_after_a_stop(crashing: Trial) -> None:
    eventually_blocking(lambda: spooled(crashing) == ["lock"], what="an empty spool")
    crashing.answer("StartDictation")
    eventually_blocking(lambda: len(spooled(crashing)) > 1, what="a file of the session")
    modes = crashing.run("find", spool(crashing), "-printf", "%m ").stdout.split()
    assert sorted(set(modes)) == ["600", "700"]
    crashing.systemctl("stop", UNIT)
    assert crashing.run("test", "-e", spool(crashing), check=False).returncode != 0


def test_a_second_daemon_leaves_the_spool_of_the_first_alone(crashing: Trial) -> None:
    crashing.answer("StartDictation")
    before = spooled(crashing)
    second = crashing.run(crashing.home / ".local/bin/coldvoxd", check=False)
    assert second.returncode == 69, second.stderr
    assert spooled(crashing) == before
    crashing.call("CancelDictation")
    assert spooled(crashing) == ["lock"]


def test_no_call_fails_while_the_service_puts_new_processes_in_its_place(renewing: Trial) -> None:
    found = renewing.perform("renewing", "--times", "3", "--seed", "5", patience_s=200)
    assert found["passed"], json.dumps(found, indent=2)
    assert found["replacements"] == 3
    assert found["blind_s"]["most"] > 0


def test_the_watchdog_is_fed_by_the_new_process(renewing: Trial) -> None:
    """The unit's WatchdogSec=20 would have ended it by now."""
    started = int(renewing.show(UNIT, "ExecMainStartTimestampMonotonic"))
    eventually_blocking(
        lambda: int(renewing.show(UNIT, "WatchdogTimestampMonotonic")) > started + 25_000_000,
        patience_s=60,
        what="a notification later than the limit",
    )
    assert renewing.show(UNIT, "NRestarts") == "0"


def spool(login: Trial) -> str:
    return f"{login.runtime}/coldvoxd/spool"


def spooled(login: Trial) -> list[str]:
    return sorted(login.run("ls", "-A", spool(login), check=False).stdout.split())
