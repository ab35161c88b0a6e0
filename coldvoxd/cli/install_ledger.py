"""What stands in a user's home for coldvoxd beside its programs: put there, remembered, and taken away again.

Needs nothing but the standard library, since contrib/dev/install-units.sh runs it with whatever Python there is.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.errors import NotInstallable
from coldvoxd.userdirs import base_directories

PROGRAM = "coldvoxd"
SERVICE = "coldvoxd.service"
ACTIVATION = "org.coldvox.Daemon1.service"
CPU_LOCKS = "coldvoxd-cpu.conf"
_HOME_PROGRAMS = "ExecStart=%h/.local/bin/"
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - those that the service has of its own
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Places:
    """Where things belong, by the XDG base directories."""

    config: Path
    data: Path
    cache: Path
    state: Path

    @classmethod
    def of_user(cls, environment: Mapping[str, str] = os.environ) -> "Places":
        homes = (
            base_directories.config_home,
            base_directories.data_home,
            base_directories.cache_home,
            base_directories.state_home,
        )
        return cls(*(home(environment) for home in homes))

    @property
    def units(self) -> Path:
        return self.config / "systemd" / "user"

    @property
    def wanted(self) -> Path:
        """The link by which each login starts the service."""
        return self.units / "default.target.wants" / SERVICE

    @property
    def ledger(self) -> Path:
        """Every file and directory that was made, a line each: `file PATH` or `directory PATH`."""
        return self.data / PROGRAM / "installed"

    @property
    def own(self) -> tuple[Path, ...]:
        """Settings, models and what the programs keep, which a removal leaves unless it is told not to."""
        return (self.config / PROGRAM, self.cache / PROGRAM, self.data / PROGRAM / "models", self.state / PROGRAM)


class Installer:
    """Writes files, each at once or not at all, and remembers in `ledger` what was not there before."""

    def __init__(self, ledger: Path | None) -> None:
        self._ledger = ledger
        self.files: list[Path] = []
        """Written so far."""
        if ledger is not None:
            self.make_directory(ledger.parent)

    def make_directory(self, path: Path) -> None:
        made = [parent for parent in (path, *path.parents) if not parent.is_dir()]
        path.mkdir(parents=True, exist_ok=True)
        for directory in reversed(made):
            self.remember("directory", directory)

    def put(self, path: Path, text: str) -> None:
        """A link stays: pipx, for one, has put it there."""
        self.make_directory(path.parent)
        if path.is_symlink():
            return
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
        self.remember("file", path)
        self.files.append(path)

    def remember(self, kind: str, path: Path) -> None:
        """Once, so that it is taken away again."""
        if self._ledger is None:
            return
        line = f"{kind} {path}\n"
        known = self._ledger.read_text(encoding="utf-8") if self._ledger.exists() else ""
        if line not in known.splitlines(keepends=True):
            with self._ledger.open("a", encoding="utf-8") as ledger:
                ledger.write(line)


def put_units(installer: Installer, places: Places, programs: Path, *, cpu: bool) -> None:
    """The service, the fetching of its model and the bus activation, for the programs in that directory.

    `cpu` adds the locks for machines without a GPU. Raises NotInstallable where the service could not run them.
    """
    if not os.access(programs / PROGRAM, os.X_OK):
        raise NotInstallable(f"there is no {PROGRAM} in {programs}: give the folder that holds it")
    if any(programs.is_relative_to(private) for private in _PRIVATE):
        raise NotInstallable(
            f"the service has a /tmp of its own and will not see {programs}: install coldvoxd elsewhere"
        )
    for unit in units():
        installer.put(places.units / unit, with_programs(_shipped("systemd", unit), programs))
    if cpu:
        installer.put(places.units / f"{SERVICE}.d" / "cpu.conf", _shipped("systemd", CPU_LOCKS))
    installer.put(places.data / "dbus-1" / "services" / ACTIVATION, _shipped("dbus", ACTIVATION))


def with_programs(unit: str, programs: Path) -> str:
    """The text of a unit that starts its program from that directory; a percent sign means something there."""

    def line(text: str) -> str:
        if not text.startswith(_HOME_PROGRAMS):
            return text
        program, space, arguments = text.removeprefix(_HOME_PROGRAMS).partition(" ")
        return f'ExecStart="{str(programs).replace("%", "%%")}/{program}"{space}{arguments}'

    return "\n".join(line(text) for text in unit.split("\n"))


def installed(places: Places) -> Iterator[tuple[str, Path]]:
    """What the ledger has, the last first; and what belongs to an installation whose ledger is lost."""
    if places.ledger.exists():
        for line in reversed(places.ledger.read_text(encoding="utf-8").splitlines()):
            kind, _, name = line.partition(" ")
            yield kind, Path(name)
    ours = (*(places.units / unit for unit in units()), places.units / f"{SERVICE}.d" / "cpu.conf", places.wanted)
    for path in (*ours, places.data / "dbus-1" / "services" / ACTIVATION, places.ledger):
        yield "file", path


def take_away(places: Places) -> list[Path]:
    """Remove the files that were put here, and the directories that were made and are empty now; the files' paths."""
    known = list(installed(places))
    removed = []
    for path in dict.fromkeys(path for kind, path in known if kind == "file"):
        if path.is_file() or path.is_symlink():
            path.unlink()
            removed.append(path)
    made = {path for kind, path in known if kind == "directory"} | {
        places.units / f"{SERVICE}.d",
        places.ledger.parent,
    }
    for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return removed


def units() -> tuple[str, ...]:
    """The names of all units that come with the programs."""
    return tuple(sorted(path.name for path in _directory("systemd").glob("*.service")))


def _shipped(kind: str, name: str) -> str:
    return (_directory(kind) / name).read_text(encoding="utf-8")


def _directory(kind: str) -> Path:
    """Of the installed package, or of the checkout."""
    packaged = _PACKAGE / "data" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def main() -> int:
    """Units and bus activation alone, without a ledger: what contrib/dev/install-units.sh asks for."""
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
