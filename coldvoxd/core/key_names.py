"""Names of keys as X11 spells them (X11/keysymdef.h), and how people and keyboards spell them."""

import re

_NAMED = {
    "Return": "enter",
    "Escape": "esc",
    "Page_Up": "pgup pageup prior",
    "Page_Down": "pgdn pgdown pagedown next",
    "Delete": "del",
    "Insert": "ins",
    "Print": "prtsc printscreen sysrq",
    "Pause": "break",
    "Scroll_Lock": "scrolllock",
    "Caps_Lock": "capslock caps",
    "Num_Lock": "numlock",
} | dict.fromkeys(
    ["BackSpace", "Tab", "space", "Home", "End", "Left", "Right", "Up", "Down", "Menu", "Paste", "plus", "Multi_key"],
    "",
)
"""X11's names, and other spellings of each."""
_CHARACTERS = {
    ",": "comma",
    ".": "period",
    "/": "slash",
    "\\": "backslash",
    "-": "minus",
    "=": "equal",
    ";": "semicolon",
    "'": "apostrophe",
    "`": "grave",
    "[": "bracketleft",
    "]": "bracketright",
    "ä": "adiaeresis",
    "ö": "odiaeresis",
    "ü": "udiaeresis",
    "ß": "ssharp",
    "à": "agrave",
    "é": "eacute",
    "è": "egrave",
    "ç": "ccedilla",
    "ñ": "ntilde",
    "å": "aring",
    "æ": "ae",
    "ø": "oslash",
}
"""X11's names of keys that print a character."""
_KNOWN = {
    spelling: name
    for name, others in (_NAMED | dict.fromkeys(_CHARACTERS.values(), "")).items()
    for spelling in (name.lower(), *others.split())
}
_MODIFIER = re.compile(r"(Shift|Control|Alt|Super|Meta|Hyper)_[LR]")
_FAMILIES = re.compile(rf"XF86[A-Z]\w*|KP_[A-Z]\w*|KP_\d|{_MODIFIER.pattern}", re.ASCII)
"""Multimedia keys, such as XF86Paste, of which X11/XF86keysym.h has several hundred, the keypad, and modifiers."""


def x11_name(text: str) -> str:
    """Return X11's name of a key from its name in any case, or another spelling; empty if it is unknown."""
    if re.fullmatch(r"[Ff]([1-9]|[12]\d|3[0-5])", text):
        return text.upper()
    return text if _FAMILIES.fullmatch(text) else _KNOWN.get(text.lower(), "")


def name_of_character(character: str) -> str:
    """Return X11's name of the key that prints this character; empty if it is unknown."""
    return _CHARACTERS.get(character.lower(), "")


def character_of(name: str) -> str:
    """Return the character that a key with this name prints; empty if it is another key."""
    return next((character for character, known in _CHARACTERS.items() if known == name), "")


def is_modifier(name: str) -> bool:
    """Return whether this is one key of a modifier, such as Control_R."""
    return _MODIFIER.fullmatch(name) is not None
