"""KDE Plasma: a service file with a shortcut."""

import re

from coldvoxd.cli.exit_codes import UsageFault
from coldvoxd.cli.install_ledger import Places
from coldvoxd.cli.shortcuts.key import TOGGLE, Key, Shortcut
from coldvoxd.cli.shortcuts.key_names import in_qt
from coldvoxd.core.errors import ColdvoxError


class Kde:
    """Implements Desktop by a service file with a shortcut, which kglobalacceld reads."""

    note = "the key works from your next login on; change it in System Settings under Keyboard, Shortcuts"
    NAME = "org.coldvox.dictate.desktop"

    def __init__(self) -> None:
        places = Places.of_user()
        self._file = places.data / "kglobalaccel" / self.NAME
        self._settings = places.config / "kglobalshortcutsrc"

    def present(self) -> list[str]:
        if not self._file.exists():
            return []
        found = re.search(r"^X-KDE-Shortcuts=(.*)$", self._file.read_text("utf-8"), re.MULTILINE)
        return [f"{self._file}: {found[1] if found else 'no key'}"]

    def taken(self, key: Key) -> str:
        group = ""
        for line in self._settings.read_text("utf-8").splitlines() if self._settings.exists() else ():
            if line.startswith("["):
                group = line
                continue
            name, _, value = line.partition("=")
            keys = value.split(",")[0].replace("\\t", "\t").split("\t")
            if self.NAME not in group and any(_same_spelt(key, spelt) for spelt in keys):
                return f"{name} of {group.strip('[]')}"
        return ""

    def changes(self, shortcut: Shortcut) -> list[str]:
        if shortcut.hold:
            raise ColdvoxError(
                "Plasma's shortcuts for programs do not report the release of a key: omit --hold. To dictate while a key "
                "is held, use the portal: `coldvoxctl shortcut portal`."
            )
        return [f"{self._file} is written: {shortcut.key} runs `{shortcut.program} {TOGGLE}`"]

    def install(self, shortcut: Shortcut) -> None:
        spelt = "+".join(
            ("Meta" if name == "Super" else name) for name in (*shortcut.key.modifiers, in_qt(shortcut.key.name))
        )
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(
            "[Desktop Entry]\nType=Application\nName=Dictate\nNoDisplay=true\nStartupNotify=false\n"
            f'Exec="{shortcut.program}" {TOGGLE}\nX-KDE-Shortcuts={spelt}\n',
            "utf-8",
        )

    def remove(self) -> list[str]:
        if not self._file.exists():
            return []
        self._file.unlink()
        return [f"{self._file} is removed"]


def _same_spelt(key: Key, spelt: str) -> bool:
    try:
        return Key.parsed(spelt).same_as(key)
    except UsageFault:
        return False
