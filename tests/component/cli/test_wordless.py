"""A session without text: stdout stays empty, and stderr gives the known reason."""

import asyncio
import json
import signal
from functools import partial

import pytest

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.wordless import GAPS, MUTED, reason_for
from coldvoxd.core.metrics import Count
from coldvoxd.core.problems import Problem
from coldvoxd.core.values import EngineStatus, SessionOptions, State, StopReason
from tests.component.cli.conftest import Ctl, Result
from tests.component.cli.test_listen import begin, listening, next_object
from tests.support.bus.private_bus import RunningService
from tests.support.eventually import eventually

MINE = ":1.0"
QUIET = EngineStatus(degraded="microphone-quiet")
UNPLUGGED = "The microphone “Blue Yeti” is unplugged: plug it in."


async def run(ctl: Ctl, *arguments: str) -> Result:
    return await (await ctl(*arguments)).ended()


async def ended(running: RunningService, ctl: Ctl, *arguments: str, spoken: bool) -> Result:
    """Run `coldvoxctl stop` for a session without text that is counted as one with or without speech."""
    pending = running.control.text_pending = asyncio.Event()
    running.control.start(MINE, SessionOptions(), 0.0)
    stopping = await ctl("stop", *arguments)
    await eventually(lambda: running.control.state is State.TRANSCRIBING, what="StopDictation")
    if spoken:
        running.control.metrics.count(Count.SESSIONS_WITHOUT_WORDS)
    pending.set()
    return await stopping.ended()


@pytest.mark.parametrize(
    ("muted", "problem", "engine", "spoken", "code", "said"),
    [
        (True, "", EngineStatus(), False, "microphone-muted", "unmute it"),
        (False, UNPLUGGED, EngineStatus(), False, "microphone-lost", UNPLUGGED),
        (True, UNPLUGGED, EngineStatus(), False, "microphone-lost", UNPLUGGED),
        (False, "", EngineStatus(), False, "no-speech", "No speech was heard"),
        (False, "", QUIET, False, "microphone-quiet", "raise the microphone's volume"),
        (False, "", EngineStatus(), True, "no-words", "no words were recognized"),
        (False, "", QUIET, True, "microphone-quiet", "too quiet for words"),
        (True, "", EngineStatus(), True, "no-words", "no words were recognized"),
        (False, "", EngineStatus(degraded="no-words"), False, "no-speech", "No speech was heard"),
    ],
)
async def test_stop_says_why_there_is_no_text(
    running: RunningService,
    ctl: Ctl,
    muted: bool,
    problem: str,
    engine: EngineStatus,
    spoken: bool,
    code: str,
    said: str,
) -> None:
    running.microphone.muted, running.microphone.problem, running.control.engine = muted, problem, engine
    shown = await ended(running, ctl, spoken=spoken)
    assert (shown.exit, shown.out, shown.err.count("\n")) == (Exit.DONE, "", 1)
    assert shown.err.startswith("coldvoxctl: ")
    assert said in shown.err
    programs = await ended(running, ctl, "--json", spoken=spoken)
    assert (programs.exit, programs.err) == (Exit.DONE, "")
    [fields] = programs.objects
    assert (fields["transcript"], fields["empty_reason"]) == ("", code)
    assert said in fields["message"]


async def test_a_text_has_no_reason(running: RunningService, ctl: Ctl) -> None:
    running.microphone.muted = True
    running.control.start(MINE, SessionOptions(), 0.0)
    running.control.say("one sentence")
    assert await run(ctl, "stop") == Result(Exit.DONE, "one sentence\n", "")
    running.control.start(MINE, SessionOptions(), 0.0)
    running.control.say("one sentence")
    assert (await run(ctl, "stop", "--json")).objects == [{"transcript": "one sentence"}]


async def test_a_retry_without_words_is_reported(running: RunningService, ctl: Ctl) -> None:
    running.control.start(MINE, SessionOptions(), 0.0)
    running.control.say("")
    shown = await run(ctl, "retry")
    assert shown == Result(Exit.DONE, "", "coldvoxctl: No words were recognized in the last utterance.\n")
    [fields] = (await run(ctl, "retry", "--json")).objects
    assert (fields["transcript"], fields["empty_reason"]) == ("", "no-words")


@pytest.mark.parametrize("lost", [True, False])
async def test_stop_warns_that_audio_was_lost(running: RunningService, ctl: Ctl, lost: bool) -> None:
    for arguments in ((), ("--json",)):
        pending = running.control.text_pending = asyncio.Event()
        running.control.start(MINE, SessionOptions(), 0.0)
        running.control.say("Hello.")
        stopping = await ctl("stop", *arguments)
        await eventually(lambda: running.control.state is State.TRANSCRIBING, what="StopDictation")
        if lost:
            running.control.metrics.count(Count.SESSIONS_WITH_GAPS)
        pending.set()
        shown = await stopping.ended()
        assert shown.exit == Exit.DONE
        if arguments:
            assert shown.objects[0].get("audio_lost", False) is lost
        else:
            assert shown.err == (f"coldvoxctl: {GAPS}\n" if lost else "")


@pytest.mark.parametrize(("command", "out"), [("start", "listening, session 1\n"), ("toggle", "listening\n")])
async def test_a_session_begun_with_a_muted_microphone_is_warned_of(
    running: RunningService, ctl: Ctl, command: str, out: str
) -> None:
    running.microphone.muted = True
    assert await run(ctl, command) == Result(Exit.DONE, out, f"coldvoxctl: {MUTED}\n")
    assert await run(ctl, "toggle") == Result(Exit.DONE, "stopped\n", f"coldvoxctl: {MUTED}\n")
    [fields] = (await run(ctl, command, "--json")).objects
    assert (fields["problem"], fields["message"]) == ("microphone-muted", MUTED)


async def test_a_session_of_listen_that_gave_no_text_is_explained(running: RunningService, ctl: Ctl) -> None:
    running.microphone.muted = True
    command = await begin(ctl, running)
    command.process.send_signal(signal.SIGINT)
    shown = await command.ended()
    assert (shown.exit, shown.out) == (Exit.DONE, "")
    assert MUTED in shown.err
    command = await begin(ctl, running, "--json")
    command.process.send_signal(signal.SIGINT)
    stopped = (await command.ended()).objects[-1]
    assert (stopped["reason"], stopped["empty_reason"]) == ("stopped", "microphone-muted")


async def test_each_session_of_listen_is_explained_by_itself(running: RunningService, ctl: Ctl) -> None:
    command = await listening(ctl)
    await eventually(lambda: running.control.metrics_read, what="the first count")
    for spoken, reason in ((True, "no-words"), (False, "no-speech")):
        read = running.control.metrics_read
        running.control.start(MINE, SessionOptions(), 0.0)
        assert (await next_object(command))["event"] == "started"
        await eventually(partial(_is_read_after, running, read), what="the count before the end")
        if spoken:
            running.control.metrics.count(Count.SESSIONS_WITHOUT_WORDS)
        running.control.finish(StopReason.TIME_LIMIT)
        stopped = await next_object(command)
        assert (stopped["event"], stopped["empty_reason"]) == ("stopped", reason)
    running.control.start(MINE, SessionOptions(), 0.0)
    assert (await next_object(command))["event"] == "started"
    running.control.finish(StopReason.CANCELLED)
    assert "empty_reason" not in await next_object(command)


def _is_read_after(running: RunningService, read: int) -> bool:
    return running.control.metrics_read > read


def test_a_daemon_that_does_not_count_leaves_the_reason_open() -> None:
    assert reason_for((), "", spoken=None).code == "unknown"
    assert reason_for([Problem.MICROPHONE_MUTED], "", spoken=None).code == Problem.MICROPHONE_MUTED
    assert json.loads(json.dumps(reason_for((), "", spoken=False).fields))["empty_reason"] == "no-speech"


def test_the_reason_of_a_lost_microphone_is_a_sentence_of_its_own() -> None:
    found = reason_for([Problem.MICROPHONE_LOST], "there is no microphone: plug one in", spoken=False)
    assert found.sentence == "Nothing was heard. There is no microphone: plug one in."
    assert reason_for([Problem.MICROPHONE_LOST], "", spoken=False).sentence == "Nothing was heard."


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("way", ["interrupted", "ended by itself", "of another program"])
async def test_listen_warns_that_audio_was_lost(running: RunningService, ctl: Ctl, lost: bool, way: str) -> None:
    for arguments in ((), ("--json",)):
        read = running.control.metrics_read
        if way == "of another program":
            command = await ctl("listen", "--once", "--json") if arguments else await ctl("listen", "--once")
            await eventually(partial(_is_read_after, running, read), what="the first count")
            read = running.control.metrics_read
            running.control.start(MINE, SessionOptions(), 0.0)
        else:
            command = await begin(ctl, running, *arguments)
        await eventually(partial(_is_read_after, running, read), what="the count before the end")
        running.control.say("Hello.")
        if lost:
            running.control.metrics.count(Count.SESSIONS_WITH_GAPS)
        if way == "interrupted":
            command.process.send_signal(signal.SIGINT)
        else:
            running.control.finish(StopReason.TIME_LIMIT)
        shown = await command.ended()
        assert shown.exit == Exit.DONE
        if arguments:
            assert shown.objects[-1].get("audio_lost", False) is lost
            assert shown.err == ""
        else:
            session = "Session 1: " if way == "of another program" else ""
            assert shown.err == (f"coldvoxctl: {session}{GAPS}\n" if lost else "")
