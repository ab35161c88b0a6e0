"""Line numbers of the keys in a TOML file, for messages: tomllib does not report them."""

import re
from collections.abc import Mapping

KeyPath = tuple[str, ...]
"""A key with the names of its tables, from the outermost, such as `("model", "name")`."""

_PART = r"(?:\"[^\"]*\"|'[^']*'|[\w-]+)"
_PATH = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_PATH})\s*\]")
_KEY = re.compile(rf"\s*({_PATH})\s*=")


def line_numbers(text: str) -> Mapping[KeyPath, int]:
    """The first line, from 1, of every table and key. Keys of an inline table are not listed."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = path = _names(header[1])
        elif key := _KEY.match(line):
            path = (*table, *_names(key[1]))
        else:
            continue
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], number)
    return lines


def nearest_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of a key, or of the innermost table around it that is listed; 1 if none is."""
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 1)


def _names(path: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, path))
