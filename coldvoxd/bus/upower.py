"""UPower: whether the machine runs on its battery, on the system bus."""

import asyncio
from collections.abc import Callable

from dbus_next import DBusError, Message, MessageFlag, MessageType, Variant

from coldvoxd.bus.connection import BUS, Connection
from coldvoxd.bus.logind import system_address
from coldvoxd.core.errors import BusUnavailable

NAME = "org.freedesktop.UPower"
PATH = "/org/freedesktop/UPower"
_PROPERTIES = "org.freedesktop.DBus.Properties"


class UPower:
    """A connection to the system bus and whoever is UPower there. Event loop only.

    Where there is none, or none yet, the machine counts as one without a battery: nobody is started to answer this.
    """

    def __init__(self, connection: Connection) -> None:
        """For `open`."""
        self._connection = connection
        self._on_battery: Callable[[bool], None] = lambda _: None
        self._owner = ""
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls) -> "UPower":
        """Raises BusUnavailable."""
        return cls(await Connection.open(system_address()))

    async def watch(self, on_battery: Callable[[bool], None]) -> None:
        """Tell from now on, until the connection is lost. Raises BusUnavailable then."""
        self._on_battery = on_battery
        self._connection.add_message_handler(self._note)
        for rule in (
            f"sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{NAME}'",
            f"sender='{NAME}',interface='{_PROPERTIES}',member='PropertiesChanged',path='{PATH}',arg0='{NAME}'",
        ):
            try:
                await self._connection.ask_bus("AddMatch", "s", f"type='signal',{rule}")
            except DBusError as fault:
                raise BusUnavailable(f"The system bus says: {fault}") from fault
        try:
            self._owner = await self._connection.ask_bus("GetNameOwner", "s", NAME)
        except DBusError:
            self._owner = ""
        await self._look()
        await self._connection.wait_until_lost()

    async def close(self) -> None:
        """Leave the bus."""
        if self._looking is not None:
            self._looking.cancel()
        await self._connection.aclose()

    async def _look(self) -> None:
        call = Message(
            destination=NAME,
            path=PATH,
            interface=_PROPERTIES,
            member="Get",
            signature="ss",
            body=[NAME, "OnBattery"],
            flags=MessageFlag.NO_AUTOSTART,
        )
        try:
            found = await self._connection.ask(call) if self._owner else None
        except DBusError:
            found = None
        except BusUnavailable:
            return  # whoever waits for that is told
        self._tell(found.value if isinstance(found, Variant) else False)

    def _note(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == BUS and message.member == "NameOwnerChanged" and message.body[0] == NAME:
            self._owner = message.body[2]
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="upower")
        elif message.sender == self._owner and message.member == "PropertiesChanged" and message.path == PATH:
            changed = message.body[1].get("OnBattery")
            if changed is not None:
                self._tell(changed.value)

    def _tell(self, on_battery: object) -> None:
        self._on_battery(on_battery is True)
