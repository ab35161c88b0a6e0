"""The wait for the release of a shortcut's keys, on desktops that tell no program which keys are down.

GNOME and KDE on Wayland combine the portal's keys with those of the keyboard: Ctrl+V during a held Super+Alt is no paste,
and the window ignores it.
"""

import asyncio
import math

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, OBJECT_PATH, PROPERTIES
from coldvoxd.bus.library import Message
from coldvoxd.bus.signals import Source

HELD_S = 0.5
"""Seconds for which the keys of a shortcut are taken to be down. An estimate with room to spare; not measured."""


class ShortcutKeys:
    """The keys that start and end dictation; a change of the daemon's state shows that they were pressed. Event loop only."""

    def __init__(self) -> None:
        self._pressed_s = -math.inf

    async def follow(self, connection: Connection) -> None:
        """Note presses from now on, until the connection ends. Raises DBusError and BusUnavailable."""
        source = Source(BUS_NAME, PROPERTIES, "PropertiesChanged", OBJECT_PATH, signature="sa{sv}as")
        await connection.signals.subscribe(source, self._note)

    async def released(self) -> None:
        """Return once the keys are taken to be up."""
        left_s = self._pressed_s + HELD_S - asyncio.get_running_loop().time()
        if left_s > 0:
            await asyncio.sleep(left_s)
            await self.released()  # they may have been pressed again

    def _note(self, message: Message) -> None:
        interface, changed, _ = message.body
        if interface == DICTATION and "State" in changed:
            self._pressed_s = asyncio.get_running_loop().time()
