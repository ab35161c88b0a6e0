"""Layouts of the virtual keyboard: each character of a text on a key of its own that prints on every keyboard.

Chromium and other programs act on the code of a key, not on its character, where the character is no ASCII letter or
digit: a `.` on the key of BackSpace is lost. Key codes are those of linux/input-event-codes.h.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PRINTING = (*range(2, 14), *range(16, 28), *range(30, 42), *range(43, 54), 86)
"""Codes of the 48 keys that print a character: digits, letters and punctuation of a keyboard with 105 keys."""
LAST_TYPED = 0xFFFF
"""Clients know keysyms beyond the Basic Multilingual Plane, but some of them split or drop such characters."""
_FIXED = {"\t": 15, "\n": 28, " ": 57}
_LINES = {2: "1234567890-=", 16: "qwertyuiop[]", 30: "asdfghjkl;'`", 43: "\\zxcvbnm,./"}
_US = {character: first + place for first, line in _LINES.items() for place, character in enumerate(line)}
"""The code of a character's key on a US keyboard."""
_XKB_ROWS = {2: ("AE", 12), 16: ("AD", 12), 30: ("AC", 11), 44: ("AB", 10)}
_XKB_NAMES = {
    first + place: f"{row}{place + 1:02}" for first, (row, count) in _XKB_ROWS.items() for place in range(count)
}
_XKB_NAMES |= {41: "TLDE", 43: "BKSL", 86: "LSGT"}
"""Names of the printing keys in XKB's list of key codes `evdev`."""

Codes = Mapping[str, int]
"""The key code of each character."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text whose characters fit on one keyboard."""

    text: str
    codes: Codes


def can_type(text: str) -> bool:
    """Return whether keys can give all characters of `text`."""
    return all(ord(character) <= LAST_TYPED for character in text)


def pieces(text: str, known: Codes) -> Iterator[Piece]:
    """Cut `text` into parts that fit on one keyboard.

    The first part has the layout `known` with more characters, if they fit.
    """
    codes, start = dict(known), 0
    while start < len(text):
        end = _place(text, start, codes)
        if end == start:
            codes = {}
            continue
        yield Piece(text[start:end], dict(codes))
        start, codes = end, {}


def keymap(keysyms: Mapping[int, str]) -> str:
    """Return a keyboard map in XKB's text format: a US keyboard with these keysym names at these codes."""
    keys = "".join(
        f'key <{_XKB_NAMES[code]}> {{ type[1] = "ONE_LEVEL", symbols[1] = [ {name} ] }};\n'
        for code, name in keysyms.items()
    )
    return (
        'xkb_keymap {\nxkb_keycodes { include "evdev+aliases(qwerty)" };\nxkb_types { include "complete" };\n'
        'xkb_compatibility { include "complete" };\nxkb_symbols { include "pc+us"\n' + keys + "};\n};\n"
    )


def keysym(character: str) -> str:
    """Return the name of a character's keysym."""
    return f"U{ord(character):04X}"


def keysyms(codes: Codes) -> Mapping[int, str]:
    """Return the keysym names by code; Return, Tab and the space bar keep theirs."""
    return {code: keysym(character) for character, code in codes.items() if character not in _FIXED}


def _place(text: str, start: int, codes: dict[str, int]) -> int:
    """Add the characters from `start` to `codes` while there are free keys; return where the next part starts."""
    used = set(codes.values())
    for place in range(start, len(text)):
        character = text[place]
        if character in codes:
            continue
        own = _FIXED.get(character) or _US.get(character.lower())
        code = own if own is not None and own not in used else next((key for key in PRINTING if key not in used), None)
        if code is None:
            return place
        codes[character] = code
        used.add(code)
    return len(text)
