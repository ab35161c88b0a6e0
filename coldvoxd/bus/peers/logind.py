"""logind: the inhibitor that makes a sleep of the machine wait, and the signals around it, on the system bus."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from dbus_next import DBusError, Message, MessageFlag

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.signals import Source
from coldvoxd.core.errors import BusUnavailable, InhibitorRefused

NAME = "org.freedesktop.login1"
MANAGER = "org.freedesktop.login1.Manager"
LIMIT_S = 10.0
_PATH = "/org/freedesktop/login1"
_SOCKET = Path("/run/dbus/system_bus_socket")


def system_address() -> str:
    """Where the system bus is."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or f"unix:path={_SOCKET}"


class Logind:
    """A connection to the system bus and whoever is logind there. Event loop only.

    `on_presence` is told when there begins to be a logind, or another one, and when there is none any more; `on_sleep`
    when the machine is about to sleep and when it woke up.
    """

    def __init__(
        self, connection: Connection, on_presence: Callable[[bool], None], on_sleep: Callable[[bool], None]
    ) -> None:
        """For `open`."""
        self._connection = connection
        self._on_presence = on_presence
        self._on_sleep = on_sleep
        self._told = False
        """What `on_presence` was called with last."""

    @classmethod
    async def open(cls, on_presence: Callable[[bool], None], on_sleep: Callable[[bool], None]) -> "Logind":
        """Connect, as yet without telling anything. Raises BusUnavailable."""
        return cls(await Connection.open(system_address()), on_presence, on_sleep)

    @property
    def is_there(self) -> bool:
        """Whether there is a logind, as far as is known."""
        return bool(self._connection.signals.owner(NAME))

    async def watch(self) -> None:
        """Tell from now on; at once where logind is there. Raises BusUnavailable."""
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._watch()
        except TimeoutError as fault:
            raise BusUnavailable(f"The system bus did not reply within {LIMIT_S:g} s.") from fault
        except DBusError as fault:
            raise BusUnavailable(f"The system bus reports: {fault}") from fault

    async def inhibit(self, who: str, why: str) -> int:
        """A descriptor, the caller's to close, that makes a sleep wait as long as it is open. Raises InhibitorRefused."""
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
        """Return once `close` was called; raise BusUnavailable when the system bus goes away."""
        await self._connection.wait_until_lost()

    async def close(self) -> None:
        """Leave the bus."""
        await self._connection.aclose()

    async def _watch(self) -> None:
        source = Source(NAME, MANAGER, "PrepareForSleep", _PATH, signature="b")
        signals = self._connection.signals
        await signals.follow(NAME, self._owner_changed)
        await signals.subscribe(source, lambda message: self._on_sleep(message.body[0]))
        if self.is_there and not self._told:
            self._tell(True)

    def _owner_changed(self, before: str, after: str) -> None:
        if before:
            self._tell(False)
        if after:
            self._tell(True)

    def _tell(self, there: bool) -> None:
        if there != self._told:
            self._told = there
            self._on_presence(there)

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
