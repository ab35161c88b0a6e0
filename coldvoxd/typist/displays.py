"""Finds the desktop to type into: one whose display answers.

A user manager may outlive the desktop session, and keeps a dead DISPLAY or WAYLAND_DISPLAY; so does a service that it
started before.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence

from coldvoxd.typist import sway
from coldvoxd.typist.environment import NO_DESKTOP, on_wayland
from coldvoxd.typist.errors import Refused, Unavailable
from coldvoxd.typist.programs import run
from coldvoxd.typist.wayland import Wayland, compositor
from coldvoxd.typist.x11 import XServer
from coldvoxd.typist.x11_socket import open_display
from coldvoxd.userdirs import base_directories

MANAGER_LIMIT_S = 2.0
LIMIT_S = 5.0
"""Seconds that an X server may take to accept a connection."""
_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "SWAYSOCK", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP")
"""Variables that belong together."""
_NAMES = (*_DESKTOP, "XAUTHORITY")
_STARTED_BY_MANAGER = "SYSTEMD_EXEC_PID"
"""The process number of a service, in the environment that systemd gives it."""

Desktop = Mapping[str, str]
"""An environment with the variables of a desktop."""


async def graphical_environment() -> Mapping[str, str]:
    """Return the environment with the variables of a desktop that answers.

    As a service, this process asks the user manager first, which knows a desktop that was started later. A command in a
    terminal or of a shortcut belongs to the desktop of its own environment. If no desktop that they name is there, the
    compositor in the runtime directory is returned: some start without telling the user manager. If there is none
    either, the first desktop that was named is returned.
    """
    own = dict(os.environ)
    places = [own, await _managers(own)]
    if own.get(_STARTED_BY_MANAGER) == str(os.getpid()):
        places.reverse()
    named = await _answering([[*_desktops(place)] for place in places])
    if named is None or not await _is_there(named):
        named = await _unnamed(own) or named
    return await _with_its_sway(named or own)


async def check_desktop() -> None:
    """Raises Refused, with the reason, if no desktop answers."""
    desktop = await graphical_environment()
    if not on_wayland(desktop) and not desktop.get("DISPLAY"):
        raise Refused(NO_DESKTOP)
    await _check(desktop)


async def _answering(places: Sequence[Sequence[Desktop]]) -> Desktop | None:
    """Return the first desktop that answers, else the first; None if there is none."""
    found = [desktop for place in places for desktop in place]
    if len({_key(desktop) for desktop in found}) <= 1:
        return found[0] if found else None
    tried = set()
    for place in places:
        for desktop in place:
            if _key(desktop) in tried:
                break
            tried.add(_key(desktop))
            try:
                await _check(desktop)
            except Unavailable:
                continue
            except Refused:
                break  # a compositor stalls: its Xwayland may answer, but does not know the focus
            return desktop
    return found[0]


async def _managers(own: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the user manager's variables of the desktop; without any if it has none."""
    others = {name: value for name, value in own.items() if name not in _DESKTOP}
    try:
        output = await run("systemctl", "--user", "show-environment", environment=own, limit_s=MANAGER_LIMIT_S)
    except Refused:  # there is no user manager
        return others
    pairs = (line.partition("=") for line in output.decode(errors="replace").splitlines())
    return others | {name: value for name, _, value in pairs if name in _NAMES}


def _desktops(place: Mapping[str, str]) -> Iterator[Desktop]:
    """Yield the desktops that an environment names, Wayland before X11."""
    if on_wayland(place):
        yield place
    if place.get("DISPLAY"):
        yield {name: value for name, value in place.items() if name not in {"WAYLAND_DISPLAY", "SWAYSOCK"}}


def _key(desktop: Desktop) -> tuple[str | None, ...]:
    return tuple(desktop.get(name) for name in _NAMES)


async def _check(desktop: Desktop) -> None:
    """Raises Unavailable if no compositor is there, and Refused if it or the X server does not answer."""
    connected = await (Wayland.connect(desktop) if on_wayland(desktop) else XServer.connect(desktop))
    connected.close()


async def _is_there(desktop: Desktop) -> bool:
    """Return whether a compositor or an X server listens; one that stalls does."""
    if on_wayland(desktop):
        return await _compositor(desktop) is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            _, writer, _ = await open_display(desktop)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _compositor(desktop: Desktop) -> int | None:
    """Return the process number of the compositor; None if there is none."""
    try:
        return await compositor(desktop)
    except Unavailable:
        return None


async def _unnamed(own: Mapping[str, str]) -> Desktop | None:
    """Return the only compositor in the runtime directory; None if there is none, or several."""
    runtime = base_directories.runtime_directory(own)
    others = {name: value for name, value in own.items() if name not in _DESKTOP}
    sockets = [path for path in runtime.glob("wayland-*") if path.is_socket()] if runtime else []
    desktops = [others | {"WAYLAND_DISPLAY": path.name} for path in sockets]
    found = [desktop for desktop in desktops if await _is_there(desktop)]
    return found[0] if len(found) == 1 else None


async def _with_its_sway(desktop: Desktop) -> Desktop:
    """Return the desktop with the SWAYSOCK of its compositor, which may have followed a sway that is gone."""
    if not on_wayland(desktop) or (desktop.get("SWAYSOCK") and await sway.listens(desktop)):
        return desktop
    others = {name: value for name, value in desktop.items() if name != "SWAYSOCK"}
    own = sway.socket_of(await _compositor(desktop) or 0, desktop)
    return others | {"SWAYSOCK": own} if own else others
