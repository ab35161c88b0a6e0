"""Finds the desktop to type into: one whose display answers.

A user manager may outlive the desktop session, and keeps a dead DISPLAY or WAYLAND_DISPLAY; so does a service that it
started before.
"""

import os
from collections.abc import Iterator, Mapping, Sequence

from coldvoxd.typist import sway
from coldvoxd.typist.environment import on_wayland
from coldvoxd.typist.errors import Refused, Unavailable
from coldvoxd.typist.programs import run
from coldvoxd.typist.wayland import Wayland
from coldvoxd.typist.x11 import XServer

MANAGER_LIMIT_S = 2.0
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
    terminal or of a shortcut belongs to the desktop of its own environment. If none answers, the first one is returned.
    """
    own = dict(os.environ)
    places = [own, await _managers(own)]
    if own.get(_STARTED_BY_MANAGER) == str(os.getpid()):
        places.reverse()
    return await _without_dead_sway(await _answering([[*_desktops(place)] for place in places]) or own)


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


async def _without_dead_sway(desktop: Desktop) -> Desktop:
    """Return the desktop without SWAYSOCK if no sway listens there: another compositor has followed it."""
    if not (desktop.get("SWAYSOCK") and on_wayland(desktop)) or await sway.listens(desktop):
        return desktop
    return {name: value for name, value in desktop.items() if name != "SWAYSOCK"}
