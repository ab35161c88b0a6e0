"""python-dbusmock's logind on a private system bus: its inhibitors are real pipes; the test controls its sleep."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from coldvoxd.bus.library import Variant
from coldvoxd.bus.peers.logind import MANAGER, NAME
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus

PYTHON = "/usr/bin/python3"
"""The system's interpreter: python-dbusmock needs packages of the distribution."""
PATH = "/org/freedesktop/login1"
MOCK = "org.freedesktop.DBus.Mock"


@dataclass
class Logind:
    """Controls the machine and its logind."""

    client: BusClient
    process: "subprocess.Popen[bytes]"

    async def inhibitors(self) -> list[list[Any]]:
        """Return what, who, why and mode of each inhibitor."""
        return [list(one[:4]) for one in await self.call("ListInhibitors")]

    async def is_held(self, count: int = 1) -> bool:
        """Return whether exactly `count` inhibitors are held."""
        return len(await self.inhibitors()) == count

    async def until_held(self, count: int = 1) -> None:
        async with asyncio.timeout(30):
            while not await self.is_held(count):
                await asyncio.sleep(0.01)

    async def prepare(self, about_to: bool) -> None:
        """Emit PrepareForSleep, as before and after a sleep."""
        body = [Variant("b", about_to)]
        await self.call("EmitSignal", "sssav", MANAGER, "PrepareForSleep", "b", body, interface=MOCK)

    async def sleep(self) -> float:
        """Suspend the machine once no inhibitor is held; return the delay in seconds as logind would see it."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await self.prepare(True)
        await self.until_held(0)
        return loop.time() - began_s

    async def refuse(self) -> None:
        """Make Inhibit return an error from now on."""
        refusal = "raise dbus.exceptions.DBusException('no', name='org.freedesktop.DBus.Error.AccessDenied')"
        await self.call("AddMethod", "sssss", MANAGER, "Inhibit", "ssss", "h", refusal, interface=MOCK)

    async def call(self, member: str, signature: str = "", *body: object, interface: str = MANAGER) -> Any:
        return await self.client.call(member, signature, *body, interface=interface, destination=NAME, path=PATH)

    def kill(self) -> None:
        """Kill logind, as `systemctl restart systemd-logind` starts."""
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def logind(bus: PrivateBus, runner: Sequence[str] = ()) -> AsyncIterator[Logind]:
    """Run logind on this bus within the context."""
    environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    process = subprocess.Popen(
        [*runner, PYTHON, "-m", "dbusmock", "--system", "--template", "logind"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        async with BusClient(bus.address) as client:
            here = Logind(client, process)

            async def answers() -> bool:
                assert process.poll() is None, "python3-dbusmock is not installed: contrib/dev/setup.sh does that"
                try:
                    await here.inhibitors()
                except BusError:
                    return False
                return True

            async with asyncio.timeout(30):
                while not await answers():
                    await asyncio.sleep(0.05)
            yield here
    finally:
        process.kill()
        process.wait()
