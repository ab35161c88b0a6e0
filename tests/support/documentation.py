"""The README and the manual for tests: their pages, blocks and commands.

A fenced block has one of these marks: `sh` for commands to type, `toml FILE` for the content of a settings file, `text`
for output, `mermaid` for a picture. Indented lines and other marks are errors, so that no command escapes the tests.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
MANUAL = ROOT / "contrib/docs"
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b")
"""KEY, FILE, NAME: placeholders that the reader replaces."""
PROGRAMS = ("coldvoxctl", "coldvoxd", "coldvox-type", "systemctl", "journalctl", "busctl")
"""Programs with which an inline code span starts if it is a command, besides paths of scripts."""
SCRIPT = re.compile(r"(?:\./)?(?:contrib|\.ci)/\S+")
"""A program of this repository, which is also mentioned without arguments."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    mark: str
    """The first word after the fence."""
    argument: str
    """The rest of that line."""
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """A line that a reader may type."""

    page: Path
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    @property
    def program(self) -> str:
        """The program without the folder of an environment."""
        return self.words[0].removeprefix(".venv/bin/")


@cache
def pages() -> tuple[Path, ...]:
    return (README, *sorted(MANUAL.rglob("*.md")))


def blocks(page: Path) -> Iterator[Block]:
    """Yield all fenced blocks of a page. Raises ValueError if a fence is not closed."""
    lines = page.read_text("utf-8").splitlines()
    begin: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if begin is None:
            begin = number
            continue
        mark, _, argument = lines[begin].removeprefix("```").partition(" ")
        yield Block(page, begin + 1, mark, argument, "\n".join(lines[begin + 1 : number]) + "\n")
        begin = None
    if begin is not None:
        raise ValueError(f"{page}: the fence in line {begin + 1} is not closed")


def block_commands() -> tuple[Command, ...]:
    """Return the commands of all `sh` blocks, once per page: without comments, and with continued lines joined."""
    found = [
        Command(block.page, command)
        for page in pages()
        for block in blocks(page)
        if block.mark == "sh"
        for command in _lines(block.text)
    ]
    return tuple(dict.fromkeys(found))


def inline_commands() -> tuple[Command, ...]:
    """Return the commands in code spans of the text and of tables."""
    found: list[Command] = []
    for page in pages():
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for span in re.findall(r"`([^`\n]+)`", text):
            first, _, rest = span.removeprefix(".venv/bin/").partition(" ")
            if (first in PROGRAMS and rest) or SCRIPT.fullmatch(first.removeprefix("python ")):
                found.append(Command(page, span))
    return tuple(dict.fromkeys(found))


def _lines(text: str) -> Iterator[str]:
    joined = re.sub(r" *\\\n *", " ", text)
    for line in joined.splitlines():
        command = re.sub(r"(^|\s+)# .*$", "", line).strip()
        if command:
            yield command
