"""Makes control characters visible in names that a terminal shows."""

import unicodedata

_HIDDEN = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Line and paragraph separators, and the characters that reorder the text around them."""
ELLIPSIS = "…"
_BYTES = range(0xDC80, 0xDD00)
"""The surrogates with which Python represents undecodable bytes: PEP 383."""


def is_unicode(text: str) -> bool:
    """Whether the text can be encoded: Python represents undecodable bytes of arguments and variables as surrogates."""
    return not any(unicodedata.category(character) == "Cs" for character in text)


def is_visible(character: str) -> bool:
    """Whether a terminal shows the character, and nothing else happens."""
    return unicodedata.category(character) not in {"Cc", "Cs"} and character not in _HIDDEN


def visible(text: str, keep: str = "") -> str:
    r"""Replace control characters and undecodable bytes, except those in `keep`, by escapes such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(found if found in keep or is_visible(found) else _escaped(found) for found in text)


def columns(text: str) -> int:
    """Number of columns that a visible text takes on a terminal: Unicode Standard Annex 11."""
    return sum(_width(character) for character in text)


def shortened(text: str, width: int, ellipsis: str = ELLIPSIS) -> str:
    """The end of a visible text that fits into `width` columns, after an ellipsis if something is left out."""
    if columns(text) <= width:
        return text
    begin, left = len(text), width - columns(ellipsis)
    while begin > 0 and (left := left - _width(text[begin - 1])) >= 0:
        begin -= 1
    return f"{ellipsis}{text[begin:]}" if width >= columns(ellipsis) else ""


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(
        character,
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}",
    )
