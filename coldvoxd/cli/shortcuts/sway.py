"""sway: https://man.archlinux.org/man/sway.5, bindsym and include."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from coldvoxd.cli.shortcuts.compositor import Compositor, parsed
from coldvoxd.cli.shortcuts.key import TOGGLE, Key, Shortcut
from coldvoxd.cli.shortcuts.key_names import in_config
from coldvoxd.cli.sway_hold import HELD, LOCK, RELEASED
from coldvoxd.core.errors import ColdvoxError

_DEFAULTS = (Path("/etc/sway/config"), Path("/usr/local/etc/sway/config"))
"""Where packages and a build from source put sway's default configuration."""


class Sway(Compositor):
    """sway's bindsym and include."""

    DIRECTORY, CONFIG, SOCKET = "sway", "config", "SWAYSOCK"
    RELOAD = ("swaymsg", "reload")
    _SPELT: ClassVar = {"Super": "Mod4", "Ctrl": "Ctrl", "Alt": "Mod1", "Shift": "Shift"}

    def to_create(self, config: Path) -> str:
        default = next((place for place in _DEFAULTS if place.exists()), None)
        if default is None:
            return "create it first, from sway's default configuration"
        return f"create it first, for example with `install -D -m 644 {default} {config}`"

    def line(self) -> str:
        return f"include {self._file}"

    def bindings(self, shortcut: Shortcut) -> list[str]:
        key = "+".join((*(self._SPELT[name] for name in shortcut.key.modifiers), in_config(shortcut.key.name)))
        program = f'exec "{shortcut.program}"'
        if shortcut.hold:
            if not shutil.which("flock"):
                raise ColdvoxError(
                    "flock is not installed (package util-linux); sway needs it to dictate while a key is held."
                )
            once = f'exec flock --nonblock "${{XDG_RUNTIME_DIR}}/{LOCK}"'
            return [
                f"bindsym {key} {once} {shlex.quote(shortcut.program)} {HELD}",
                f"bindsym --release {key} {RELEASED}",
            ]
        return [f"bindsym --no-repeat {key} {program} {TOGGLE}"]

    def keys(self, text: str) -> Iterator[tuple[Key, str]]:
        named: dict[str, str] = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 3 and words[0] == "set":
                named[words[1]] = words[2]
            elif words and words[0] == "bindsym":
                chord = next((word for word in words[1:] if not word.startswith("--")), "")
                for name, value in named.items():
                    chord = chord.replace(name, value)
                yield from parsed(chord, line.strip())
