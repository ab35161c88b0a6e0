"""An unrelated bus client that sends forged signals, and a service that sends the real ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from coldvoxd.bus.library import Message, MessageType
from tests.support.bus.library import MessageBus, close

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"


@dataclass(frozen=True, slots=True)
class Told:
    """A signal."""

    interface: str
    member: str
    path: str
    signature: str = ""
    body: tuple[Any, ...] = field(default=(), repr=False)

    def to(self, client: str | None) -> Message:
        """Return the message for this client only; for all clients if None."""
        found = Message.new_signal(self.path, self.interface, self.member, self.signature, list(self.body))
        if client is not None:
            found.destination = client
        return found


def owner_changed(name: str, before: str, after: str) -> Told:
    """Return the bus's own signal about a change of a name's owner."""
    return Told(BUS, "NameOwnerChanged", BUS_PATH, "sss", (name, before, after))


class Client:
    """Any program on the bus: the sender of its messages is always its own name, whatever they contain."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus

    @property
    def name(self) -> str:
        return str(self._bus.unique_name)

    async def own(self, name: str) -> None:
        await self._bus.request_name(name)

    async def release(self, name: str) -> None:
        await self._bus.release_name(name)

    async def send(self, told: Told, to: str | None = None) -> None:
        await self._bus.send(told.to(to))

    async def leave(self) -> None:
        await close(self._bus)

    async def through(self, client: str) -> None:
        """Return when this client has processed all messages sent before, and the tasks waiting for them have run."""
        for _ in range(2):
            ping = Message(destination=client, path="/", interface=f"{BUS}.Peer", member="Ping")
            reply = await self._bus.call(ping)
            assert reply is not None
            assert reply.message_type is MessageType.METHOD_RETURN

    async def names_of(self, pid: int) -> list[str]:
        """Return the unique names of a process on the bus."""
        names = [name for name in await self._ask("ListNames") if name.startswith(":")]
        return [name for name in names if await self._pid_of(name) == pid]

    async def _pid_of(self, name: str) -> int:
        try:
            return int(await self._ask("GetConnectionUnixProcessID", "s", name))
        except LookupError:  # the client has left meanwhile
            return 0

    async def _ask(self, member: str, signature: str = "", *body: object) -> Any:
        call = Message(BUS, BUS_PATH, BUS, member, signature=signature, body=list(body))
        reply = await self._bus.call(call)
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise LookupError(reply.error_name)
        return reply.body[0]


@contextlib.asynccontextmanager
async def on_the_bus(address: str) -> AsyncIterator[Client]:
    client = Client(await MessageBus(bus_address=address).connect())
    try:
        yield client
    finally:
        await client.leave()


async def settled(stranger: Client, pid: int) -> None:
    """Return when every connection of the process has processed the stranger's messages."""
    for name in await stranger.names_of(pid):
        await asyncio.wait_for(stranger.through(name), 30)
