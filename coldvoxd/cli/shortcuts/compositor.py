"""Compositors whose shortcuts are in a configuration file: ours are in a file of their own, which it includes."""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from coldvoxd.cli.exit_codes import UsageFault
from coldvoxd.cli.install_ledger import Places
from coldvoxd.cli.shortcuts.desktop import run
from coldvoxd.cli.shortcuts.key import Key, Shortcut
from coldvoxd.core.errors import ColdvoxError


class Compositor(ABC):
    """Implements Desktop by a file that one line of the compositor's configuration includes."""

    DIRECTORY: str
    CONFIG: str
    RELOAD: tuple[str, ...]
    SOCKET: str
    """The environment variable by which a running compositor is detected."""
    note = "the key works now, or after the next start of the compositor"

    def __init__(self) -> None:
        self._directory = Places.of_user().config / self.DIRECTORY
        self._config = self._directory / self.CONFIG
        self._file = self._directory / "coldvoxd.conf"

    @abstractmethod
    def to_create(self, config: Path) -> str:
        """What a user does to get a configuration: a clause."""

    @abstractmethod
    def line(self) -> str:
        """The line of the configuration that includes our file."""

    @abstractmethod
    def bindings(self, shortcut: Shortcut) -> list[str]:
        """The lines of our file."""

    @abstractmethod
    def keys(self, text: str) -> Iterator[tuple[Key, str]]:
        """The keys that a configuration binds, each with its line."""

    def present(self) -> list[str]:
        return [f"{self._file}: {line}" for line in self._lines(self._file) if line and not line.startswith("#")]

    def taken(self, key: Key) -> str:
        others = [file for file in sorted(self._directory.rglob("*")) if file.is_file() and file != self._file]
        for file in others:
            for bound, line in self.keys("\n".join(self._lines(file))):
                if bound.same_as(key):
                    return f"{file}: {line}"
        return ""

    def changes(self, shortcut: Shortcut) -> list[str]:
        if not self._config.exists():
            raise ColdvoxError(
                f"There is no {self._config}, which must include the shortcut: {self.to_create(self._config)}."
            )
        lines = [f"{self._file} is written: {line}" for line in self.bindings(shortcut)]
        if self.line() not in self._lines(self._config):
            lines.append(f"{self._config} gets the line: {self.line()}")
        return lines

    def install(self, shortcut: Shortcut) -> None:
        head = "# Written by `coldvoxctl shortcut install`; removed by `coldvoxctl shortcut remove`."
        self._file.write_text("\n".join((head, *self.bindings(shortcut), "")), "utf-8")
        text = self._config.read_text("utf-8")
        if self.line() not in text.splitlines():
            end = "" if text.endswith("\n") or not text else "\n"
            self._replace(f"{text}{end}{self.line()}\n")
        self._reload()

    def remove(self) -> list[str]:
        removed = []
        if self.line() in self._lines(self._config):
            text = self._config.read_text("utf-8")
            self._replace("".join(line for line in text.splitlines(keepends=True) if line.rstrip("\n") != self.line()))
            removed.append(f"{self._config} no longer has the line: {self.line()}")
        if self._file.exists():
            self._file.unlink()
            removed.append(f"{self._file} is removed")
        if removed:
            self._reload()
        return removed

    def _replace(self, text: str) -> None:
        """Replace the configuration atomically; a symbolic link stays one."""
        target = self._config.resolve()
        fresh = target.with_name(f"{target.name}.new")
        fresh.write_text(text, "utf-8")
        shutil.copymode(target, fresh)
        fresh.replace(target)

    def _reload(self) -> None:
        if os.environ.get(self.SOCKET):
            run(*self.RELOAD)

    @staticmethod
    def _lines(file: Path) -> list[str]:
        try:
            return file.read_text("utf-8").splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return []


def parsed(chord: str, line: str) -> Iterator[tuple[Key, str]]:
    """The key of a chord with its line; nothing for a mouse button or a spelling that is unknown here."""
    try:
        yield Key.parsed(chord.lstrip("+")), line
    except UsageFault:
        return
