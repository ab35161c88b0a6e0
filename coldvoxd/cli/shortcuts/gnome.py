"""GNOME: a custom shortcut in its settings."""

import re

from coldvoxd.cli.shortcuts.desktop import run
from coldvoxd.cli.shortcuts.key import NAMES, TOGGLE, Key, Shortcut
from coldvoxd.cli.shortcuts.key_names import in_config
from coldvoxd.core.errors import ColdvoxError

EXTENSION = "coldvoxd@coldvox.org"


class Gnome:
    """Implements Desktop by a custom shortcut in GNOME's settings."""

    note = "the key works now"
    SCHEMA = "org.gnome.settings-daemon.plugins.media-keys"
    OWN = f"{SCHEMA}.custom-keybinding"
    BASE = "/org/gnome/settings-daemon/plugins/media-keys/custom-keybindings/"
    PATH = f"{BASE}coldvoxd/"
    OTHERS = (
        "org.gnome.desktop.wm.keybindings",
        "org.gnome.shell.keybindings",
        "org.gnome.mutter.keybindings",
        "org.gnome.mutter.wayland.keybindings",
        SCHEMA,
    )

    def present(self) -> list[str]:
        if self.PATH not in self._paths():
            return []
        values = {name: self._own(name) for name in ("binding", "command")}
        return [f"GNOME's custom shortcut “Dictate”: {values['binding']} runs {values['command']}"]

    def taken(self, key: Key) -> str:
        for path in self._paths():
            if path != self.PATH and _is_in(key, run("gsettings", "get", f"{self.OWN}:{path}", "binding")):
                return f"the custom shortcut {run('gsettings', 'get', f'{self.OWN}:{path}', 'name')}"
        schemas = run("gsettings", "list-schemas").split()
        for schema in self.OTHERS:
            for line in run("gsettings", "list-recursively", schema).splitlines() if schema in schemas else ():
                _, name, value = line.split(" ", 2)
                if _is_in(key, value):
                    return f"{name} of {schema}"
        if key.same_as(Key.parsed("Super+Alt+D")) and EXTENSION in self._extensions():
            return "the coldvoxd extension for GNOME, which has its own shortcut"
        return ""

    def changes(self, shortcut: Shortcut) -> list[str]:
        if shortcut.hold:
            raise ColdvoxError(
                "GNOME's own shortcuts do not report the release of a key: omit --hold. To dictate while a key is held, use the portal: "
                "`coldvoxctl shortcut portal`."
            )
        return [f"GNOME's settings get a custom shortcut “Dictate”: {shortcut.key} runs `{shortcut.program} {TOGGLE}`"]

    def install(self, shortcut: Shortcut) -> None:
        binding = "".join(f"<{modifier}>" for modifier in shortcut.key.modifiers) + in_config(shortcut.key.name)
        values = {"name": "Dictate", "command": f"{shortcut.program} {TOGGLE}", "binding": binding}
        for name, value in values.items():
            run("gsettings", "set", f"{self.OWN}:{self.PATH}", name, value)
        self._set_paths([*self._paths(), self.PATH])

    def remove(self) -> list[str]:
        paths = self._paths()
        if self.PATH not in paths:
            return []
        self._set_paths([path for path in paths if path != self.PATH])
        run("gsettings", "reset-recursively", f"{self.OWN}:{self.PATH}")
        return ["GNOME's custom shortcut “Dictate” is removed"]

    def _own(self, name: str) -> str:
        return run("gsettings", "get", f"{self.OWN}:{self.PATH}", name).strip("'")

    def _paths(self) -> list[str]:
        return re.findall(r"'([^']+)'", run("gsettings", "get", self.SCHEMA, "custom-keybindings"))

    def _set_paths(self, paths: list[str]) -> None:
        run("gsettings", "set", self.SCHEMA, "custom-keybindings", str(paths))

    @staticmethod
    def _extensions() -> str:
        try:
            return run("gnome-extensions", "list", "--enabled")
        except ColdvoxError:
            return ""


def _is_in(key: Key, value: str) -> bool:
    """Whether a setting's value, a list of accelerators, has the key."""
    for accelerator in re.findall(r"'([^']*)'", value):
        *modifiers, name = re.split(r"[<>]+", accelerator.lstrip("<"))
        found = {NAMES.get(modifier.lower()) for modifier in modifiers}
        if found == set(key.modifiers) and name.lower() == key.name.lower():
            return True
    return False
