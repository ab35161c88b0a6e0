"""Keys of a shortcut in each desktop's spelling: X11's names in sway, Hyprland and GNOME, Qt's own in Plasma."""

import re

from coldvoxd.core.key_names import character_of, is_modifier, name_of_character, x11_name

_ALONE = {"Pause", "Scroll_Lock", "Print", "Menu", "Insert", "Caps_Lock", "Num_Lock", "Multi_key"}
_QT = {
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
"""Qt's names where they differ; for a character it takes the character."""


def key_name(text: str) -> str:
    """Return the key as X11 names it, letters and digits as they are; empty if the name is unknown."""
    if re.fullmatch(r"[A-Za-z0-9]", text):
        return text
    return name_of_character(text) or x11_name(text)


def in_config(name: str) -> str:
    """Return the name for the configuration of a compositor or GNOME: letters are lower-case."""
    return name.lower() if len(name) == 1 else name


def in_qt(name: str) -> str:
    """Return Qt's name for the key."""
    return _QT.get(name) or character_of(name).upper() or name


def works_alone(name: str) -> bool:
    """Return whether the key may be taken from all programs without a modifier: it types nothing, and moves nothing."""
    return name in _ALONE or is_modifier(name) or re.fullmatch(r"XF86\w+|F\d+", name) is not None
