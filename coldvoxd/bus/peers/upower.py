"""UPower on the system bus: whether the machine runs on battery power."""

from collections.abc import Callable

from coldvoxd.bus.connection import SYSTEM_BUS, Connection
from coldvoxd.bus.library import DBusError, Message, MessageFlag, MessageType, Variant
from coldvoxd.bus.peers.logind import system_address
from coldvoxd.bus.signals import Source
from coldvoxd.core.errors import BusUnavailable

NAME = "org.freedesktop.UPower"
PATH = "/org/freedesktop/UPower"
_PROPERTIES = "org.freedesktop.DBus.Properties"


class UPower:
    """A connection to the system bus, and to UPower on it. Event loop only.

    While there is no UPower, the machine counts as one without a battery. The service is not started.
    """

    def __init__(self, connection: Connection) -> None:
        """Use `open` to create an instance."""
        self._connection = connection
        self._on_battery: Callable[[bool], None] = lambda _: None

    @classmethod
    async def open(cls) -> "UPower":
        """Connect to the system bus. Raises BusUnavailable."""
        return cls(await Connection.open(system_address(), SYSTEM_BUS))

    async def watch(self, on_battery: Callable[[bool], None]) -> None:
        """Report from now on, until the connection is lost. Raises BusUnavailable then."""
        self._on_battery = on_battery
        source = Source(NAME, _PROPERTIES, "PropertiesChanged", PATH, signature="sa{sv}as")
        signals = self._connection.signals
        try:
            await signals.follow(NAME, self._owner_changed)
            await signals.subscribe(source, self._note)
        except DBusError as fault:
            raise BusUnavailable(f"The system bus reports: {fault}") from fault
        self._look()
        await self._connection.wait_until_lost()

    async def close(self) -> None:
        """Disconnect from the bus."""
        await self._connection.aclose()

    def _look(self) -> None:
        """Ask for the state. The answer is reported in order with signals: it never replaces a newer state."""
        if not self._connection.signals.owner(NAME):
            self._report(False)
            return
        call = Message(
            destination=NAME,
            path=PATH,
            interface=_PROPERTIES,
            member="Get",
            signature="ss",
            body=[NAME, "OnBattery"],
            flags=MessageFlag.NO_AUTOSTART,
        )
        self._connection.ask_then(call, self._answered)

    def _answered(self, reply: Message | None) -> None:
        if reply is None:
            return  # `wait_until_lost` raises it
        answers = reply.message_type is MessageType.METHOD_RETURN and reply.body
        found = reply.body[0] if answers else None
        self._report(found.value if isinstance(found, Variant) else False)

    def _owner_changed(self, _before: str, _after: str) -> None:
        self._look()

    def _note(self, message: Message) -> None:
        interface, changed, _ = message.body
        if interface == NAME and "OnBattery" in changed:
            self._report(changed["OnBattery"].value)

    def _report(self, on_battery: object) -> None:
        self._on_battery(on_battery is True)
