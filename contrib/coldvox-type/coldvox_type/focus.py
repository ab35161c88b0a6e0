"""Which window has the focus, where the desktop tells."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coldvox_type.faults import Refused
from coldvox_type.programs import run
from coldvox_type.surroundings import on_wayland


@dataclass(frozen=True, slots=True)
class Focus:
    window: str
    """A name of the window that no other has; empty where the desktop doesn't tell."""
    application: str
    """Its application in lower case, WM_CLASS or app_id; empty where it isn't known."""


UNKNOWN = Focus("", "")
_NO_WINDOW = "no window has the focus"


async def focused(environment: Mapping[str, str]) -> Focus:
    """Refused where no window has it."""
    if not on_wayland(environment):
        return await _on_x11(environment)
    if environment.get("SWAYSOCK"):
        return await _in_sway(environment)
    return UNKNOWN


async def _on_x11(environment: Mapping[str, str]) -> Focus:
    if not environment.get("DISPLAY"):
        raise Refused("there is no desktop: neither DISPLAY nor WAYLAND_DISPLAY is set")
    raw = (await run("xdotool", "getwindowfocus", "-f", environment=environment)).decode().strip()
    if not raw.isdigit() or int(raw) <= 1:  # None, or PointerRoot: keys go where the pointer is
        raise Refused(_NO_WINDOW)
    window = (await run("xdotool", "getwindowfocus", environment=environment)).decode().strip()
    try:
        classes = (await run("xprop", "-id", window, "WM_CLASS", environment=environment)).decode(errors="replace")
    except Refused:  # without xprop there are no rules by application, and the rest goes on
        return Focus(window, "")
    names = re.findall(r'"([^"]*)"', classes)
    return Focus(window, names[-1].lower() if names else "")


async def _in_sway(environment: Mapping[str, str]) -> Focus:
    tree = json.loads(await run("swaymsg", "--raw", "--type", "get_tree", environment=environment))
    for node in _nodes(tree):
        if node.get("focused") and node.get("pid"):  # workspaces can have the focus too, and have no process
            names = node.get("app_id") or (node.get("window_properties") or {}).get("class") or ""
            return Focus(str(node["id"]), names.lower())
    raise Refused(_NO_WINDOW)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for kind in ("nodes", "floating_nodes"):
        for inner in node.get(kind, ()):
            yield from _nodes(inner)
