"""coldvoxctl start, stop, toggle, cancel and status."""

import asyncio
import json
import subprocess
import sys

import pytest

from coldvoxd import __version__
from coldvoxd.bus.interface_xml import interface_xml
from coldvoxd.cli.exit_codes import MEANINGS, Exit
from coldvoxd.cli.key_presses import FAILED
from coldvoxd.core import errors
from coldvoxd.core.capabilities import CAPABILITIES
from coldvoxd.core.fallback import RunningEngine
from coldvoxd.core.values import EngineStatus, ProviderChoice, SessionOptions, State, StopReason
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.notifications import NotificationService
from tests.support.bus.private_bus import PrivateBus, RunningService
from tests.support.eventually import eventually


async def run(ctl: Ctl, *arguments: str) -> Result:
    return await (await ctl(*arguments)).ended()


async def test_a_session_from_start_to_stop(running: RunningService, ctl: Ctl) -> None:
    assert await run(ctl, "start") == Result(0, "listening, session 1\n", "")
    running.control.say("one sentence")
    assert await run(ctl, "stop") == Result(0, "one sentence\n", "")
    assert await run(ctl, "toggle") == Result(0, "listening\n", "")
    assert await run(ctl, "toggle") == Result(0, "stopped\n", "")
    assert await run(ctl, "start") == Result(0, "listening, session 3\n", "")
    assert await run(ctl, "cancel") == Result(0, "cancelled\n", "")


async def test_the_same_in_json(running: RunningService, ctl: Ctl) -> None:
    assert (await run(ctl, "start", "--json")).objects == [{"session": 1}]
    running.control.say("größer")
    assert (await run(ctl, "--json", "stop")).objects == [{"transcript": "größer"}]
    assert (await run(ctl, "toggle", "--json")).objects == [{"active": True}]
    assert (await run(ctl, "cancel", "--json")).objects == [{"cancelled": True}]


@pytest.mark.parametrize("command", ["start", "stop", "toggle"])
async def test_a_key_shows_an_error_as_a_notification(running: RunningService, ctl: Ctl, command: str) -> None:
    running.control.fault = errors.NotReady("No model is present: coldvoxctl model pull.")
    async with NotificationService(running.bus.address) as desktop:
        assert (await run(ctl, command)).exit == Exit.NOT_READY
        assert desktop.shown == []
        failed = await run(ctl, command, "--from-key")
    assert (failed.exit, failed.err) == (Exit.NOT_READY, "coldvoxctl: No model is present: coldvoxctl model pull.\n")
    assert [body[3:5] for body in desktop.shown] == [[FAILED, "No model is present: coldvoxctl model pull."]]


async def test_a_key_that_finds_nothing_to_stop_shows_nothing(running: RunningService, ctl: Ctl) -> None:
    async with NotificationService(running.bus.address) as desktop:
        assert (await run(ctl, "stop", "--from-key")).exit == Exit.NOT_NOW
        assert desktop.shown == []


async def test_a_key_starts_once_the_last_text_has_come(running: RunningService, ctl: Ctl) -> None:
    pending = running.control.text_pending = asyncio.Event()
    assert (await run(ctl, "start")).exit == Exit.DONE
    stopping = await ctl("stop")
    await eventually(lambda: running.control.state is State.TRANSCRIBING)
    assert (await run(ctl, "start")).exit == Exit.NOT_NOW
    starting = await ctl("start", "--from-key", "--words")
    await asyncio.sleep(0.5)
    pending.set()
    assert (await stopping.ended()).exit == Exit.DONE
    assert await starting.ended() == Result(0, "listening, session 2\n", "")
    assert running.control.options.words


@pytest.mark.parametrize("command", ["start", "toggle"])
@pytest.mark.parametrize("key", [[], ["--from-key"]], ids=["", "key"])
async def test_options_of_a_session(running: RunningService, ctl: Ctl, command: str, key: list[str]) -> None:
    options = ["--words", "--single-utterance", "--max-seconds", "9", "--alternatives", "3"]
    assert (await run(ctl, command, *options, *key)).exit == 0
    started = running.control.options
    assert (started.words, started.single_utterance, started.max_seconds) == (True, True, 9)
    assert started.alternatives == 3
    assert (started.private, started.bind_to_caller) == (False, False)
    if command == "toggle":
        assert await run(ctl, command, *options, *key) == Result(0, "stopped\n", "")


async def test_a_retry_prints_other_texts(running: RunningService, ctl: Ctl) -> None:
    await run(ctl, "start")
    running.control.say("one word")
    retry = ("retry", "--alternatives", "2")
    assert await run(ctl, *retry) == Result(0, "one word\n   25%  not one word\n   25%  not one word\n", "")
    others = [{"text": "not one word", "share": 0.25}] * 2
    assert (await run(ctl, *retry, "--json")).objects == [{"transcript": "one word", "alternatives": others}]
    running.control.engine = EngineStatus("fast", running=RunningEngine("parakeet", has_alternatives=False))
    assert "The loaded model, fast, finds no other texts" in (await run(ctl, *retry)).err


async def test_status_for_people_and_programs(running: RunningService, ctl: Ctl) -> None:
    running.control.engine = EngineStatus(
        "mini",
        "int8",
        "CPUExecutionProvider",
        ("CPUExecutionProvider",),
        ("cpu",),
        progress=0.25,
        languages=("en",),
        choice=ProviderChoice("a GPU", "auto uses it."),
        running=RunningEngine("parakeet"),
    )
    shown = await run(ctl, "status")
    assert shown.exit == 0
    for part in ("idle", "mini (int8)", "CPUExecutionProvider, a GPU", "auto uses it.", "25%", "good", __version__):
        assert part in shown.out
    assert "engine" not in shown.out
    [status] = (await run(ctl, "status", "--json")).objects
    assert status == {
        "state": "idle",
        "session": 0,
        "engine": "parakeet",
        "model": "mini",
        "precision": "int8",
        "execution_provider": "CPUExecutionProvider",
        "provider": "cpu",
        "provider_device": "a GPU",
        "provider_note": "auto uses it.",
        "available_providers": ["CPUExecutionProvider"],
        "usable_providers": ["cpu"],
        "problems": [],
        "capabilities": [name for name in sorted(CAPABILITIES) if name != "language"],
        "languages": ["en"],
        "language": "auto",
        "session_language": "",
        "degraded": "",
        "progress": 0.25,
        "last_error": "",
        "awaiting_restart": [],
        "version": __version__,
        "device": "Blue Yeti",
        "selection": "default",
        "open": True,
        "policy": "always",
        "muted": False,
        "problem": "",
    }
    del status["session_language"]
    assert len(status) == interface_xml().count("<property ") - 1, "all but the list of devices"
    running.control.engine = EngineStatus(degraded="model-missing", last_error="No model.")
    running.microphone.muted = True
    shown = await run(ctl, "status")
    for part in ("none loaded", "none open", "degraded: model-missing, microphone-muted", "No model."):
        assert part in shown.out
    running.control.engine = EngineStatus(
        "ggml-base.bin",
        "fp16",
        degraded="fallback-engine",
        covered="model-missing",
        ready=True,
        running=RunningEngine("whisper", has_seams=False, has_partials=False),
    )
    shown = await run(ctl, "status")
    for part in (
        "engine      whisper, the fallback\n",
        "ggml-base.bin (fp16)",
        "degraded: fallback-engine, model-missing, microphone-muted",
    ):
        assert part in shown.out
    running.control.engine = EngineStatus(
        model="mini", precision="fp32", wrong_on_cpu=True, last_error="Another error."
    )
    shown = await run(ctl, "status")
    for part in ("degraded: microphone-muted, cpu-wrong-output", "`coldvoxctl model verify` checks them"):
        assert part in shown.out


@pytest.mark.parametrize(
    ("fault", "code", "name"),
    [
        (errors.AlreadyActive("Stop it first."), Exit.NOT_NOW, "AlreadyActive"),
        (errors.NotOwner("It belongs to another client."), Exit.NOT_NOW, "NotOwner"),
        (errors.ModelMissing("Fetch it."), Exit.NOT_READY, "NotReady"),
        (errors.NoMicrophone("Plug one in."), Exit.NOT_READY, "NoMicrophone"),
        (errors.TextTimeout("It still comes."), Exit.TIMEOUT, "Timeout"),
        (errors.NotSupported("Not yet."), Exit.NOT_SUPPORTED, "NotSupported"),
        (errors.RecognitionFailed("No."), Exit.FAILED, "Failed"),
    ],
)
async def test_errors_of_the_daemon_have_their_exit_codes(
    running: RunningService, ctl: Ctl, fault: errors.ColdvoxError, code: Exit, name: str
) -> None:
    running.control.fault = fault
    assert await run(ctl, "toggle") == Result(code, "", f"coldvoxctl: {fault}\n")
    result = await run(ctl, "toggle", "--json")
    assert (result.exit, result.out) == (code, "")
    assert result.error == {"error": name, "message": str(fault)}


async def test_stop_without_a_session(running: RunningService, ctl: Ctl) -> None:
    del running
    assert (await run(ctl, "stop")).exit == Exit.NOT_NOW


@pytest.mark.parametrize("command", ["start", "stop", "toggle", "cancel", "status", "devices", "device x", "listen"])
async def test_without_a_daemon(ctl: Ctl, command: str) -> None:
    result = await run(ctl, *command.split(), "--json")
    assert result.exit == Exit.UNREACHABLE
    assert result.error["error"] == "DaemonUnreachable"
    assert "systemctl --user" in result.error["message"]


async def test_without_a_bus(bus: PrivateBus, ctl: Ctl) -> None:
    bus.kill()
    result = await run(ctl, "status", "--json")
    assert result.exit == Exit.UNREACHABLE
    assert result.error["error"] == "BusUnavailable"


async def test_the_user_bus_is_found_without_the_variable(running: RunningService, ctl: Ctl) -> None:
    environment = running.bus.environment
    del environment["DBUS_SESSION_BUS_ADDRESS"]
    result = await (await ctl("status", environment=environment)).ended()
    assert result.exit == Exit.UNREACHABLE
    assert "DBUS_SESSION_BUS_ADDRESS" in result.err
    environment["XDG_RUNTIME_DIR"] = str(running.bus.directory)
    assert (await (await ctl("status", environment=environment)).ended()).exit == Exit.DONE


async def test_a_reader_that_has_enough_is_no_crash(running: RunningService, ctl: Ctl) -> None:
    command = await ctl("listen", "--start")
    await eventually(lambda: running.control.session, what="the session")
    command.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # as `| head` does
    running.control.say("one")
    await asyncio.wait_for(command.process.wait(), 30)
    assert command.process.stderr is not None
    assert await command.process.stderr.read() == b""
    await eventually(lambda: not running.control.session, what="the session's end")


async def test_a_daemon_that_ends_before_it_answers(running: RunningService, bus: PrivateBus, ctl: Ctl) -> None:
    running.control.text_pending = asyncio.Event()
    await run(ctl, "start")
    stopping = await ctl("stop", "--json")
    await eventually(lambda: running.control.state == "transcribing", what="StopDictation")
    await running.connection.aclose()
    result = await stopping.ended()
    assert result.exit == Exit.UNREACHABLE
    assert result.error["error"] == "DaemonUnreachable"
    assert bus.process.poll() is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "coldvoxctl --help"),
        (["frob"], "frob"),
        (["start", "--max-seconds", "0"], "greater than 0"),
        (["start", "--max-seconds", "1.5"], "greater than 0"),
        (["start", "--private"], "coldvoxctl listen --start --private"),
        (["start", "--bind"], "coldvoxctl listen --start --private"),
        (["toggle", "--private"], "which `coldvoxctl toggle` does immediately"),
        (["toggle", "--max-seconds", "0"], "greater than 0"),
        (["start", "--alternatives", "0"], "from 1 to 8"),
        (["retry", "--alternatives", "9"], "from 1 to 8"),
        (["listen", "--alternatives", "2"], "--start"),
        (["retry", "--utterance", "0"], "greater than 0"),
        (["retry", "--words"], "--words. See `coldvoxctl retry --help`."),
        (["listen", "--private"], "--start"),
        (["transcribe"], "FILE"),
        (["stop", "now"], "now. See `coldvoxctl stop --help`."),
        (["setup", "--bogus"], "--bogus. See `coldvoxctl setup --help`."),
        (["model", "pull", "--bogus"], "--bogus. See `coldvoxctl model pull --help`."),
        (["--bogus"], "--bogus. See `coldvoxctl --help`."),
    ],
)
async def test_wrong_usage(ctl: Ctl, arguments: list[str], said: str) -> None:
    result = await run(ctl, *arguments)
    assert (result.exit, result.out) == (Exit.USAGE, "")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert (await run(ctl, "--json", *arguments)).error["error"] == "Usage"


async def test_help_documents_every_command_and_exit_code(bus: PrivateBus, ctl: Ctl) -> None:
    shown = await (await ctl("--help", environment=bus.environment | {"COLUMNS": "200"})).ended()
    assert shown.exit == 0
    for code in Exit:
        assert f"  {code.value:<4} {MEANINGS[code]}" in shown.out
    for command in ("start", "stop", "toggle", "cancel", "status", "devices", "device", "listen", "transcribe"):
        assert f"    {command} " in shown.out
        described = await run(ctl, command, "--help")
        assert described.exit == 0
        assert "--json" in described.out


async def test_version(ctl: Ctl) -> None:
    assert (await run(ctl, "--version")).out == f"coldvoxctl {__version__}\n"
    assert (await run(ctl, "--version", "--json")).objects == [{"version": __version__}]


def test_a_shortcut_key_loads_nothing_heavy() -> None:
    program = (
        "import sys, json, coldvoxd.cli.main, coldvoxd.cli.listen, coldvoxd.cli.session_commands, coldvoxd.cli.devices;"
        "print(json.dumps([m for m in ('numpy', 'onnxruntime', 'soundfile', 'soxr') if m in sys.modules]))"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(output.stdout) == []


@pytest.mark.parametrize(
    "command", [("start",), ("start", "--words"), ("listen", "--start"), ("listen", "--start", "--private")]
)
async def test_a_session_that_only_another_program_can_end_is_named_as_such(
    running: RunningService, ctl: Ctl, command: tuple[str, ...]
) -> None:
    running.control.start(":1.0", SessionOptions(private=True), 0.0)
    refused = await run(ctl, *command)
    said = "Session 1 is private to another program, and only that program can end it: end it there."
    assert refused == Result(Exit.NOT_NOW, "", f"coldvoxctl: {said}\n")
    running.control.finish(StopReason.STOPPED)
    running.control.start(":1.0", SessionOptions(bind_to_caller=True), 0.0)
    refused = await run(ctl, *command)
    assert refused.err == "coldvoxctl: A session is active: stop or cancel it first.\n"
