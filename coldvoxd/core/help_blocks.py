"""The parts of a help text: paragraphs, lists of terms, and commands; and a text of them that fits a terminal. Pure.

A help text has paragraphs, whose line breaks mean nothing, and lines that are indented by two spaces: `term  description`,
whose description may continue in lines that are indented further, or a command or another line without a description.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

_ENTRY = re.compile(r"  (?=\S)(?P<term>.*?)(?:(?P<gap>\s{2,})(?P<text>\S.*))?$")
_PROGRAM = "coldvoxctl "


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An indented line, with those that continue it."""

    term: str
    text: str
    """The description; empty for a command, and for another line of its own."""
    column: int
    """Where the description begins, from 0."""

    @property
    def is_command(self) -> bool:
        """Whether this is a command that can be typed."""
        return not self.text and self.term.startswith(_PROGRAM)


class Break:
    """An empty line."""


Block: TypeAlias = Paragraph | Entry | Break


def blocks(text: str) -> Iterator[Block]:
    """Yield the parts of a help text in order."""
    held: list[str] = []
    for line in [*text.strip("\n").splitlines(), ""]:
        is_continued = bool(held) and bool(line.strip()) and (held[0].startswith("  ") == line.startswith("  "))
        if held and not (is_continued and (not line.startswith("  ") or line.startswith("   "))):
            yield _entry(held) if held[0].startswith("  ") else Paragraph(" ".join(held))
            held = []
        if line.strip():
            held.append(line)
        else:
            yield Break()


def wrapped(text: str, width: int) -> str:
    """Return a help text with lines of at most `width` characters; a word that is longer has a line of its own."""
    lines: list[str] = []
    for block in blocks(text):
        match block:
            case Paragraph():
                lines += _filled(block.text, width, "", "")
            case Entry():
                lines += _entry_lines(block, width)
            case Break():
                lines.append("")
    return "\n".join(lines).strip("\n")


def _entry(lines: list[str]) -> Entry:
    found = _ENTRY.match(lines[0])
    assert found is not None  # noqa: S101 - `blocks` passes lines that are indented by two spaces
    column = found.start("text") if found["gap"] else 0
    rest = [line.strip() for line in lines[1:]]
    if not column and rest:
        column = len(lines[1]) - len(lines[1].lstrip())
    return Entry(found["term"].rstrip(), " ".join(filter(None, [found["text"] or "", *rest])), column)


def _entry_lines(entry: Entry, width: int) -> list[str]:
    if entry.is_command:
        lines = _filled(entry.term, width - 2, "  ", "      ")
        return [f"{line} \\" for line in lines[:-1]] + lines[-1:]
    if not entry.text:
        return _filled(entry.term, width, "  ", "      ")
    column = entry.column if entry.column <= width * 3 // 5 else 6
    start = f"  {entry.term}".ljust(column)
    if len(start) == column and start.endswith("  "):
        return _filled(entry.text, width, start, " " * column)
    return [*_filled(entry.term, width, "  ", "      "), *_filled(entry.text, width, " " * column, " " * column)]


def _filled(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
