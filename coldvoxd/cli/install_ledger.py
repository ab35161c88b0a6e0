"""The files in a user's home directory besides the programs: installs them, records them, and removes them.

Standard library only, because contrib/dev/install-units.sh runs this with any installed Python.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.cli import user_namespaces
from coldvoxd.core.errors import NotInstallable
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.accelerator_cache import NAME

PROGRAM = "coldvoxd"
SERVICE = "coldvoxd.service"
ACTIVATION = "org.coldvox.Daemon1.service"
INTERFACE = "org.coldvox.Daemon1.xml"
CPU_LOCKS = "coldvoxd-cpu.conf"
NO_NAMESPACES = "coldvoxd-no-namespaces.conf"
_HOME_PROGRAMS = "ExecStart=%h/.local/bin/"
_HOME_STATE = "ReadWritePaths=-%h/.local/state/coldvoxd"
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - those that the service has of its own
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Places:
    """The directories for installed files, by the XDG base directories."""

    config: Path
    data: Path
    cache: Path
    state: Path

    @classmethod
    def of_user(cls) -> "Places":
        return cls(
            base_directories.config_home(),
            base_directories.data_home(),
            base_directories.cache_home(),
            base_directories.state_home(),
        )

    @property
    def units(self) -> Path:
        return self.config / "systemd" / "user"

    @property
    def wanted(self) -> Path:
        """The symbolic link that enables the service at login."""
        return self.units / "default.target.wants" / SERVICE

    @property
    def ledger(self) -> Path:
        """The record of every created file and directory, one per line: `file PATH` or `directory PATH`."""
        return self.data / PROGRAM / "installed"

    @property
    def bus_files(self) -> tuple[Path, Path]:
        """The bus activation, and the interface's XML for code generators."""
        return (self.data / "dbus-1" / "services" / ACTIVATION, self.data / "dbus-1" / "interfaces" / INTERFACE)

    @property
    def accelerator_cache(self) -> Path:
        """What the daemon has compiled and measured: the only cache that it writes, which it can compute again."""
        return self.cache / PROGRAM / NAME

    @property
    def own(self) -> tuple[Path, ...]:
        """Settings, models and state of the programs, which are removed only on request."""
        return (self.config / PROGRAM, self.cache / PROGRAM, self.data / PROGRAM / "models", self.state / PROGRAM)


class Installer:
    """Writes files atomically, and records in `ledger` those that did not exist before."""

    def __init__(self, ledger: Path | None) -> None:
        self._ledger = ledger
        self.files: list[Path] = []
        """The files written in this run."""
        if ledger is not None:
            self.make_directory(ledger.parent)

    def make_directory(self, path: Path) -> None:
        made = [parent for parent in (path, *path.parents) if not parent.is_dir()]
        path.mkdir(parents=True, exist_ok=True)
        for directory in reversed(made):
            self.remember("directory", directory)

    def put(self, path: Path, text: str) -> None:
        """Write a file. An existing symbolic link is kept: pipx may have created it."""
        self.make_directory(path.parent)
        if path.is_symlink():
            return
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
        self.remember("file", path)
        self.files.append(path)

    def remember(self, kind: str, path: Path) -> None:
        """Record a path, once, so that it is removed later."""
        if self._ledger is None:
            return
        line = f"{kind} {path}\n"
        known = self._ledger.read_text(encoding="utf-8") if self._ledger.exists() else ""
        if line not in known.splitlines(keepends=True):
            with self._ledger.open("a", encoding="utf-8") as ledger:
                ledger.write(line)


def put_units(installer: Installer, places: Places, programs: Path, *, cpu: bool) -> None:
    """Install the service, the download unit, the bus activation and the bus interface's XML, for the programs in that directory.

    `cpu` adds the sandboxing for machines without a GPU. Raises NotInstallable if the service cannot run the programs.
    """
    if (programs / PROGRAM).exists() and os.statvfs(programs / PROGRAM).f_flag & os.ST_NOEXEC:
        raise NotInstallable(f"{programs} is on a file system mounted without exec: install coldvoxd elsewhere")
    if not os.access(programs / PROGRAM, os.X_OK):
        raise NotInstallable(f"there is no {PROGRAM} in {programs}: give the directory that has it")
    if any(programs.is_relative_to(private) for private in _PRIVATE):
        raise NotInstallable(f"the service has a private /tmp and cannot see {programs}: install coldvoxd elsewhere")
    installer.make_directory(places.accelerator_cache)  # systemd would, and it would never be removed
    installer.make_directory(places.state / PROGRAM)  # coldvox-type.service can write to it only if it exists
    for unit in units():
        text = with_programs(_shipped("systemd", unit), programs)
        installer.put(
            places.units / unit, text.replace(_HOME_STATE, f'ReadWritePaths="-{_escaped(places.state / PROGRAM)}"')
        )
    _put_without_namespaces(installer, places, wanted=user_namespaces.denied())
    if cpu:
        installer.put(places.units / f"{SERVICE}.d" / "cpu.conf", _shipped("systemd", CPU_LOCKS))
    for path in places.bus_files:
        installer.put(path, _shipped("dbus", path.name))


def _put_without_namespaces(installer: Installer, places: Places, *, wanted: bool) -> None:
    """Install the drop-ins that do without user namespaces, or remove them: the kernel's settings may have changed."""
    for unit in units():
        drop_in = places.units / f"{unit}.d" / "no-namespaces.conf"
        if wanted:
            installer.put(drop_in, _shipped("systemd", NO_NAMESPACES))
        else:
            drop_in.unlink(missing_ok=True)


def with_programs(unit: str, programs: Path) -> str:
    """The text of a unit with the programs' directory filled in and percent signs escaped."""

    def line(text: str) -> str:
        if not text.startswith(_HOME_PROGRAMS):
            return text
        program, space, arguments = text.removeprefix(_HOME_PROGRAMS).partition(" ")
        return f'ExecStart="{_escaped(programs)}/{program}"{space}{arguments}'

    return "\n".join(line(text) for text in unit.split("\n"))


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def installed(places: Places) -> Iterator[tuple[str, Path]]:
    """The recorded paths, the newest first, and those that every installation has, in case the record is missing."""
    if places.ledger.exists():
        for line in reversed(places.ledger.read_text(encoding="utf-8").splitlines()):
            kind, _, name = line.partition(" ")
            yield kind, Path(name)
    ours = (*(places.units / unit for unit in units()), places.units / f"{SERVICE}.d" / "cpu.conf", places.wanted)
    relaxed = (places.units / f"{unit}.d" / "no-namespaces.conf" for unit in units())
    for path in (*ours, *relaxed, *places.bus_files, places.ledger):
        yield "file", path


def take_away(places: Places) -> list[Path]:
    """Remove the installed files, the daemon's cache, and the created directories that are empty; returns the paths without those."""
    known = list(installed(places))
    cache = places.accelerator_cache
    removed = [cache] if cache.is_dir() and any(cache.iterdir()) else []
    shutil.rmtree(cache, ignore_errors=True)
    for path in dict.fromkeys(path for kind, path in known if kind == "file"):
        if path.is_file() or path.is_symlink():
            path.unlink()
            removed.append(path)
    made = {path for kind, path in known if kind == "directory"} | {
        *(places.units / f"{unit}.d" for unit in units()),
        places.ledger.parent,
    }
    for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return removed


def units() -> tuple[str, ...]:
    """The names of all units that belong to the programs."""
    return tuple(sorted(path.name for path in _directory("systemd").glob("*.service")))


def _shipped(kind: str, name: str) -> str:
    return (_directory(kind) / name).read_text(encoding="utf-8")


def _directory(kind: str) -> Path:
    """The units' directory in the installed package or in the checkout."""
    packaged = _PACKAGE / "data" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def main() -> int:
    """Install only units and files of the bus, without a record: for contrib/dev/install-units.sh."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("programs", type=Path)
    arguments = parser.parse_args()
    installer = Installer(None)
    try:
        put_units(installer, Places.of_user(), arguments.programs, cpu=arguments.cpu)
    except NotInstallable as fault:
        print(f"install-units.sh: {fault}", file=sys.stderr)
        return 66  # EX_NOINPUT
    print(*(f"installed {path}" for path in installer.files), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
