"""coldvoxctl listen as a long-running command."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.values import SessionOptions, StopReason, Transcript, Word
from tests.component.cli.conftest import ROOT, Ctl, Running
from tests.support.bus.private_bus import PrivateBus, RunningService, running_service
from tests.support.eventually import eventually

MINE = ":1.0"


async def begin(ctl: Ctl, running: RunningService, *arguments: str) -> Running:
    """Start `coldvoxctl listen --start`, and return it after its session has started."""
    command = await ctl("listen", "--start", *arguments)
    await eventually(lambda: running.control.session, what="the session")
    return command


async def listening(ctl: Ctl, *arguments: str) -> Running:
    """Start `coldvoxctl listen --json`, and return it after it has subscribed."""
    command = await ctl("listen", "--json", *arguments)
    assert json.loads(await command.line()) == {"event": "listening"}
    return command


async def next_object(command: Running) -> dict[str, object]:
    while (found := json.loads(await command.line()))["event"] == "speech-started":
        pass
    assert isinstance(found, dict)
    return found


async def test_listen_prints_texts_until_interrupted(running: RunningService, ctl: Ctl) -> None:
    command = await listening(ctl)
    for number in (1, 2):
        running.control.start(MINE, SessionOptions(), 0.0)
        running.control.say("one sentence")
        running.control.toggle(MINE, 0.0)
        assert await next_object(command) == {"event": "started", "session": number}
        assert await next_object(command) == {
            "event": "transcribed",
            "session": number,
            "utterance": 1,
            "text": "one sentence",
            "start": 0.5,
            "end": 1.5,
            "confidence": 0.875,
            "provider": "CPUExecutionProvider",
            "latency": 0.25,
            "retried": False,
            "body": "one sentence",
            "pending": "",
            "seam": "",
        }
        stopped = {"event": "stopped", "session": number, "reason": "stopped", "transcript": "one sentence"}
        assert await next_object(command) == stopped
    command.process.send_signal(signal.SIGINT)
    assert (await command.ended()).exit == Exit.DONE


async def test_once_ends_with_a_session(running: RunningService, ctl: Ctl) -> None:
    command = await listening(ctl, "--once")
    running.control.start(MINE, SessionOptions(), 0.0)
    running.control.toggle(MINE, 0.0)
    result = await command.ended()
    assert result.exit == Exit.DONE
    assert result.objects[-1]["event"] == "stopped"


async def test_start_prints_the_texts_alone_and_an_interrupt_finishes(running: RunningService, ctl: Ctl) -> None:
    command = await begin(ctl, running)
    assert running.control.options == SessionOptions(bind_to_caller=True)
    running.control.say("the first")
    assert await command.line() == "the first"
    running.control.say("and the last")
    command.process.send_signal(signal.SIGINT)
    result = await command.ended()
    assert (result.exit, result.out, result.err) == (Exit.DONE, "and the last\n", "")
    assert running.control.session == 0
    assert running.control.left == []


async def test_other_texts_are_below_each_text_where_they_are_wanted(running: RunningService, ctl: Ctl) -> None:
    others = (Alternative("the thirst", 0.125), Alternative("a first", 0.001))
    command = await begin(ctl, running, "--alternatives", "2")
    assert running.control.options == SessionOptions(bind_to_caller=True, alternatives=2)
    running.control.say("the first", alternatives=others)
    running.control.say("and the last")
    running.control.finish(StopReason.STOPPED)
    assert (await command.ended()).out == "the first\n   12%  the thirst\n   <1%  a first\nand the last\n"
    plain = await listening(ctl, "--once")
    running.control.start(MINE, SessionOptions(alternatives=2), 0.0)
    running.control.say("the first", alternatives=others)
    running.control.finish(StopReason.STOPPED)
    [text] = [found for found in (await plain.ended()).objects if found["event"] == "transcribed"]
    assert text["alternatives"] == [{"text": "the thirst", "share": 0.125}, {"text": "a first", "share": 0.001}]


async def test_start_private_with_words_is_read_by_nobody_else(running: RunningService, ctl: Ctl) -> None:
    async with running.client() as stranger:
        await stranger.subscribe()
        command = await begin(ctl, running, "--private", "--words", "--json")
        running.control.say("secret", words=(Word("secret", 0.5, 1.0, 0.75),))
        running.control.finish(StopReason.TIME_LIMIT)
        result = await command.ended()
        assert stranger.bodies("Transcribed") == []
        assert stranger.bodies("DictationStopped")[0][2] == ""
    assert result.exit == Exit.DONE
    events = {found["event"]: found for found in result.objects}
    assert events["transcribed"]["words"] == [{"word": "secret", "start": 0.5, "end": 1.0, "confidence": 0.75}]
    assert events["stopped"] == {"event": "stopped", "session": 1, "reason": "time-limit", "transcript": "secret"}
    assert [found["event"] for found in result.objects].count("stopped") == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (StopReason.SINGLE_UTTERANCE, Exit.DONE),
        (StopReason.MICROPHONE_LOST, Exit.NOT_READY),
        (StopReason.SHUTDOWN, Exit.UNREACHABLE),
        (StopReason.CANCELLED, Exit.FAILED),
    ],
)
async def test_how_the_session_ended_is_the_exit_code(
    running: RunningService, ctl: Ctl, reason: StopReason, code: Exit
) -> None:
    command = await begin(ctl, running)
    running.control.finish(reason)
    assert (await command.ended()).exit == code


async def test_a_killed_listener_takes_its_session_along(running: RunningService, ctl: Ctl) -> None:
    command = await begin(ctl, running)
    command.process.kill()
    await command.ended()
    await eventually(lambda: running.control.session == 0, what="the end of the session")


async def test_two_interrupts_throw_the_session_away(running: RunningService, ctl: Ctl) -> None:
    running.control.text_pending = asyncio.Event()
    command = await begin(ctl, running)
    command.process.send_signal(signal.SIGINT)
    await eventually(lambda: running.control.state == "transcribing", what="StopDictation")
    command.process.send_signal(signal.SIGINT)
    assert (await command.ended()).exit == Exit.INTERRUPTED
    running.control.text_pending.set()


async def test_a_daemon_that_is_restarted_is_waited_for(bus: PrivateBus, ctl: Ctl) -> None:
    async with running_service(bus):
        command = await listening(ctl)
    assert await next_object(command) == {"event": "daemon-disconnected"}
    async with running_service(bus) as second:
        assert await next_object(command) == {"event": "daemon-connected"}
        second.control.start(MINE, SessionOptions(), 0.0)
        assert await next_object(command) == {"event": "started", "session": 1}


async def test_a_session_of_a_daemon_that_has_gone_is_over_when_the_user_says_so(
    running: RunningService, ctl: Ctl
) -> None:
    command = await begin(ctl, running, "--json")
    await running.connection.aclose()
    await next_of(command, "daemon-disconnected")
    command.process.send_signal(signal.SIGINT)
    assert (await command.ended()).exit == Exit.UNREACHABLE


async def test_a_daemon_that_died_may_come_back_and_finish_the_session(bus: PrivateBus, ctl: Ctl) -> None:
    """If a text arrives twice with the same pair of numbers, it is shown once."""
    async with running_service(bus) as first:
        command = await begin(ctl, first, "--json")
        first.control.say("before")
        assert (await next_of(command, "transcribed"))["text"] == "before"
    await next_of(command, "daemon-disconnected")
    async with running_service(bus) as second:
        await next_of(command, "daemon-connected")
        second.announcer.transcribed(retried(1, "before"), False, None)
        second.announcer.transcribed(retried(2, "after"), False, None)
        second.announcer.dictation_stopped(1, StopReason.RESTARTED, "after", None)
        ended = await command.ended()
    texts = [event["text"] for event in ended.objects if event["event"] == "transcribed"]
    assert (texts, ended.exit) == (["after"], Exit.UNREACHABLE)


async def next_of(command: Running, name: str) -> dict[str, object]:
    """Return the next event of that name, skipping others."""
    while (event := await next_object(command))["event"] != name:
        pass
    return event


def retried(utterance: int, text: str) -> Transcript:
    return Transcript(1, utterance, text, 0.0, 1.0, 0.5, "CPUExecutionProvider", 1.0, retried=True)


async def test_a_bus_that_goes_away_ends_it(running: RunningService, ctl: Ctl) -> None:
    command = await listening(ctl)
    running.bus.kill()
    assert (await command.ended()).exit == Exit.UNREACHABLE


@pytest.mark.parametrize(("arguments", "sessions"), [(("--start",), 1), ((), 0)])
async def test_listen_ends_with_the_program_that_reads_it(
    running: RunningService, bus: PrivateBus, arguments: tuple[str, ...], sessions: int
) -> None:
    """Before its next output, which may never come: the session would keep the microphone open."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "coldvoxd.cli.main", "listen", "--json", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=bus.environment,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    if sessions:
        await eventually(lambda: running.control.session, what="the session")
    else:
        assert await asyncio.to_thread(os.read, reading, 4096) == b'{"event": "listening"}\n'
    os.close(reading)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (Exit.OUTPUT_CLOSED, b"")
    await eventually(lambda: not running.control.session, what="the end of the session")


async def test_without_standard_output_nothing_is_started(running: RunningService, bus: PrivateBus) -> None:
    command = f"{sys.executable} -m coldvoxd.cli.main listen --start >&-"
    process = await asyncio.create_subprocess_shell(
        command, cwd=ROOT, env=bus.environment, stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == Exit.FAILED
    assert err.decode() == "coldvoxctl: Standard output is closed, so the text could not be printed.\n"
    assert running.control.session == 0
