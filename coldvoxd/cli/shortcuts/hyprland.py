"""Hyprland: https://wiki.hypr.land/Configuring/Binds/, bind, bindr and source."""

import re
from collections.abc import Iterator
from pathlib import Path

from coldvoxd.cli.shortcuts.compositor import Compositor, parsed
from coldvoxd.cli.shortcuts.key import START, STOP, TOGGLE, Key, Shortcut


class Hyprland(Compositor):
    """Hyprland's bind, bindr and source."""

    DIRECTORY, CONFIG, SOCKET = "hypr", "hyprland.conf", "HYPRLAND_INSTANCE_SIGNATURE"
    RELOAD = ("hyprctl", "reload")

    def to_create(self, config: Path) -> str:
        del config
        return "start Hyprland, which writes it, and try again"

    def line(self) -> str:
        return f"source = {self._file}"

    def bindings(self, shortcut: Shortcut) -> list[str]:
        key = f"{' '.join(name.upper() for name in shortcut.key.modifiers)}, {_name(shortcut.key.name)}"
        if shortcut.hold:
            return [
                f"bind = {key}, exec, {shortcut.program} {START}",
                f"bindrt = {key}, exec, {shortcut.program} {STOP}",
            ]
        return [f"bind = {key}, exec, {shortcut.program} {TOGGLE}"]

    def keys(self, text: str) -> Iterator[tuple[Key, str]]:
        named: dict[str, str] = {}
        for line in text.splitlines():
            if found := re.match(r"\s*(\$\w+)\s*=\s*(\S+)", line):
                named[found[1]] = found[2]
            elif found := re.match(r"\s*bind\w*\s*=\s*([^,]*),\s*([^,]+),", line):
                modifiers = found[1]
                for name, value in named.items():
                    modifiers = modifiers.replace(name, value)
                yield from parsed("+".join((*re.split(r"[\s_+]+", modifiers.strip()), found[2].strip())), line.strip())


def _name(name: str) -> str:
    return name.upper() if len(name) == 1 else name
