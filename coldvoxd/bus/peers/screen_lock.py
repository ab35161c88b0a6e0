"""The screen lock: whether the desktop's screen saver covers the session.

GNOME Shell, KDE's kscreenlocker, Cinnamon, MATE and Xfce report it on the session bus through the same two members,
each under its own name. logind's LockedHint would need the system bus, and only some of them set it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import DBusError, Message, MessageFlag
from coldvoxd.bus.signals import Source

SCREEN_SAVERS: Mapping[str, str] = MappingProxyType(
    {
        "org.gnome.ScreenSaver": "/org/gnome/ScreenSaver",
        "org.freedesktop.ScreenSaver": "/org/freedesktop/ScreenSaver",
        "org.cinnamon.ScreenSaver": "/org/cinnamon/ScreenSaver",
        "org.mate.ScreenSaver": "/org/mate/ScreenSaver",
        "org.xfce.ScreenSaver": "/org/xfce/ScreenSaver",
    }
)
"""Object path by bus name; the interface has the same name."""


class ScreenLock:
    """Reports when the screen is locked and unlocked. Event loop only; lives as long as its connection."""

    def __init__(self, connection: Connection, on_lock: Callable[[bool], None]) -> None:
        self._connection = connection
        self._on_lock = on_lock
        self._changed: set[str] = set()
        """Screen savers that have reported a change: an answer may be older."""

    async def watch(self) -> None:
        """Report from now on, immediately if a screen saver is active. Raises BusUnavailable."""
        for interface in SCREEN_SAVERS:
            source = Source(interface, interface, "ActiveChanged", signature="b")
            await self._connection.signals.subscribe(source, self._note)
        for interface, path in SCREEN_SAVERS.items():
            if await self._is_active(interface, path) and interface not in self._changed:
                self._on_lock(True)

    async def _is_active(self, interface: str, path: str) -> bool:
        """Return whether that screen saver covers the screen now. Starts no service."""
        call = Message(
            destination=interface, path=path, interface=interface, member="GetActive", flags=MessageFlag.NO_AUTOSTART
        )
        try:
            return bool(await self._connection.ask(call))
        except DBusError:
            return False

    def _note(self, message: Message) -> None:
        self._changed.add(str(message.interface))
        self._on_lock(message.body[0])
