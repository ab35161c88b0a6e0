#!/usr/bin/env python3
"""Finds words and phrases that are not allowed in the project's texts, and prints suggestions.

contrib/dev/language.py            check all tracked files except those listed as not yet covered
contrib/dev/language.py FILE...    check only these files, completely

It checks messages (strings of programs, scripts, XML, units) and prose (docstrings and comments). Every finding is
printed as FILE:LINE. The exit code is 1 if there is a finding.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

WORDS: tuple[tuple[str, str], ...] = (
    (r"(?:is|are|was|were|be|been|being) told", "is reported, is logged, is notified, is published"),
    (r"tells", "reports, returns, shows"),
    (r"in vain", "discarded, without effect"),
    (r"anew", "again"),
    (r"(?:at most )?so long(?! as)", "the duration with its unit: for this many seconds"),
    (r"at most so", "the limit with its unit"),
    (r"so long as", "while"),
    (r"(?:go|goes|going|gone|went) on", "continue"),
    (r"(?:come|comes|coming|came) to nothing", "fail, return nothing, be discarded"),
    (r"com(?:e|es) of it", "results"),
    (r"whoever", "the subject: the caller, any program, anyone who"),
    (r"nobody|somebody|anybody|everybody", "the subject: no client, another program, any user; or the passive"),
    (r"graphics cards?|(?<!sound\x20)cards?", "GPU for the device, accelerator for the provider's role"),
    (r"owed", "pending"),
    (r"hushed", "silenced, suppressed"),
    (r"(?:let|lets|letting) go of", "release"),
    (r"(?:throw|throws|throwing|threw|thrown)(?: \w+){0,2} away|throw-away", "discard; temporary"),
    (r"mend|mends|mended|mending", "fix, repair, clear"),
    (r"all the same", "nevertheless, anyway"),
    (r"faults? of (?:its|their|the daemon's) own", "internal error"),
    (r"stands? by|stood by|standing by", "is on standby, is the fallback"),
    (r"(?:stands?|stood) still", "stall"),
    (r"(?:object|one|line|each) a (?:line|row|file|step)", "per line, per row"),
    (r"can(?:no|')t be had", "is not available"),
    (r"once more", "again"),
    (r"for ever", "indefinitely"),
    (r"(?:is|are|was|were) begun", "start"),
    (r"put(?:s|ting)? away", "release, stop"),
    (r"(?:take|takes|taking|taken|took)(?: it)? up (?:again|where)", "resume"),
    (r"again and again", "repeatedly"),
    (r"of its own accord", "automatically"),
    (r"by its own words", "as reported by"),
    (r"lets? (?:nobody|no one|none) in", "rejects the connection"),
)
"""Regular expressions of words, ignoring case, and replacements."""

NOT_YET = (
    "contrib/dev/language.py",
    "contrib/training/mini-parakeet/*",
    "tests/contrib/test_language.py",
)
"""Patterns of files that are not checked yet; `*` includes slashes."""

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
STRING = re.compile(r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`")


class Text(NamedTuple):
    """A passage of a file; `line` is the number of its first line, from 1."""

    line: int
    words: str


class Finding(NamedTuple):
    line: int
    words: str
    instead: str


def findings(path: Path) -> Iterator[Finding]:
    """Yield the words that must be replaced."""
    extract = EXTRACTORS.get(path.suffix)
    if extract is None:
        return
    for text in extract(path.read_text("utf-8")):
        for pattern, instead in _PATTERNS:
            for match in pattern.finditer(text.words):
                line = text.line + text.words.count("\n", 0, match.start())
                yield Finding(line, " ".join(match[0].split()), instead)


def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])".replace(" ", r"\s+"), re.IGNORECASE)


_PATTERNS = tuple((_compiled(pattern), instead) for pattern, instead in WORDS)


def _of_python(source: str) -> Iterator[Text]:
    """Yield docstrings and other string literals, joined where Python joins them, and blocks of comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Text(node.lineno, node.value)
    yield from _comments(source)


def _comments(source: str) -> Iterator[Text]:
    """Yield comments; those on adjacent lines together, since a phrase may be wrapped."""
    first, last, lines = 0, 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if lines and token.start[0] != last + 1:
            yield Text(first, "\n".join(lines))
            lines = []
        if not lines:
            first = token.start[0]
        last = token.start[0]
        lines.append(token.string.lstrip("# "))
    if lines:
        yield Text(first, "\n".join(lines))


def _of_javascript(source: str) -> Iterator[Text]:
    for match in re.finditer(f"{COMMENT.pattern}|{STRING.pattern}", source, re.DOTALL):
        yield Text(1 + source.count("\n", 0, match.start()), match[0])


def _of_text(source: str) -> Iterator[Text]:
    """Yield the whole file without comment signs, since a phrase may be wrapped."""
    yield Text(1, re.sub(r"(?m)^([ \t]*)#", r"\1 ", source))


EXTRACTORS: dict[str, Callable[[str], Iterator[Text]]] = {
    ".py": _of_python,
    **dict.fromkeys((".js", ".mjs", ".qml"), _of_javascript),
    **dict.fromkeys((".conf", ".json", ".md", ".service", ".sh", ".toml", ".xml"), _of_text),
}


def tracked() -> list[Path]:
    """Return the files of this checkout that git tracks."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name]


def is_one_of(path: Path, patterns: tuple[str, ...]) -> bool:
    """Return whether a file of this checkout matches a pattern."""
    return any(fnmatch(path.relative_to(ROOT).as_posix(), pattern) for pattern in patterns)


def main() -> int:
    """Print the findings; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    files: list[Path] = parser.parse_args().files
    found = False
    for path in files or [path for path in tracked() if path.is_file() and not is_one_of(path, NOT_YET)]:
        for finding in findings(path):
            found = True
            name = path if files else path.relative_to(ROOT)
            print(f"{name}:{finding.line}: {finding.words!r}: write {finding.instead}")
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
