"""What the environment variables of the graphical session say about it."""

from collections.abc import Mapping

NO_DESKTOP = "there is no desktop: neither DISPLAY nor WAYLAND_DISPLAY is set"
_PORTAL_DESKTOPS = {"GNOME", "KDE"}


def on_wayland(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("WAYLAND_DISPLAY"))


def presses_by_portal(environment: Mapping[str, str]) -> bool:
    """Return whether the desktop lets programs press keys only through its portal, which asks the user."""
    names = environment.get("XDG_CURRENT_DESKTOP", "").split(":")
    return on_wayland(environment) and not _PORTAL_DESKTOPS.isdisjoint(names)
