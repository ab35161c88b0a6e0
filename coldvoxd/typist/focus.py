"""Which window has the focus, if the desktop reports it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coldvoxd.typist import sway
from coldvoxd.typist.environment import NO_DESKTOP, on_wayland
from coldvoxd.typist.errors import Refused, WindowGone
from coldvoxd.typist.x11 import INPUT_ONLY, XServer


@dataclass(frozen=True, slots=True)
class Focus:
    window: str
    """Unique name of the window; empty if the desktop doesn't report it."""
    application: str
    """The window's application in lower case, the class of WM_CLASS or app_id; empty if unknown."""
    instance: str = ""
    """The instance of WM_CLASS in lower case, which may have another name; empty if unknown."""
    process: int = 0
    """Process number of the program, as it or the desktop states it; 0 if unknown."""


UNKNOWN = Focus("", "")
_NO_WINDOW = "no window has the focus"
_NO_WINDOW_IN_SWAY = f"{_NO_WINDOW}, or the screen is locked"
"""sway's tree has no focus while the screen is locked, and does not say so."""
_TRIES = 5
_WITHOUT_TEXT = {"_NET_WM_WINDOW_TYPE_DESKTOP": "the desktop", "_NET_WM_WINDOW_TYPE_DOCK": "a panel"}
"""Window types of the EWMH specification that take no text."""


async def focused(environment: Mapping[str, str]) -> Focus:
    """Return the focused window. Raises Refused if no window has the focus."""
    if not on_wayland(environment):
        return await _on_x11(environment)
    if environment.get("SWAYSOCK"):
        return await _in_sway(environment)
    return UNKNOWN


async def of_server(server: XServer) -> Focus:
    """Return the application window that has the focus. Raises Refused if there is none: typed text would be lost."""
    for _ in range(_TRIES):
        try:
            return await _of_server(server)
        except WindowGone:  # the focus has moved on
            continue
    raise Refused(_NO_WINDOW)


async def _on_x11(environment: Mapping[str, str]) -> Focus:
    if not environment.get("DISPLAY"):
        raise Refused(NO_DESKTOP)
    async with XServer.connected(environment) as server:
        return await of_server(server)


async def _of_server(server: XServer) -> Focus:
    window = await server.input_focus()
    if not window:
        raise Refused(_NO_WINDOW)
    client = await _client(server, window)
    if client is None:  # a frame, or the window that a window manager focuses when no application has the focus
        raise Refused("the focused window belongs to no application")
    if await server.window_class(client) == INPUT_ONLY:
        raise Refused("the focused window is not visible")
    if await server.root_property("_NET_SUPPORTING_WM_CHECK") == client.to_bytes(4, "little"):
        raise Refused("the window manager has the focus")
    types = await server.window_property(client, "_NET_WM_WINDOW_TYPE")
    for name, words in _WITHOUT_TEXT.items():
        if (await server.atom(name)).to_bytes(4, "little") in {types[at : at + 4] for at in range(0, len(types), 4)}:
            raise Refused(f"{words} has the focus")
    classes = (await server.window_property(client, "WM_CLASS")).decode(errors="replace").lower().split("\0")
    process = int.from_bytes((await server.window_property(client, "_NET_WM_PID"))[:4], "little")
    return Focus(str(client), classes[1] if len(classes) > 1 else "", classes[0], process)


async def _client(server: XServer, window: int) -> int | None:
    """Return the application window that is or contains `window`: window managers set WM_STATE on it."""
    lineage = await server.lineage(window)
    for mark in ("WM_STATE", "WM_CLASS"):
        for candidate in lineage:
            if await server.window_property(candidate, mark):
                return candidate
    return None


async def _in_sway(environment: Mapping[str, str]) -> Focus:
    for node in _nodes(await sway.tree(environment)):
        if node.get("focused") and node.get("pid"):  # workspaces can have the focus too, but have no process
            properties = node.get("window_properties") or {}
            name = node.get("app_id") or properties.get("class") or ""
            instance = properties.get("instance") or ""
            return Focus(str(node["id"]), name.lower(), instance.lower(), int(node["pid"]))
    raise Refused(_NO_WINDOW_IN_SWAY)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for kind in ("nodes", "floating_nodes"):
        for inner in node.get(kind, ()):
            yield from _nodes(inner)
