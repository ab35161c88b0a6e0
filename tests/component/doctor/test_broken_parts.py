"""Each part is really broken, and the doctor's own processes examine it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd import __version__
from coldvoxd.doctor.desktop import daemon_findings
from coldvoxd.doctor.examination import examine
from coldvoxd.doctor.finding import Finding, Verdict
from coldvoxd.doctor.microphone import hearing
from coldvoxd.models.directories import bundled_directory
from tests.support.bus.private_bus import PrivateBus, running_service
from tests.support.environment import environment
from tests.support.sound.servers import PulseServer, running

ROOT = Path(__file__).parents[3]
ACTIVATION = "org.coldvox.Daemon1.service"


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty home directory, without anything from this machine's session."""
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_DATA_DIRS", "DBUS_SESSION_BUS_ADDRESS")
    variables: dict[str, str | None] = dict.fromkeys([*names, "XDG_RUNTIME_DIR", "PULSE_SERVER"])
    with environment(variables | {"HOME": str(tmp_path)}):
        yield tmp_path


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    if shutil.which("pulseaudio") is None:
        pytest.skip("needs PulseAudio: there is no pulseaudio")
    with running(PulseServer) as server:
        assert isinstance(server, PulseServer)
        yield server


def found(check: str, part: str, limit_s: float | None = None) -> list[Finding]:
    findings = list(examine([check], limit_s))
    print(*findings, sep="\n")
    return [finding for finding in findings if finding.part == part]


def test_python_and_packages_of_this_environment_are_well() -> None:
    verdicts = {finding.part: finding.verdict for finding in examine(["software", "engine"])}
    assert verdicts == dict.fromkeys(("python", "coldvoxd", "packages", "engine", "provider"), Verdict.OK)


def test_a_provider_that_gives_no_session_is_told_with_its_remedy() -> None:
    with environment({"COLDVOXD_MODEL_PROVIDER": "cuda"}):
        asked, given = found("engine", "provider")
    assert asked.verdict is Verdict.WARN
    assert "cuda" in asked.text
    assert 'provider = "cpu"' in asked.remedy
    assert (given.verdict, given.text) == (Verdict.OK, "a session runs on cpu")


def test_no_bus() -> None:
    [bus] = found("bus", "bus")
    assert bus.verdict is Verdict.FAIL
    assert "DBUS_SESSION_BUS_ADDRESS" in bus.text
    [activation] = found("bus", "activation")
    assert activation.verdict is Verdict.FAIL


def test_a_bus_that_hangs_is_given_up() -> None:
    with PrivateBus() as bus:
        bus.freeze()
        with environment({"DBUS_SESSION_BUS_ADDRESS": bus.address}):
            [finding] = found("bus", "bus", limit_s=8)
    assert finding.verdict is Verdict.FAIL
    assert finding.text == "no response within 8 s while asking the session bus for its names"


def test_the_activation_file_must_be_there_and_be_read_by_the_bus(home: Path) -> None:
    services = home / ".local/share/dbus-1/services"
    services.mkdir(parents=True)
    with PrivateBus([services]) as bus, environment({"DBUS_SESSION_BUS_ADDRESS": bus.address}):
        [missing] = found("bus", "activation")
        assert (missing.verdict, missing.remedy) == (Verdict.FAIL, "install it: coldvoxctl setup")
    other = home / "elsewhere"
    other.mkdir()
    shutil.copy(ROOT / "dbus" / ACTIVATION, services)
    with PrivateBus([other]) as bus, environment({"DBUS_SESSION_BUS_ADDRESS": bus.address}):
        there, unread = found("bus", "activation")
        assert there.verdict is Verdict.OK
        assert unread.verdict is Verdict.FAIL
        assert "ReloadConfig" in unread.remedy
    with PrivateBus([services]) as bus, environment({"DBUS_SESSION_BUS_ADDRESS": bus.address}):
        assert [finding.verdict for finding in found("bus", "activation")] == [Verdict.OK, Verdict.OK]
        [daemon] = found("bus", "daemon")
        assert daemon.text == "not running; the first call starts it"
    (services / ACTIVATION).write_text("[D-BUS Service\n")
    with PrivateBus([other]) as bus, environment({"DBUS_SESSION_BUS_ADDRESS": bus.address}):
        damaged, _ = found("bus", "activation")
        assert (damaged.verdict, "cannot be used" in damaged.text) == (Verdict.FAIL, True)


async def test_a_running_daemon_tells_its_trouble() -> None:
    import asyncio

    from coldvoxd.core.values import EngineStatus

    with PrivateBus() as bus, environment({"DBUS_SESSION_BUS_ADDRESS": bus.address}):
        async with running_service(bus) as service:
            service.control.engine = EngineStatus(degraded="model-invalid", last_error="Fetch it again.")
            [daemon] = await asyncio.to_thread(found, "bus", "daemon")
    assert daemon.verdict is Verdict.WARN
    assert "model-invalid" in daemon.text
    assert daemon.remedy == "Fetch it again."


def test_wrong_words_on_the_cpu_lead_to_the_check_of_the_model() -> None:
    status = {"Version": __version__, "State": "idle", "Model": "mini", "Precision": "fp32", "ExecutionProvider": "cpu"}
    [daemon] = daemon_findings(1, status | {"Degraded": "cpu-wrong-output", "LastError": "Another error."})
    assert daemon.verdict is Verdict.WARN
    assert "`coldvoxctl model verify`" in daemon.remedy


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        ("language", "config set dictation.language auto"),
        ("microphone-muted", "unmute the microphone"),
        ("microphone-channel", "config set microphone.channel auto"),
        ("gpu-fault", "Another error."),
    ],
)
def test_what_a_restart_does_not_clear_has_a_remedy_of_its_own(problem: str, remedy: str) -> None:
    status = {"Version": __version__, "State": "idle", "Model": "mini", "Precision": "fp32", "ExecutionProvider": "cpu"}
    [daemon] = daemon_findings(1, status | {"Degraded": problem, "LastError": "Another error."})
    assert remedy in daemon.remedy


def test_a_frozen_sound_server_costs_its_time_limit_and_no_more(pulse: PulseServer) -> None:
    pulse.freeze()
    with pulse.adopted():
        *_, last = found("microphone", "sound server", limit_s=10)
    assert last.verdict is Verdict.FAIL
    assert last.text.startswith("no response within 10 s while")
    assert "restart the sound server" in last.remedy


def test_the_microphone_is_heard_for_a_second_and_a_muted_one_is_seen(pulse: PulseServer, home: Path) -> None:
    hiss = home / "hiss.wav"
    soundfile.write(hiss, np.random.default_rng(0).normal(0, 0.1, 60 * 16_000).clip(-1, 1), 16_000, subtype="PCM_16")
    player = pulse.play_in_background(hiss)
    try:
        with pulse.adopted():
            [loud] = found("microphone", "microphone")
            pulse._run("pactl", "set-source-mute", "mic1", "1")
            [muted] = found("microphone", "microphone")
            with environment({"COLDVOXD_MICROPHONE_DEVICE": "Theremin"}):
                [absent] = found("microphone", "microphone")
    finally:
        player.kill()
        player.wait()
    assert loud.verdict is Verdict.OK
    assert "-20 dBFS" in loud.text
    assert muted.verdict is Verdict.WARN
    assert "is muted" in muted.text
    assert absent.verdict is Verdict.FAIL
    assert "no microphone “Theremin”" in absent.text
    assert "coldvoxctl device" in absent.remedy


def test_silence_to_the_last_bit_is_told_too() -> None:
    silent = hearing("mic", np.zeros(16_000, dtype=np.int16))
    assert (silent.verdict, "digital silence" in silent.text) == (Verdict.WARN, True)


def test_a_machine_without_sound_server(home: Path) -> None:
    with environment({"XDG_RUNTIME_DIR": str(home)}):
        [server] = found("microphone", "sound server")
    assert server.verdict is Verdict.WARN
    assert str(home / "pulse/native") in server.text


def test_too_little_sound_is_no_working_microphone() -> None:
    assert hearing("mic", np.ones(8_000, dtype=np.int16)).verdict is Verdict.FAIL
    assert hearing("mic", np.ones(16_000, dtype=np.int16)).verdict is Verdict.OK


def test_a_truncated_model_names_the_file(home: Path) -> None:
    model = home / "cut"
    shutil.copytree(bundled_directory(), model, ignore=shutil.ignore_patterns("samples"))
    graph = model / "encoder-model.onnx"
    os.truncate(graph, graph.stat().st_size // 2)
    with environment({"COLDVOXD_MODEL_NAME": str(model)}):
        [finding] = found("storage", "model")
    assert finding.verdict is Verdict.FAIL
    assert graph.name in finding.text


def test_the_bundled_model_works_but_is_for_trials() -> None:
    with environment({"COLDVOXD_MODEL_NAME": "mini"}):
        [finding] = found("storage", "model")
    assert finding.verdict is Verdict.WARN
    assert "complete" in finding.text


def test_a_model_that_is_nowhere_comes_with_the_command_that_gets_it() -> None:
    [finding] = found("storage", "model")
    assert finding.verdict is Verdict.FAIL
    assert "parakeet-tdt-0.6b-v2" in finding.text
    assert "parakeet-tdt-0.6b-v2" in finding.remedy


def test_variables_that_override_the_settings_file_are_named(home: Path) -> None:
    with environment({"COLDVOXD_MODEL_NAME": "mini"}):
        [finding] = found("storage", "settings")
    assert finding.text.endswith("coldvoxd.toml; overridden by COLDVOXD_MODEL_NAME")
    assert finding.text.startswith("defaults; there is no ")
    assert str(home) in finding.text


def test_a_mistake_in_the_settings_is_told_with_its_line(home: Path) -> None:
    file = home / ".config/coldvoxd/coldvoxd.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[model]\nnmae = 'mini'\n")
    [finding] = found("storage", "settings")
    assert finding.verdict is Verdict.FAIL
    assert "line 2" in finding.text
    [finding] = found("storage", "model")
    assert finding.verdict is Verdict.WARN
    assert "not checked" in finding.text
    assert "pull" not in finding.remedy, "the settings may name a model that is there"


def test_a_check_that_dies_is_a_finding(home: Path) -> None:
    (home / "numpy").mkdir()
    (home / "numpy/__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    package_root = str(ROOT)
    with environment({"PYTHONPATH": str(home)}):
        assert package_root not in os.environ["PYTHONPATH"]
        [finding] = found("software", "packages")
    assert finding.verdict is Verdict.FAIL
    assert "signal 11" in finding.text
