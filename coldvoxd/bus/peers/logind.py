"""logind on the system bus: the inhibitor that delays suspend, and the signals before and after suspend."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from coldvoxd.bus.connection import SYSTEM_BUS, Connection
from coldvoxd.bus.library import DBusError, Message, MessageFlag
from coldvoxd.bus.signals import Source
from coldvoxd.core.errors import BusUnavailable, InhibitorRefused

NAME = "org.freedesktop.login1"
MANAGER = "org.freedesktop.login1.Manager"
LIMIT_S = 10.0
_PATH = "/org/freedesktop/login1"
_SOCKET = Path("/run/dbus/system_bus_socket")


def system_address() -> str:
    """Return the address of the system bus."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or f"unix:path={_SOCKET}"


class Logind:
    """A connection to the system bus, and to logind on it. Event loop only.

    `on_presence` is called with True when logind appears and with False when it disappears; a restart causes both
    calls. `on_sleep` is called with True when the system is about to suspend and with False when it has resumed.
    """

    def __init__(
        self, connection: Connection, on_presence: Callable[[bool], None], on_sleep: Callable[[bool], None]
    ) -> None:
        """Use `open` to create an instance."""
        self._connection = connection
        self._on_presence = on_presence
        self._on_sleep = on_sleep
        self._reported_present = False
        """The argument of the last call of `on_presence`."""

    @classmethod
    async def open(cls, on_presence: Callable[[bool], None], on_sleep: Callable[[bool], None]) -> "Logind":
        """Connect, without reporting anything yet. Raises BusUnavailable."""
        return cls(await Connection.open(system_address(), SYSTEM_BUS), on_presence, on_sleep)

    @property
    def is_there(self) -> bool:
        """Whether logind is on the bus, as far as is known."""
        return bool(self._connection.signals.owner(NAME))

    async def watch(self) -> None:
        """Report from now on, immediately if logind is present. Raises BusUnavailable."""
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._watch()
        except TimeoutError as fault:
            raise BusUnavailable(f"The system bus did not reply within {LIMIT_S:g} s.") from fault
        except DBusError as fault:
            raise BusUnavailable(f"The system bus reports: {fault}") from fault

    async def inhibit(self, who: str, why: str) -> int:
        """Return a descriptor that delays suspend until the caller closes it. Raises InhibitorRefused."""
        call = self._call("Inhibit", "ssss", "sleep", who, why, "delay")
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._connection.ask_descriptor(call)
        except TimeoutError as fault:
            raise InhibitorRefused("logind does not reply") from fault
        except BusUnavailable as fault:
            raise InhibitorRefused("the connection to the system bus was lost") from fault
        except DBusError as fault:
            raise InhibitorRefused(f"logind reports: {fault}") from fault

    async def wait_until_lost(self) -> None:
        """Return once `close` was called. Raises BusUnavailable when the connection to the system bus is lost."""
        await self._connection.wait_until_lost()

    async def close(self) -> None:
        """Disconnect from the bus."""
        await self._connection.aclose()

    async def _watch(self) -> None:
        source = Source(NAME, MANAGER, "PrepareForSleep", _PATH, signature="b")
        signals = self._connection.signals
        await signals.follow(NAME, self._owner_changed)
        await signals.subscribe(source, lambda message: self._on_sleep(message.body[0]))
        if self.is_there and not self._reported_present:
            self._report_presence(True)

    def _owner_changed(self, before: str, after: str) -> None:
        if before:
            self._report_presence(False)
        if after:
            self._report_presence(True)

    def _report_presence(self, present: bool) -> None:
        if present != self._reported_present:
            self._reported_present = present
            self._on_presence(present)

    def _call(self, member: str, signature: str, *body: object) -> Message:
        return Message(
            destination=NAME,
            path=_PATH,
            interface=MANAGER,
            member=member,
            signature=signature,
            body=list(body),
            flags=MessageFlag.NO_AUTOSTART,
        )
