"""The spelling of chords in type.toml: modifiers and a key, joined by `+`. Pure."""

import re

_MODIFIERS = {"ctrl": "ctrl", "control": "ctrl", "shift": "shift", "alt": "alt", "super": "super", "logo": "super"}
_NAMES = [
    "Insert",
    "Delete",
    "Home",
    "End",
    "Page_Up",
    "Page_Down",
    "Prior",
    "Next",
    "Left",
    "Right",
    "Up",
    "Down",
    "Return",
    "Tab",
    "space",
    "BackSpace",
    "Escape",
    "Menu",
    "KP_Insert",
    "KP_Enter",
    "Paste",
    *[
        "comma",
        "period",
        "slash",
        "backslash",
        "minus",
        "equal",
        "plus",
        "semicolon",
        "apostrophe",
        "grave",
        "bracketleft",
        "bracketright",
    ],
]
_KEYS = {name.lower(): name for name in (*_NAMES, *(f"F{number}" for number in range(1, 36)))}
_MEDIA = re.compile(r"XF86[A-Z]\w*", re.ASCII)
"""Keys of multimedia keyboards, such as XF86Paste: X11/XF86keysym.h has several hundred."""


def canonical(text: str) -> str:
    """The chord as X11 spells its keys, such as `shift+Insert`. Raises ValueError: the end of a sentence about it."""
    *modifiers, key = text.split("+")
    for modifier in modifiers:
        if modifier.lower() not in _MODIFIERS:
            raise ValueError(f"has no modifier `{modifier}`: there are {', '.join(dict.fromkeys(_MODIFIERS.values()))}")
    if len(key) == 1 and key.isprintable() and key != " ":
        named = key
    elif key.lower() in _KEYS:
        named = _KEYS[key.lower()]
    elif _MEDIA.fullmatch(key):
        named = key
    elif not key:
        raise ValueError(
            "ends without a key: write a character after it, or a key's name such as Insert, F13 or XF86Paste"
        )
    else:
        raise ValueError(f"has no key `{key}`: write a character, or a key's name such as Insert, F13 or XF86Paste")
    return "+".join((*(_MODIFIERS[modifier.lower()] for modifier in modifiers), named))
