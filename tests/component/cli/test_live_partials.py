"""coldvoxctl listen --partials: words while they are spoken, on a terminal and elsewhere."""

import asyncio
import os
import select
import signal
from collections.abc import Sequence

import pytest

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.live_partials import tail_of
from coldvoxd.core.values import SessionOptions, StopReason
from tests.component.cli.conftest import Ctl, Running, Terminal
from tests.support.bus.private_bus import RunningService
from tests.support.eventually import eventually

DIM, NORMAL = "\033[2m", "\033[22m"


@pytest.mark.parametrize(
    ("pieces", "width", "line"),
    [
        ([], 10, ""),
        ([("one two", False)], 10, "one two"),
        ([("one", False), ("two", True)], 10, f"one {DIM}two{NORMAL}"),
        ([("two", True)], 10, f"{DIM}two{NORMAL}"),
        ([("one", False), ("two", True)], 6, f"…e {DIM}two{NORMAL}"),
        ([("one", False), ("two", True)], 5, f"… {DIM}two{NORMAL}"),
        ([("one", False), ("two", True)], 4, f"…{DIM}two{NORMAL}"),
        ([("one", False), ("two", True)], 3, f"…{DIM}wo{NORMAL}"),
        ([("one", False), ("two", True)], 1, "…"),
        ([("one", False), ("two", True)], 0, ""),
        ([("日本語", False), ("東京", True)], 8, f"…語 {DIM}東京{NORMAL}"),
        ([("a", False), ("b", True), ("c", False), ("d", True)], 6, f"…{DIM}b{NORMAL} c {DIM}d{NORMAL}"),
    ],
)
def test_the_end_of_a_long_line_is_shown_and_words_that_may_change_are_dim(
    pieces: Sequence[tuple[str, bool]], width: int, line: str
) -> None:
    assert tail_of(pieces, width) == line


async def listening(
    ctl: Ctl,
    running: RunningService,
    *arguments: str,
    stdout: int = asyncio.subprocess.PIPE,
    environment: dict[str, str] | None = None,
) -> Running:
    """Start `coldvoxctl listen --start`, and return it after its session has started."""
    command = await ctl("listen", "--start", *arguments, stdout=stdout, environment=environment)
    await eventually(lambda: running.control.session, what="the session")
    return command


async def test_the_session_is_started_with_the_option_and_each_partial_is_an_object(
    running: RunningService, ctl: Ctl
) -> None:
    command = await listening(ctl, running, "--partials", "--json")
    assert running.control.options == SessionOptions(bind_to_caller=True, partials=True)
    running.control.say_so_far("", "one")
    running.control.say_so_far("one", "sen")
    running.control.say("one sentence")
    running.control.finish(StopReason.TIME_LIMIT)
    found = [one for one in (await command.ended()).objects if one["event"] != "started"]
    assert found[:2] == [
        {"event": "partial-transcribed", "session": 1, "utterance": 1, "stable": "", "unstable": "one"},
        {"event": "partial-transcribed", "session": 1, "utterance": 1, "stable": "one", "unstable": "sen"},
    ]
    assert [one["event"] for one in found[2:]] == ["transcribed", "stopped"]


async def test_through_a_pipe_each_partial_is_a_line_of_its_own_form(running: RunningService, ctl: Ctl) -> None:
    command = await listening(ctl, running, "--partials")
    for partial in (("", "one"), ("one", "sen"), ("one sentence", ""), ("", "")):
        running.control.say_so_far(*partial)
    running.control.say("one sentence")
    running.control.finish(StopReason.TIME_LIMIT)
    result = await command.ended()
    assert (result.out, result.err) == ("~ | one\n~ one | sen\n~ one sentence |\n~ |\none sentence\n", "")


async def test_without_the_option_no_partial_is_printed(running: RunningService, ctl: Ctl) -> None:
    command = await listening(ctl, running, "--json")
    running.control.say_so_far("one", "sen")
    running.control.say("one sentence")
    running.control.finish(StopReason.TIME_LIMIT)
    assert [one["event"] for one in (await command.ended()).objects] == ["started", "transcribed", "stopped"]


async def test_a_terminal_has_one_line_that_the_text_replaces(running: RunningService, ctl: Ctl) -> None:
    terminal = Terminal()
    command = await listening(ctl, running, "--partials", stdout=terminal.its)
    running.control.say_so_far("", "one")
    running.control.say_so_far("one", "sen\x1b[31m")
    running.control.say("one sentence")
    running.control.say_so_far("and " * 20 + "so", "the\nlast")
    running.control.finish(StopReason.TIME_LIMIT)
    assert (await command.ended()).exit == Exit.DONE
    lines = terminal.written().split("\r\033[K")
    assert lines[:4] == ["", f"{DIM}one{NORMAL}", f"one {DIM}sen\\x1b[31m{NORMAL}", "one sentence\r\n"]
    longest = lines[4].replace(DIM, "").replace(NORMAL, "")
    assert len(longest) == 37, "all of the 40 columns but the last one, and those of an echoed ^C"
    assert longest.endswith("and so the\\nlast")
    assert lines[5:] == [""], "the words of an utterance without a text are cleared at the end"


async def test_a_terminal_that_cannot_rewrite_lines_has_no_escape_codes(running: RunningService, ctl: Ctl) -> None:
    terminal = Terminal()
    dumb = running.bus.environment | {"TERM": "dumb"}
    command = await listening(ctl, running, "--partials", stdout=terminal.its, environment=dumb)
    running.control.say_so_far("one", "sen")
    running.control.say("one sentence")
    running.control.finish(StopReason.TIME_LIMIT)
    await command.ended()
    assert terminal.written() == "~ one | sen\r\none sentence\r\n"


async def test_what_the_encoding_lacks_is_counted_as_it_is_printed(running: RunningService, ctl: Ctl) -> None:
    terminal = Terminal()
    ascii_only = running.bus.environment | {"PYTHONIOENCODING": "ascii"}
    command = await listening(ctl, running, "--partials", stdout=terminal.its, environment=ascii_only)
    running.control.say_so_far("word " * 20, "né")
    running.control.finish(StopReason.TIME_LIMIT)
    await command.ended()
    _, line, *_ = terminal.written().replace(DIM, "").replace(NORMAL, "").split("\r\033[K")
    assert (line[:3], line[-5:], len(line)) == ("...", "n\\xe9", 37)


async def test_the_words_of_an_utterance_that_comes_to_nothing_are_cleared(running: RunningService, ctl: Ctl) -> None:
    terminal = Terminal()
    command = await listening(ctl, running, "--partials", stdout=terminal.its)
    running.control.say_so_far("", "one")
    running.control.say_so_far("", "")
    running.control.say("something else")
    running.control.finish(StopReason.TIME_LIMIT)
    await command.ended()
    assert terminal.written() == f"\r\033[K{DIM}one{NORMAL}\r\033[Ksomething else\r\n"


async def test_an_interrupt_leaves_no_unfinished_line(running: RunningService, ctl: Ctl) -> None:
    terminal = Terminal()
    command = await ctl("listen", "--partials", stdout=terminal.its, stderr=asyncio.subprocess.DEVNULL)
    running.control.start(":1.0", SessionOptions(partials=True), 0.0)

    def is_shown() -> bool:
        running.control.say_so_far("", "one")
        return bool(select.select([terminal.ours], [], [], 0)[0])

    await eventually(is_shown, what="the words on the terminal")
    assert os.read(terminal.ours, 1 << 16).decode() == f"\r\033[K{DIM}one{NORMAL}"
    command.process.send_signal(signal.SIGINT)
    assert (await command.ended()).exit == Exit.DONE
    assert terminal.written() == "\r\033[K"


@pytest.mark.parametrize("command", ["start", "toggle"])
async def test_other_commands_pass_the_option(running: RunningService, ctl: Ctl, command: str) -> None:
    await (await ctl(command, "--partials")).ended()
    assert running.control.options == SessionOptions(partials=True)


async def test_a_daemon_without_partials_is_named(
    running: RunningService, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running.control.session == 0
    monkeypatch.setattr("coldvoxd.bus.properties.capabilities_of", lambda _: ["private", "words"])
    result = await (await ctl("listen", "--partials", "--json")).ended()
    assert (result.exit, result.out) == (Exit.NOT_SUPPORTED, "")
    assert "has no partial transcripts" in result.error["message"]
