"""The current environment variables of the graphical session."""

import os
from collections.abc import Mapping

from coldvoxd.typist.errors import Refused
from coldvoxd.typist.programs import run

NAMES = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "SWAYSOCK", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP")

_PORTAL_DESKTOPS = {"GNOME", "KDE"}


async def graphical_environment() -> Mapping[str, str]:
    """Return our own variables or, if the service started before the desktop, those that the desktop has set since."""
    own = dict(os.environ)
    if own.get("DISPLAY") or own.get("WAYLAND_DISPLAY"):
        return own
    try:
        output = await run("systemctl", "--user", "show-environment", environment=own)
    except Refused:
        return own
    for line in output.decode(errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name in NAMES:
            own[name] = value
    return own


def on_wayland(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("WAYLAND_DISPLAY"))


def presses_by_portal(environment: Mapping[str, str]) -> bool:
    """Return whether the desktop lets programs press keys only through its portal, which asks the user."""
    names = environment.get("XDG_CURRENT_DESKTOP", "").split(":")
    return on_wayland(environment) and not _PORTAL_DESKTOPS.isdisjoint(names)
