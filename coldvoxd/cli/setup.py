"""The command setup: installs the user service for an installed package, or removes it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from coldvoxd.cli import desktop_entry, manual
from coldvoxd.cli.completion import PROGRAMS, script_for
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.install_ledger import PROGRAM, SERVICE, Installer, Places, put_units, take_away, units
from coldvoxd.cli.output import Output
from coldvoxd.cli.shortcuts.key import DEFAULT_KEY
from coldvoxd.core.errors import ColdvoxError, NotInstallable
from coldvoxd.userdirs import base_directories

COMPLETIONS = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}
"""The paths below the data directory, by shell; the name of the command is filled in."""
RUNTIME_DIRECTORIES = ("coldvoxd", "coldvoxd-model", "coldvox-type")
"""The directories of the programs in the login's runtime directory."""
BUS = "org.freedesktop.DBus"
TYPING = "coldvox-type.service"
_RUNS = "The service is running, and starts at each login. `coldvoxctl doctor` checks everything it needs."
_KEY = f"A key: `coldvoxctl shortcut install` binds {DEFAULT_KEY}, or says what to bind where."
_TYPES = (
    "Typing is on: dictated text goes into the focused window. `coldvox-type --last` types what could not be delivered."
)
_TYPES_NOT = "Typing: `systemctl --user enable --now coldvox-type` types dictated text into the focused window."
_TRY = "Then click into a window, press the key, say “hello”, and press it again: the word appears in the window."


def setup(arguments: Namespace, output: Output) -> Exit:
    """Install the files and start the service, or remove both. Raises ColdvoxError."""
    if os.geteuid() == 0:
        raise UsageFault("The service belongs to a user: run this as the user who dictates, not as root.")
    if arguments.remove:
        return _remove(arguments, output)
    if arguments.purge:
        raise UsageFault("--purge requires --remove.")
    try:
        return _install(arguments, output)
    except OSError as fault:
        raise NotInstallable(
            f"{fault.filename or Path.home()} cannot be written: {fault.strerror or fault}. Check its permissions, and whether "
            "its file system is full or read-only"
        ) from fault


def _install(arguments: Namespace, output: Output) -> Exit:
    programs = _programs(arguments.bin)
    if not str(programs).isprintable():
        raise UsageFault(
            f"{str(programs)!r} has characters that systemd accepts in no unit file: use another directory."
        )
    places = Places.of_user()
    installer = Installer(places.ledger)
    installer.make_directory(places.wanted.parent)
    installer.remember("file", places.wanted)
    put_units(installer, places, programs, cpu=arguments.cpu)
    for name, script in completions():
        installer.put(places.data / name, script)
    for name, page in manual.PAGES.items():
        installer.put(places.data / "man" / name, page())
    installer.put(places.data / "applications" / desktop_entry.NAME, desktop_entry.desktop_entry(programs))
    told, started = _start(installer, places, start=not arguments.no_start, typing=arguments.typing)
    lines = [f"installed {path}" for path in installer.files]
    output.result({"installed": [str(path) for path in installer.files], "started": started}, "\n".join((*lines, told)))
    return Exit.DONE


def completions() -> Iterator[tuple[str, str]]:
    """The completion scripts of all commands and shells, by their paths below the data directory."""
    for program in PROGRAMS:
        for shell, name in COMPLETIONS.items():
            yield name.format(program), script_for(shell, program)


def _start(installer: Installer, places: Places, *, start: bool, typing: bool) -> tuple[str, bool]:
    """A sentence on the state of the service, and whether it runs. Raises ColdvoxError if it should run and does not."""
    if not _reload():
        # Without a manager: create the link that `systemctl enable` would create.
        places.wanted.unlink(missing_ok=True)
        places.wanted.symlink_to(places.units / SERVICE)
        if typing:
            with_daemon = places.units / f"{SERVICE}.wants" / TYPING
            installer.make_directory(with_daemon.parent)
            installer.remember("file", with_daemon)
            with_daemon.unlink(missing_ok=True)
            with_daemon.symlink_to(places.units / TYPING)
        return "systemd --user is not running: the service starts at your next login", False
    if typing:
        _systemctl("enable", TYPING)
    if not start:
        return "to start it: systemctl --user enable --now coldvoxd", False
    _systemctl("enable", SERVICE)
    _systemctl("reset-failed", *units())  # failed starts of the version before must not count
    if _systemctl("restart", SERVICE).returncode:
        raise ColdvoxError("The service is installed but did not start: see `journalctl --user -u coldvoxd -b`.")
    if typing and _systemctl("restart", TYPING).returncode:
        raise ColdvoxError(f"{TYPING} is installed but did not start: see `journalctl --user -u coldvox-type -b`.")
    is_on = typing or not _systemctl("is-enabled", TYPING).returncode
    return "\n".join((_RUNS, _KEY, _TYPES if is_on else _TYPES_NOT, _TRY)), True


def _remove(arguments: Namespace, output: Output) -> Exit:
    places = Places.of_user()
    by_script = places.data / PROGRAM / "uninstall.sh"
    if by_script.exists():
        raise NotInstallable(f"this was installed by contrib/install.sh, including its environment: run {by_script}")
    for unit in units():
        _systemctl("disable", "--now", unit)
    removed = take_away(places) + remove_runtime_directories()
    if arguments.purge:
        for path in places.own:
            if path.is_dir():
                shutil.rmtree(path)
                removed.append(path)
        take_away(places)  # the directories that contained them
    if _reload():
        _systemctl("reset-failed", *units())
    kept = [path for path in places.own if path.exists()]
    lines = [f"removed {path}" for path in removed] + [f"kept {path}; --purge removes it as well" for path in kept]
    fields = {"removed": [str(path) for path in removed], "kept": [str(path) for path in kept]}
    output.result(fields, "\n".join(lines or ["there was nothing to remove"]))
    return Exit.DONE


def remove_runtime_directories() -> list[Path]:
    """Remove what the programs keep until logout, such as undelivered text; returns the directories."""
    runtime = base_directories.runtime_directory() or base_directories.usual_runtime_directory()
    found = [path for name in RUNTIME_DIRECTORIES if (path := runtime / name).is_dir() and not path.is_symlink()]
    for path in found:
        shutil.rmtree(path)
    return found


def _programs(chosen: Path | None) -> Path:
    """The directory of coldvoxd: the given one, this command's own, or that of its environment."""
    if chosen is not None:
        return chosen.expanduser().absolute()
    here = Path(sys.argv[0]).absolute().parent
    places = (here, Path(sysconfig.get_path("scripts")))
    return next((place for place in places if os.access(place / PROGRAM, os.X_OK)), here)


def _reload() -> bool:
    """Make the service manager and the bus reload their files; return whether there is a manager."""
    if _systemctl("daemon-reload").returncode:
        return False
    path = "/org/freedesktop/DBus"
    command = ("busctl", "--user", "--quiet", "call", BUS, path, BUS, "ReloadConfig")
    _quietly(command)
    return True


def _systemctl(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return _quietly(("systemctl", "--user", "--quiet", *words))


def _quietly(command: tuple[str, ...]) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError:  # no systemd
        return subprocess.CompletedProcess(command, 127)
