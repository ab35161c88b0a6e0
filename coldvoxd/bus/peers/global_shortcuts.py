"""Global shortcuts from the desktop's portal: org.freedesktop.portal.GlobalShortcuts."""

from collections.abc import Sequence
from dataclasses import dataclass

from coldvoxd.bus.library import Variant
from coldvoxd.bus.peers.portal import Portal

INTERFACE = "org.freedesktop.portal.GlobalShortcuts"
QUESTION_LIMIT_S = 300.0
"""Seconds for the user to choose the keys in the desktop's dialog."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    name: str
    description: str
    preferred: str
    """Proposed keys, spelled as in https://specifications.freedesktop.org/shortcuts-spec/latest/."""


async def bind(portal: Portal, session: str, shortcuts: Sequence[Shortcut]) -> dict[str, str]:
    """Request shortcuts, and return the keys that the desktop bound, as it describes them, by name. Raises PortalFault.

    The result is empty if the desktop bound none: some portals omit the list then.
    """
    wanted = [
        [
            shortcut.name,
            {"description": Variant("s", shortcut.description), "preferred_trigger": Variant("s", shortcut.preferred)},
        ]
        for shortcut in shortcuts
    ]
    bound = await portal.request(
        INTERFACE, "BindShortcuts", "oa(sa{sv})sa{sv}", session, wanted, "", options={}, limit_s=QUESTION_LIMIT_S
    )
    no_words = Variant("s", "")
    return {name: str(about.get("trigger_description", no_words).value) for name, about in bound.get("shortcuts", ())}
