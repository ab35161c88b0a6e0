"""systemd's user manager: starts a unit and reports its state."""

import asyncio
from dataclasses import dataclass

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import DBusError, Message, MessageFlag, Variant
from coldvoxd.core.errors import BusUnavailable, UnitRefused

LIMIT_S = 5.0
MANAGER = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"


@dataclass(frozen=True, slots=True)
class UnitState:
    active: str
    """`activating`, `active`, `inactive`, `failed`, ...: systemd's ActiveState."""
    sub: str
    """`start`, `dead`, `auto-restart`, ...: systemd's SubState."""

    @property
    def running(self) -> bool:
        """Whether the unit is active, or will become active automatically."""
        return self.active in {"activating", "active", "reloading"}


class Units:
    """systemd's user manager on this session bus. Event loop only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self, unit: str, *, anew: bool = False) -> None:
        """Start a unit without waiting for its end. The keyword argument restarts a unit that is already running.

        Raises UnitRefused if there is no manager or no such unit.
        """
        member = "RestartUnit" if anew else "StartUnit"
        await self._ask(_PATH, f"{MANAGER}.Manager", member, "ss", unit, "replace")

    async def state(self, unit: str) -> UnitState:
        """Return the state of a unit. Raises UnitRefused."""
        path = str(await self._ask(_PATH, f"{MANAGER}.Manager", "LoadUnit", "s", unit))
        properties = "org.freedesktop.DBus.Properties"
        active, sub = [
            await self._ask(path, properties, "Get", "ss", f"{MANAGER}.Unit", name)
            for name in ("ActiveState", "SubState")
        ]
        return UnitState(_text(active), _text(sub))

    async def _ask(self, path: str, interface: str, member: str, signature: str, *body: object) -> object:
        call = Message(
            destination=MANAGER,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
            flags=MessageFlag.NO_AUTOSTART,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                answer: object = await self._connection.ask(call)
        except TimeoutError as fault:
            raise UnitRefused("systemd does not reply") from fault
        except BusUnavailable as fault:
            raise UnitRefused("the connection to the session bus was lost") from fault
        except DBusError as fault:
            if str(fault.type).endswith((".ServiceUnknown", ".NameHasNoOwner")):
                raise UnitRefused("systemd is not on this bus") from fault
            raise UnitRefused(f"systemd reports: {fault}") from fault
        return answer


def _text(value: object) -> str:
    return str(value.value) if isinstance(value, Variant) else ""
