"""Parses TOML and JSON that a user may have edited: whatever the text is, the only error is a ValueError."""

import json
import re
import tomllib
from typing import Any

from coldvoxd.core.sentences import sentence

MOST_LEVELS = 32
"""Levels of nesting of a TOML text, and parts of a key. Coldvoxd's own files have three."""
_INTEGER_BITS = 64
"""The size of the integers that TOML 1.0.0 guarantees; Python cannot print integers of any size."""
_PART = r"(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')"
_DEEP_KEY = re.compile(rf"(?<![\w-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MOST_LEVELS}}}")
"""Searched before the text is parsed, because tomllib's time grows with the square of a key's parts."""


class NotToml(ValueError):
    """The text cannot be used as TOML. The message continues a sentence that starts with the file's name."""


def toml_tables(text: str) -> dict[str, Any]:
    """The tables and keys of a TOML text. Raises NotToml."""
    too_deep = NotToml(f"cannot be used: it is nested more than {MOST_LEVELS} levels deep.")
    if _DEEP_KEY.search(text):
        raise too_deep
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(f"is not TOML: {sentence(str(error))}") from error
    except RecursionError:
        raise too_deep from None
    except ValueError:  # Python's limit on the digits of an integer
        raise _too_large() from None
    level: list[Any] = [tables]
    for _ in range(MOST_LEVELS):
        level = [inner for outer in level for inner in _inner(outer)]
        if any(isinstance(value, int) and value.bit_length() > _INTEGER_BITS for value in level):
            raise _too_large()
    if level:
        raise too_deep
    return tables


def json_value(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, also if it is nested too deeply for Python."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _inner(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _too_large() -> NotToml:
    return NotToml(f"cannot be used: a whole number in it has more than {_INTEGER_BITS} bits.")
