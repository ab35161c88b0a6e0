"""Values as a settings file spells them, for messages about it. Pure."""

import json

from coldvoxd.core.errors import shown
from coldvoxd.core.visible_text import visible


def toml_spelling(value: object) -> str:
    """Return a value of a TOML file as it may stand there, in one line and shortened: `true`, `["de"]`, `'de'`."""
    if isinstance(value, str):
        return shown(repr(value))
    if isinstance(value, bool | int | float | list | dict):
        return shown(visible(json.dumps(value, ensure_ascii=False, default=str)))
    return shown(str(value))  # a date or a time
