"""The command shortcut: a key of the desktop that dictates, put in place, shown and taken back."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.install_ledger import Places
from coldvoxd.cli.output import Output
from coldvoxd.cli.sway_hold import HELD, LOCK, RELEASED
from coldvoxd.core.errors import ColdvoxError

MODIFIERS = ("Super", "Ctrl", "Alt", "Shift")
_OTHER_NAMES = {"meta": "Super", "mod4": "Super", "logo": "Super", "control": "Ctrl", "mod1": "Alt", "primary": "Ctrl"}
_NAMES = {name.lower(): name for name in MODIFIERS} | _OTHER_NAMES
EXTENSION = "coldvoxd@coldvox.org"
START, STOP, TOGGLE = (f"{command} --from-key" for command in ("start", "stop", "toggle"))


@dataclass(frozen=True, slots=True)
class Key:
    """Modifiers in the order of MODIFIERS, and one key."""

    modifiers: tuple[str, ...]
    name: str

    @classmethod
    def parsed(cls, text: str) -> "Key":
        """Of `Super+Alt+D`; the desktops' own spellings of modifiers too. Raises UsageFault."""
        *modifiers, name = (part.strip() for part in text.split("+"))
        found = {_NAMES.get(modifier.lower()) for modifier in modifiers}
        if None in found or not re.fullmatch(r"\w+", name) or name.lower() in _NAMES:
            raise UsageFault(
                f"{text} is not a key: give modifiers ({', '.join(MODIFIERS)}) and a key, as in Super+Alt+D."
            )
        return cls(tuple(modifier for modifier in MODIFIERS if modifier in found), name)

    def same_as(self, other: "Key") -> bool:
        return self.modifiers == other.modifiers and self.name.lower() == other.name.lower()

    def __str__(self) -> str:
        return "+".join((*self.modifiers, self.name))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the key is to do."""

    key: Key
    hold: bool
    """Dictate while it is held, instead of starting and stopping at each press."""
    program: str
    """The path of coldvoxctl."""


class Desktop(Protocol):
    """A desktop's way to have keys."""

    def present(self) -> list[str]:
        """What is in place, in words; empty where nothing is. Raises ColdvoxError."""
        ...

    def taken(self, key: Key) -> str:
        """By what the key is taken already; empty where it is free. What we put there ourselves doesn't count."""
        ...

    def changes(self, wanted: Wanted) -> list[str]:
        """What `install` will do, in words. Raises ColdvoxError where it can't."""
        ...

    def install(self, wanted: Wanted) -> None: ...

    def remove(self) -> list[str]:
        """Take back what was put there; in words."""
        ...

    note: str
    """From when on it works."""


def shortcut(arguments: Namespace, output: Output) -> Exit:
    """Show, put in place or take back the key. Raises ColdvoxError."""
    name = arguments.desktop or _guessed(os.environ)
    desktop = _DESKTOPS[name]()
    fields: dict[str, object] = {"desktop": name}
    match arguments.shortcut_command:
        case "show":
            present = desktop.present()
            output.result(
                fields | {"installed": present}, "\n".join(present or ["no shortcut of coldvoxd is installed"])
            )
        case "remove":
            removed = desktop.remove()
            output.result(fields | {"removed": removed}, "\n".join(removed or ["there was nothing to remove"]))
        case _:
            wanted = Wanted(Key.parsed(arguments.key), arguments.hold, _program())
            changes = desktop.changes(wanted)
            if by := desktop.taken(wanted.key):
                raise ColdvoxError(f"{wanted.key} is already in use by {by}: choose another with --key.")
            if not arguments.dry_run:
                desktop.remove()
                desktop.install(wanted)
            note = "" if arguments.dry_run else desktop.note
            fields |= {"changes": changes, "applied": not arguments.dry_run}
            output.result(fields, "\n".join(filter(None, (*changes, note))))
    return Exit.DONE


def _guessed(environment: Mapping[str, str]) -> str:
    names = environment.get("XDG_CURRENT_DESKTOP", "").lower().split(":")
    found = next((name for name in _DESKTOPS if name in names), None)
    if found is None:
        raise UsageFault(f"The desktop is unknown. Name it with --desktop: {', '.join(_DESKTOPS)}.")
    return found


def _program() -> str:
    """The path of coldvoxctl, one that stays."""
    here = Path(sys.argv[0]).absolute()
    return str(here) if here.name == "coldvoxctl" else shutil.which("coldvoxctl") or "coldvoxctl"


def _run(*command: str) -> str:
    """What a program of the desktop prints. Raises ColdvoxError."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)  # noqa: S603
    except FileNotFoundError:
        raise ColdvoxError(
            f"{command[0]} is not installed; this desktop's shortcuts are set with it. Install it."
        ) from None
    if done.returncode:
        raise ColdvoxError(f"{' '.join(command[:3])} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


class Gnome:
    """A custom shortcut, as GNOME's settings make it."""

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
            if path != self.PATH and _is_in(key, _run("gsettings", "get", f"{self.OWN}:{path}", "binding")):
                return f"the custom shortcut {_run('gsettings', 'get', f'{self.OWN}:{path}', 'name')}"
        schemas = _run("gsettings", "list-schemas").split()
        for schema in self.OTHERS:
            for line in _run("gsettings", "list-recursively", schema).splitlines() if schema in schemas else ():
                _, name, value = line.split(" ", 2)
                if _is_in(key, value):
                    return f"{name} of {schema}"
        if key.same_as(Key.parsed("Super+Alt+D")) and EXTENSION in self._extensions():
            return "the coldvoxd extension for GNOME, which has its own shortcut"
        return ""

    def changes(self, wanted: Wanted) -> list[str]:
        if wanted.hold:
            raise ColdvoxError(
                "GNOME's own shortcuts do not report the release of a key: omit --hold. To dictate while a key is held, use the portal: "
                "`coldvoxctl shortcut portal`."
            )
        return [f"GNOME's settings get a custom shortcut “Dictate”: {wanted.key} runs `{wanted.program} {TOGGLE}`"]

    def install(self, wanted: Wanted) -> None:
        binding = "".join(f"<{modifier}>" for modifier in wanted.key.modifiers) + wanted.key.name.lower()
        values = {"name": "Dictate", "command": f"{wanted.program} {TOGGLE}", "binding": binding}
        for name, value in values.items():
            _run("gsettings", "set", f"{self.OWN}:{self.PATH}", name, value)
        self._set_paths([*self._paths(), self.PATH])

    def remove(self) -> list[str]:
        paths = self._paths()
        if self.PATH not in paths:
            return []
        self._set_paths([path for path in paths if path != self.PATH])
        _run("gsettings", "reset-recursively", f"{self.OWN}:{self.PATH}")
        return ["GNOME's custom shortcut “Dictate” is removed"]

    def _own(self, name: str) -> str:
        return _run("gsettings", "get", f"{self.OWN}:{self.PATH}", name).strip("'")

    def _paths(self) -> list[str]:
        return re.findall(r"'([^']+)'", _run("gsettings", "get", self.SCHEMA, "custom-keybindings"))

    def _set_paths(self, paths: list[str]) -> None:
        _run("gsettings", "set", self.SCHEMA, "custom-keybindings", str(paths))

    @staticmethod
    def _extensions() -> str:
        try:
            return _run("gnome-extensions", "list", "--enabled")
        except ColdvoxError:
            return ""


def _is_in(key: Key, value: str) -> bool:
    """Whether one of the accelerators in a setting's value is that key."""
    for accelerator in re.findall(r"'([^']*)'", value):
        *modifiers, name = re.split(r"[<>]+", accelerator.lstrip("<"))
        found = {_NAMES.get(modifier.lower()) for modifier in modifiers}
        if found == set(key.modifiers) and name.lower() == key.name.lower():
            return True
    return False


class Kde:
    """A service file with a shortcut, as kglobalacceld reads it."""

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

    def changes(self, wanted: Wanted) -> list[str]:
        if wanted.hold:
            raise ColdvoxError(
                "Plasma's shortcuts for programs do not report the release of a key: omit --hold. To dictate while a key "
                "is held, use the portal: `coldvoxctl shortcut portal`."
            )
        return [f"{self._file} is written: {wanted.key} runs `{wanted.program} {TOGGLE}`"]

    def install(self, wanted: Wanted) -> None:
        spelt = "+".join(("Meta" if name == "Super" else name) for name in (*wanted.key.modifiers, wanted.key.name))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(
            "[Desktop Entry]\nType=Application\nName=Dictate\nNoDisplay=true\nStartupNotify=false\n"
            f'Exec="{wanted.program}" {TOGGLE}\nX-KDE-Shortcuts={spelt}\n',
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


class _Included:
    """A file of ours that one line of the compositor's configuration includes."""

    DIRECTORY: str
    CONFIG: str
    RELOAD: tuple[str, ...]
    SOCKET: str
    """The variable by which a running compositor is known."""
    note = "the key works now, or after the next start of the compositor"

    def __init__(self) -> None:
        self._directory = Places.of_user().config / self.DIRECTORY
        self._config = self._directory / self.CONFIG
        self._file = self._directory / "coldvoxd.conf"

    def line(self) -> str:
        raise NotImplementedError

    def bindings(self, wanted: Wanted) -> list[str]:
        raise NotImplementedError

    def keys(self, text: str) -> Iterator[tuple[Key, str]]:
        """The keys that a configuration binds, each with its line."""
        raise NotImplementedError

    def present(self) -> list[str]:
        return [f"{self._file}: {line}" for line in self._lines(self._file) if line and not line.startswith("#")]

    def taken(self, key: Key) -> str:
        others = [file for file in sorted(self._directory.rglob("*")) if file.is_file() and file != self._file]
        for file in others:
            for bound, line in self.keys("\n".join(self._lines(file))):
                if bound.same_as(key):
                    return f"{file}: {line}"
        return ""

    def changes(self, wanted: Wanted) -> list[str]:
        if not self._config.exists():
            raise ColdvoxError(
                f"there is no {self._config} to add a line to: create it first, as a copy of the one below /etc."
            )
        lines = [f"{self._file} is written: {line}" for line in self.bindings(wanted)]
        if self.line() not in self._lines(self._config):
            lines.append(f"{self._config} gets the line: {self.line()}")
        return lines

    def install(self, wanted: Wanted) -> None:
        head = "# Written by `coldvoxctl shortcut install`; removed by `coldvoxctl shortcut remove`."
        self._file.write_text("\n".join((head, *self.bindings(wanted), "")), "utf-8")
        text = self._config.read_text("utf-8")
        if self.line() not in text.splitlines():
            end = "" if text.endswith("\n") or not text else "\n"
            self._replace(f"{text}{end}{self.line()}\n")
        self._reload()

    def remove(self) -> list[str]:
        told = []
        if self.line() in self._lines(self._config):
            text = self._config.read_text("utf-8")
            self._replace("".join(line for line in text.splitlines(keepends=True) if line.rstrip("\n") != self.line()))
            told.append(f"{self._config} no longer has the line: {self.line()}")
        if self._file.exists():
            self._file.unlink()
            told.append(f"{self._file} is removed")
        if told:
            self._reload()
        return told

    def _replace(self, text: str) -> None:
        """At once or not at all; a link to somewhere else stays one."""
        target = self._config.resolve()
        fresh = target.with_name(f"{target.name}.new")
        fresh.write_text(text, "utf-8")
        shutil.copymode(target, fresh)
        fresh.replace(target)

    def _reload(self) -> None:
        if os.environ.get(self.SOCKET):
            _run(*self.RELOAD)

    @staticmethod
    def _lines(file: Path) -> list[str]:
        try:
            return file.read_text("utf-8").splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return []


class Sway(_Included):
    """https://man.archlinux.org/man/sway.5: bindsym, include."""

    DIRECTORY, CONFIG, SOCKET = "sway", "config", "SWAYSOCK"
    RELOAD = ("swaymsg", "reload")
    _SPELT: ClassVar = {"Super": "Mod4", "Ctrl": "Ctrl", "Alt": "Mod1", "Shift": "Shift"}

    def line(self) -> str:
        return f"include {self._file}"

    def bindings(self, wanted: Wanted) -> list[str]:
        key = "+".join((*(self._SPELT[name] for name in wanted.key.modifiers), wanted.key.name.lower()))
        program = f'exec "{wanted.program}"'
        if wanted.hold:
            if not shutil.which("flock"):
                raise ColdvoxError(
                    "flock is not installed (package util-linux); sway needs it to dictate while a key is held."
                )
            once = f'exec flock --nonblock "${{XDG_RUNTIME_DIR}}/{LOCK}"'
            return [f"bindsym {key} {once} {shlex.quote(wanted.program)} {HELD}", f"bindsym --release {key} {RELEASED}"]
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
                yield from _parsed(chord, line.strip())


class Hyprland(_Included):
    """https://wiki.hypr.land/Configuring/Binds/: bind, bindr, source."""

    DIRECTORY, CONFIG, SOCKET = "hypr", "hyprland.conf", "HYPRLAND_INSTANCE_SIGNATURE"
    RELOAD = ("hyprctl", "reload")

    def line(self) -> str:
        return f"source = {self._file}"

    def bindings(self, wanted: Wanted) -> list[str]:
        key = f"{' '.join(name.upper() for name in wanted.key.modifiers)}, {wanted.key.name.upper()}"
        if wanted.hold:
            return [f"bind = {key}, exec, {wanted.program} {START}", f"bindrt = {key}, exec, {wanted.program} {STOP}"]
        return [f"bind = {key}, exec, {wanted.program} {TOGGLE}"]

    def keys(self, text: str) -> Iterator[tuple[Key, str]]:
        named: dict[str, str] = {}
        for line in text.splitlines():
            if found := re.match(r"\s*(\$\w+)\s*=\s*(\S+)", line):
                named[found[1]] = found[2]
            elif found := re.match(r"\s*bind\w*\s*=\s*([^,]*),\s*([^,]+),", line):
                modifiers = found[1]
                for name, value in named.items():
                    modifiers = modifiers.replace(name, value)
                yield from _parsed("+".join((*re.split(r"[\s_+]+", modifiers.strip()), found[2].strip())), line.strip())


def _parsed(chord: str, line: str) -> Iterator[tuple[Key, str]]:
    try:
        yield Key.parsed(chord.lstrip("+")), line
    except UsageFault:
        return  # a mouse button, or something that this doesn't know


_DESKTOPS: Mapping[str, type[Gnome | Kde | Sway | Hyprland]] = {
    "gnome": Gnome,
    "kde": Kde,
    "sway": Sway,
    "hyprland": Hyprland,
}
