"""The spelling of chords in type.toml: modifiers and a key, joined by `+`. Pure."""

from coldvoxd.core.key_names import x11_name

_MODIFIERS = {"ctrl": "ctrl", "control": "ctrl", "shift": "shift", "alt": "alt", "super": "super", "logo": "super"}


def canonical(text: str) -> str:
    """The chord as X11 spells its keys, such as `shift+Insert`. Raises ValueError: the end of a sentence about it."""
    *modifiers, key = text.split("+")
    for modifier in modifiers:
        if modifier.lower() not in _MODIFIERS:
            raise ValueError(f"has no modifier `{modifier}`: there are {', '.join(dict.fromkeys(_MODIFIERS.values()))}")
    if len(key) == 1 and key.isprintable() and key != " ":
        named = key
    elif name := x11_name(key):
        named = name
    elif not key:
        raise ValueError(
            "ends without a key: write a character after it, or a key's name such as Insert, F13 or XF86Paste"
        )
    else:
        raise ValueError(f"has no key `{key}`: write a character, or a key's name such as Insert, F13 or XF86Paste")
    return "+".join((*(_MODIFIERS[modifier.lower()] for modifier in modifiers), named))
