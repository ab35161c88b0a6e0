"""Keys that the desktop's portal gives: org.freedesktop.portal.GlobalShortcuts."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbus_next import Variant

from coldvoxd.bus.peers.portal import Portal

INTERFACE = "org.freedesktop.portal.GlobalShortcuts"
QUESTION_LIMIT_S = 300.0
"""For the desktop's user to choose the keys."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    name: str
    description: str
    preferred: str
    """What is proposed, as https://specifications.freedesktop.org/shortcuts-spec/latest/ spells keys."""


async def bind(portal: Portal, session: str, shortcuts: Sequence[Shortcut]) -> dict[str, str]:
    """Ask for them; return the keys that the desktop bound, in its own words, by name. Raises PortalFault.

    Empty where it bound none: some portals leave the list out then.
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
