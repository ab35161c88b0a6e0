"""coldvoxctl retry, metrics, reload and provider."""

import pytest

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.core import errors
from coldvoxd.core.audio_values import GapReason
from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.values import EngineStatus, SessionOptions
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.private_bus import RunningService

MINE = ":1.0"


async def run(ctl: Ctl, *arguments: str) -> Result:
    return await (await ctl(*arguments)).ended()


async def test_retry_prints_the_last_utterance(running: RunningService, ctl: Ctl) -> None:
    nothing = await run(ctl, "retry")
    assert (nothing.exit, nothing.out) == (Exit.NOT_NOW, "")
    running.control.start(MINE, SessionOptions(), 0.0)
    running.control.say("one sentence")
    assert await run(ctl, "retry") == Result(Exit.DONE, "one sentence\n", "")
    assert (await run(ctl, "retry", "--json")).objects == [{"transcript": "one sentence"}]
    assert await run(ctl, "retry", "--utterance", "1") == Result(Exit.DONE, "one sentence\n", "")
    assert (await run(ctl, "retry", "--utterance", "2")).exit == Exit.NOT_NOW


async def test_reload_and_provider(running: RunningService, ctl: Ctl) -> None:
    running.control.engine = EngineStatus(provider="CUDAExecutionProvider")
    assert await run(ctl, "reload") == Result(Exit.DONE, "settings and model reloaded\n", "")
    assert (await run(ctl, "reload", "--json")).objects == [{"reloaded": True, "awaiting_restart": []}]
    running.control.awaiting_restart = ("microphone.device",)
    assert "microphone.device: after `systemctl --user restart coldvoxd`" in (await run(ctl, "reload")).out
    assert await run(ctl, "provider", "cuda") == Result(Exit.DONE, "recognition runs on CUDAExecutionProvider\n", "")
    shown = await run(ctl, "--json", "provider", "auto")
    assert shown.objects == [{"execution_provider": "CUDAExecutionProvider"}]
    assert running.control.providers == ["reload", "reload", "reload", "cuda", "auto"]


async def test_a_reload_with_a_language_that_the_model_lacks_says_so(running: RunningService, ctl: Ctl) -> None:
    running.control.engine = EngineStatus("mini", ready=True, languages=("en",), degraded="language")
    reloaded = await run(ctl, "reload")
    assert (reloaded.exit, "language in the settings" in reloaded.err) == (0, True)


async def test_a_reload_with_an_unknown_microphone_says_so(running: RunningService, ctl: Ctl) -> None:
    running.control.microphone.selection = "blue yeti"
    assert (await run(ctl, "reload")).err == ""
    running.control.microphone.selection = "no such"
    said = "There is no microphone “no such”; the daemon waits for it. `coldvoxctl devices` lists the microphones."
    assert await run(ctl, "reload") == Result(Exit.DONE, "settings and model reloaded\n", f"coldvoxctl: {said}\n")
    [found] = (await run(ctl, "reload", "--json")).objects
    assert found == {"reloaded": True, "awaiting_restart": [], "problem": "microphone-lost", "message": said}
    running.control.microphone.problem = "Plug one in."
    assert (await run(ctl, "reload")).err == "coldvoxctl: Plug one in.\n"


@pytest.mark.parametrize("command", ["device", "provider"])
async def test_a_name_that_is_no_text_is_refused(running: RunningService, ctl: Ctl, command: str) -> None:
    del running
    result = await (await ctl(command, b"mic\xff")).ended()
    assert (result.exit, result.out) == (Exit.USAGE, "")
    assert result.err == "coldvoxctl: 'mic\\xff' is not valid UTF-8 text: check the encoding of the name.\n"


@pytest.mark.parametrize(
    ("fault", "code", "name"),
    [
        (errors.InvalidOption("coldvoxd.toml, line 3: no."), Exit.USAGE, "InvalidOption"),
        (errors.ProviderUnavailable("There is no GPU."), Exit.FAILED, "ColdvoxError"),
        (errors.LoadTimeout("It continues."), Exit.TIMEOUT, "Timeout"),
        (errors.ModelMissing("Fetch it."), Exit.NOT_READY, "NotReady"),
    ],
)
async def test_what_is_wrong_is_told(
    running: RunningService, ctl: Ctl, fault: errors.ColdvoxError, code: Exit, name: str
) -> None:
    running.control.fault = fault
    for command in (["reload"], ["provider", "cuda"]):
        assert await run(ctl, *command) == Result(code, "", f"coldvoxctl: {fault}\n")
    failed = (await run(ctl, "reload", "--json")).error
    assert failed["message"] == str(fault)
    assert failed["error"] in {name, "Failed"}


async def test_metrics_for_people_and_programs(running: RunningService, ctl: Ctl) -> None:
    metrics = running.control.metrics
    for _ in range(3):
        metrics.count(Count.UTTERANCES)
    metrics.gap(GapReason.OVERRUN)
    metrics.took(Stage.ENCODER, 0.125)
    shown = await run(ctl, "metrics")
    assert (shown.exit, shown.err) == (Exit.DONE, "")
    rows = {line.split()[0]: line.split()[1:] for line in shown.out.splitlines() if line}
    assert rows["utterances"] == ["3"]
    assert rows["memory"] == ["8192", "MiB"]
    assert rows["gaps"] == ["overrun", "1"]
    assert rows["sessions"] == ["none"]
    plot = rows["encoder"].pop()
    assert plot in {"█", "#"}
    assert rows["encoder"] == ["1", "125.0", "ms", "125.0", "ms", "125.0", "ms"]
    [found] = (await run(ctl, "metrics", "--json")).objects
    assert (found["utterances"], found["gaps"]["overrun"], found["uptime"]) == (3, 1, 1.5)
    assert found["stages"] == {"encoder": {"count": 1, "p50": 0.125, "p95": 0.125, "p99": 0.125}}


@pytest.mark.parametrize("command", [["retry"], ["metrics"], ["reload"], ["provider", "cpu"], ["transcribe", "x.wav"]])
async def test_without_a_daemon(ctl: Ctl, command: list[str]) -> None:
    result = await run(ctl, *command, "--json")
    if command[0] != "transcribe":  # which reads the file first
        assert result.exit == Exit.UNREACHABLE
        assert result.error["error"] == "DaemonUnreachable"
    else:
        assert (result.exit, result.objects[0]["error"]) == (Exit.FAILED, "FileFault")
