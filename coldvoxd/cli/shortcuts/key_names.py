"""Names of keys as X11 spells them: sway, Hyprland and GNOME take these, and Plasma has its own for some."""

import re

_SPELT = {
    "Return": "enter",
    "Escape": "esc",
    "Page_Up": "pgup pageup prior",
    "Page_Down": "pgdn pgdown pagedown next",
    "Delete": "del",
    "Insert": "ins",
    "BackSpace": "",
    "Tab": "",
    "space": "",
    "Home": "",
    "End": "",
    "Left": "",
    "Right": "",
    "Up": "",
    "Down": "",
    "Print": "prtsc printscreen sysrq",
    "Pause": "break",
    "Scroll_Lock": "scrolllock",
    "Caps_Lock": "capslock caps",
    "Num_Lock": "numlock",
    "Menu": "",
    "comma": ",",
    "period": ".",
    "slash": "/",
    "backslash": "\\",
    "minus": "-",
    "equal": "=",
    "semicolon": ";",
    "apostrophe": "'",
    "grave": "`",
    "bracketleft": "[",
    "bracketright": "]",
    "adiaeresis": "ä",
    "odiaeresis": "ö",
    "udiaeresis": "ü",
    "ssharp": "ß",
    "agrave": "à",
    "eacute": "é",
    "egrave": "è",
    "ccedilla": "ç",
    "ntilde": "ñ",
    "aring": "å",
    "ae": "æ",
    "oslash": "ø",
}
"""X11's names, and other spellings of each: those on keyboards, in Qt, and the characters."""
_KNOWN = {other: name for name, others in _SPELT.items() for other in (name.lower(), *others.split())}
_ALONE = {"Pause", "Scroll_Lock", "Print", "Menu", "Insert", "Caps_Lock", "Num_Lock"}
_QT = {
    "Return": "Return",
    "Escape": "Esc",
    "Page_Up": "PgUp",
    "Page_Down": "PgDown",
    "Delete": "Del",
    "Insert": "Ins",
    "BackSpace": "Backspace",
    "space": "Space",
    "Scroll_Lock": "ScrollLock",
    "Caps_Lock": "CapsLock",
    "Num_Lock": "NumLock",
}
"""Qt's names where they differ; for characters it takes the character."""


def key_name(text: str) -> str:
    """Return the key as X11 names it, letters and digits as they are. Raises ValueError if the name is unknown."""
    if re.fullmatch(r"[A-Za-z0-9]", text):
        return text
    if known := _KNOWN.get(text.lower()):
        return known
    if re.fullmatch(r"[Ff]([1-9]|[12]\d|3[0-5])", text):
        return text.upper()
    if re.fullmatch(r"XF86[A-Z]\w*", text, re.ASCII):
        return text
    raise ValueError(text)


def in_config(name: str) -> str:
    """Return the name for the configuration of a compositor or GNOME: letters are lower-case."""
    return name.lower() if len(name) == 1 else name


def in_qt(name: str) -> str:
    """Return Qt's name for the key."""
    character = _SPELT.get(name, "")
    return _QT.get(name) or (character.upper() if len(character) == 1 else name)


def works_alone(name: str) -> bool:
    """Return whether the key may be taken from all programs without a modifier: it types nothing, and moves nothing."""
    return name in _ALONE or name.startswith("XF86") or re.fullmatch(r"F\d+", name) is not None
