"""Checks the session bus, the activation file and the running daemon, if any."""

import asyncio
import configparser
from collections.abc import Iterator, Mapping
from pathlib import Path

from coldvoxd import __version__
from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.interface_xml import BUS_NAME
from coldvoxd.bus.presence import BusPresence, look
from coldvoxd.core.errors import BusUnavailable, ColdvoxError
from coldvoxd.core.problems import WRONG_ON_CPU, Problem
from coldvoxd.doctor.finding import Doing, Finding, fail, ok, warn
from coldvoxd.userdirs import base_directories

UNIT = "coldvoxd.service"
ACTIVATION_FILE = f"{BUS_NAME}.service"
INSTALL_UNITS = "install it: coldvoxctl setup"
RELOAD = "make the bus reload it: busctl --user call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig"
REMEDIES: Mapping[str, str] = {
    Problem.CPU_WRONG_OUTPUT: WRONG_ON_CPU,
    Problem.LANGUAGE: "coldvoxctl config set dictation.language auto",
    Problem.MICROPHONE_CHANNEL: "coldvoxctl config set microphone.channel auto",
    Problem.MICROPHONE_LOST: "coldvoxctl devices lists the microphones; coldvoxctl device NAME selects one",
    Problem.MICROPHONE_MUTED: "unmute the microphone, or raise its volume, in the sound settings",
    Problem.MICROPHONE_QUIET: "raise the microphone's volume in the sound settings, or speak closer to it",
    Problem.NO_WORDS: "speak again; coldvoxctl devices shows which microphone is used, coldvoxctl retry recognizes the last words again",
    Problem.SLEEP: "wait a moment: the accelerator is used again by itself",
}
"""What helps against problems that a restart does not clear; for the others the daemon's LastError says it."""
RESTART = "systemctl --user restart coldvoxd; if that does not help: journalctl --user -u coldvoxd -b"


def check() -> Iterator[Finding | Doing]:
    """Check whether the bus is reachable, the daemon can be activated, and it answers."""
    files = activation_files()
    yield Doing("bus", "asking the session bus for its names", "log out and in again: the session bus hangs")
    try:
        view = asyncio.run(look())
    except BusUnavailable as error:
        yield fail("bus", str(error), "log in to a desktop or systemd user session; over ssh: loginctl enable-linger")
        yield from _file(files)
        return
    yield ok("bus", f"the session bus replies at {view.address}")
    yield from _activation(files, view)
    yield from _daemon(view)


def activation_files() -> list[Path]:
    """The activation files for the daemon's name, the effective one first."""
    runtime = base_directories.runtime_directory()
    roots = [*([runtime] if runtime else []), base_directories.data_home(), *base_directories.data_dirs()]
    found = [root / "dbus-1/services" / ACTIVATION_FILE for root in roots]
    return [file for file in found if file.is_file()]


def _file(files: list[Path]) -> Iterator[Finding]:
    if not files:
        yield fail(
            "activation", f"there is no {ACTIVATION_FILE}: the first call cannot start the daemon", INSTALL_UNITS
        )
        return
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(files[0].read_text("utf-8"))
        service = dict(parser["D-BUS Service"])
    except (OSError, ValueError, KeyError, configparser.Error) as error:
        yield fail("activation", f"{files[0]} cannot be used: {error}", INSTALL_UNITS)
        return
    if service.get("name") != BUS_NAME or service.get("systemdservice") != UNIT:
        told = f"{files[0]} starts {service.get('systemdservice') or service.get('exec')}, not {UNIT}"
        yield warn("activation", told, INSTALL_UNITS)
    else:
        yield ok("activation", f"{files[0]}")


def _activation(files: list[Path], view: BusPresence) -> Iterator[Finding]:
    yield from _file(files)
    if files and not view.activatable:
        yield fail("activation", f"the bus has not read {files[0]}", RELOAD)
    elif view.activatable:
        yield ok("activation", "the bus starts the daemon on the first call")


def _daemon(view: BusPresence) -> Iterator[Finding | Doing]:
    if view.owner_pid is None:
        how = "the first call starts it" if view.activatable else "start it: systemctl --user start coldvoxd"
        yield ok("daemon", f"not running; {how}")
        return
    yield Doing("daemon", f"asking the daemon (pid {view.owner_pid}) for its state", RESTART)
    try:
        status = asyncio.run(_status())
    except ColdvoxError as error:
        yield fail("daemon", f"pid {view.owner_pid}: {error}", RESTART)
        return
    yield from daemon_findings(view.owner_pid, status)


def daemon_findings(pid: int, status: Mapping[str, str]) -> Iterator[Finding]:
    """Findings on a running daemon with these properties."""
    if status.get("Version", __version__) != __version__:
        told = f"pid {pid} is version {status['Version']}, and {__version__} is installed"
        yield warn("daemon", told, "systemctl --user restart coldvoxd")
    running = f"pid {pid}, {status['State']}"
    if status["Model"]:
        running += f", {status['Model']} ({status['Precision']}) on {status['ExecutionProvider'] or 'no provider'}"
    if status["Degraded"]:
        remedy = REMEDIES.get(status["Degraded"]) or status["LastError"] or RESTART
        yield warn("daemon", f"{running}; degraded: {status['Degraded']}", remedy)
    else:
        yield ok("daemon", running)


async def _status() -> dict[str, str]:
    async with DaemonClient.connected() as daemon:
        return {name: str(value) for name, value in (await daemon.status()).items()}
