"""Settings files with a non-default value for every key."""

import dataclasses
import tomllib
from typing import Any

from coldvoxd import settings_file
from coldvoxd.typist import settings as typing_settings

OTHERS: dict[str, object] = {
    "microphone.device": "Blue Yeti",
    "microphone.channel": "left",
    "model.name": "mini",
    "model.provider": "cpu",
}
"""Values of settings that the code does not enumerate."""


def daemon_file() -> str:
    """Return a coldvoxd.toml with a non-default value for every setting."""
    lines: list[str] = []
    section = ""
    for doc in settings_file.describe():
        if doc.section != section:
            section = doc.section
            lines += ["", f"[{section}]"]
        lines.append(f"{doc.key} = {settings_file.toml_value(_other(doc))}")
    return "\n".join(lines).lstrip() + "\n"


def typing_file() -> str:
    """Return a type.toml with every key, for all applications and for one of them."""
    rule = "\n".join(f"{key} = {settings_file.toml_value(value)}" for key, value in _other_rule().items())
    return f"{rule}\n\n[applications.firefox]\n{rule}\n"


def settings_as_read(text: str) -> dict[str, Any]:
    """Return the values by section and key, as the current code loads the text of a valid coldvoxd.toml."""
    return {f"{section}.{key}": value for section, keys in tomllib.loads(text).items() for key, value in keys.items()}


def _other(doc: settings_file.SettingDoc) -> object:
    name = f"{doc.section}.{doc.key}"
    if name in OTHERS:
        return OTHERS[name]
    limits = settings_file._metadata(doc)
    if "choices" in limits:
        return next(choice for choice in limits["choices"] if choice != doc.default)
    if isinstance(doc.default, bool):
        return not doc.default
    if isinstance(doc.default, int | float):
        return type(doc.default)((doc.default + limits["max"]) / 2)
    raise AssertionError(f"{name}: add a value that is not the default to OTHERS")


def _other_rule() -> dict[str, object]:
    chosen: dict[str, object] = {"method": "paste", "chord": "shift+Insert", "selection": "primary", "delay_ms": 7}
    assert chosen.keys() == {field.name for field in dataclasses.fields(typing_settings.Rule)}, "add the new key"
    return chosen
