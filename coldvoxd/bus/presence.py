"""Queries the session bus for the daemon, without starting it."""

import asyncio
from dataclasses import dataclass

from coldvoxd.bus.connection import Connection, session_address
from coldvoxd.bus.interface_xml import BUS_NAME
from coldvoxd.bus.library import DBusError
from coldvoxd.core.errors import BusUnavailable

LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class BusPresence:
    address: str
    activatable: bool
    """Whether a call to the daemon's name would start it."""
    owner_pid: int | None
    """The daemon's process ID; None if it is not running."""


async def look() -> BusPresence:
    """Query the session bus. Raises BusUnavailable if there is none or it does not reply."""
    address = session_address()
    connection = await Connection.open(address)
    try:
        async with asyncio.timeout(LIMIT_S):
            names = await connection.ask_bus("ListActivatableNames")
            try:
                pid = int(await connection.ask_bus("GetConnectionUnixProcessID", "s", BUS_NAME))
            except DBusError:
                pid = None
    except TimeoutError as error:
        raise BusUnavailable(f"The bus at {address} did not reply within {LIMIT_S:g} s.") from error
    finally:
        await connection.aclose()
    return BusPresence(address, BUS_NAME in names, pid)
