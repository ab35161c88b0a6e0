"""The daemon's log: a message is one line, whatever names it has."""

import io
import logging
from collections.abc import Iterator

import pytest

from coldvoxd import command


@pytest.fixture(params=[True, False], ids=["journal", "terminal"])
def lines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the root logger prints."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if request.param:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    command.set_up_logging("info")
    printed = io.StringIO()
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(printed)
    yield printed
    root.handlers[:], root.level = handlers, level


def test_a_name_with_control_characters_stays_in_its_line(lines: io.StringIO) -> None:
    logging.getLogger("coldvoxd").warning("There is no microphone “%s”.", "Blue\nYeti\x1b[2J")
    [line] = lines.getvalue().splitlines()
    assert line.endswith(r"There is no microphone “Blue\nYeti\x1b[2J”.")


def test_a_traceback_keeps_its_lines(lines: io.StringIO) -> None:
    logging.getLogger("coldvoxd").error("failed", exc_info=ValueError("first\nsecond"))
    assert [line.rpartition(">")[2] for line in lines.getvalue().splitlines()][-2:] == ["ValueError: first", "second"]
