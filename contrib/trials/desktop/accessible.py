"""What a screen reader finds on the stage: AT-SPI's tree of accessible objects, over its own bus."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stage import Stage, StageError

from tests.support.bus.private_bus import BusClient

ATSPI = "org.a11y.atspi"
ROOT_PATH = "/org/a11y/atspi/accessible/root"
PROPERTIES = "org.freedesktop.DBus.Properties"


@dataclass(frozen=True, slots=True)
class Node:
    """An accessible object."""

    owner: str
    path: str
    role: str
    name: str
    description: str


class Reader:
    """A connection to AT-SPI's bus."""

    def __init__(self, bus: BusClient) -> None:
        self._bus = bus

    async def find(self, role: str, name: str) -> list[Node]:
        """Return the objects with this role whose name begins with `name`."""
        return [node for node in await self.all() if node.role == role and node.name.startswith(name)]

    async def all(self) -> list[Node]:
        """Return all objects of all programs."""
        found: list[Node] = []
        pending = [(f"{ATSPI}.Registry", ROOT_PATH)]
        while pending:
            owner, path = pending.pop(0)
            found.append(await self._node(owner, path))
            pending += [tuple(child) for child in await self._ask(owner, path, "Accessible", "GetChildren")]
        return found

    async def press(self, node: Node) -> None:
        """Do the object's first action."""
        await self._ask(node.owner, node.path, "Action", "DoAction", "i", 0)

    async def _node(self, owner: str, path: str) -> Node:
        name, description = [
            (await self._bus.call("Get", "ss", f"{ATSPI}.Accessible", key, interface=PROPERTIES, destination=owner, path=path)).value
            for key in ("Name", "Description")
        ]  # fmt: skip
        return Node(owner, path, await self._ask(owner, path, "Accessible", "GetRoleName"), name, description)

    async def _ask(
        self, owner: str, path: str, interface: str, member: str, signature: str = "", *body: object
    ) -> object:
        return await self._bus.call(
            member, signature, *body, interface=f"{ATSPI}.{interface}", destination=owner, path=path
        )


@asynccontextmanager
async def reading(stage: Stage) -> AsyncIterator[Reader]:
    """Connect to AT-SPI's bus within the context. Programs must have been started with accessibility switched on."""
    address = await stage.ask("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress")
    path = re.search(r"unix:path=([^,]+)", str(address))
    if path is None:
        raise StageError(f"AT-SPI's bus has no path: {address}")
    async with BusClient(f"unix:path={stage.inside(path[1])}") as bus:
        yield Reader(bus)
