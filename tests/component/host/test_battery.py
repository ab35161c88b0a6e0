"""Mains or battery power: python-dbusmock's UPower on a private system bus."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from coldvoxd.bus.library import PropertyAccess, ServiceInterface, Variant, dbus_property
from coldvoxd.bus.peers.upower import NAME, PATH
from coldvoxd.host.battery import BatteryWatch
from tests.support.bus.library import MessageBus, close
from tests.support.bus.logind import MOCK, PYTHON
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.eventually import eventually


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield bus


@asynccontextmanager
async def upower(bus: PrivateBus, *, on_battery: bool) -> AsyncIterator[BusClient]:
    """Yield a machine whose power supply can be unplugged."""
    process = subprocess.Popen(
        [PYTHON, "-m", "dbusmock", "--system", NAME, PATH, NAME],
        env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": bus.address},
        stdout=subprocess.DEVNULL,
    )
    try:
        async with BusClient(bus.address) as client:

            async def answers() -> bool:
                assert process.poll() is None, "python3-dbusmock is not installed: contrib/dev/setup.sh does that"
                try:
                    await plug(client, on_battery=on_battery, add=True)
                except BusError:
                    return False
                return True

            async with asyncio.timeout(30):
                while not await answers():
                    await asyncio.sleep(0.05)
            yield client
    finally:
        process.kill()
        process.wait()


async def plug(client: BusClient, *, on_battery: bool, add: bool = False) -> None:
    if add:
        body = (NAME, "OnBattery", Variant("b", on_battery))
        await client.call("AddProperty", "ssv", *body, interface=MOCK, destination=NAME, path=PATH)
    else:
        changed = {"OnBattery": Variant("b", on_battery)}
        await client.call("UpdateProperties", "sa{sv}", NAME, changed, interface=MOCK, destination=NAME, path=PATH)


@asynccontextmanager
async def watching() -> AsyncIterator[list[bool]]:
    told: list[bool] = []
    task = asyncio.create_task(BatteryWatch(told.append).run())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_machine_on_its_battery_is_known_and_each_change_of_it(system: PrivateBus) -> None:
    async with upower(system, on_battery=True) as client, watching() as told:
        await eventually(lambda: told == [True])
        await plug(client, on_battery=False)
        await eventually(lambda: told == [True, False])
        await plug(client, on_battery=True)
        await eventually(lambda: told == [True, False, True])


async def test_a_upower_that_ends_leaves_a_machine_on_mains(system: PrivateBus) -> None:
    async with watching() as told:
        async with upower(system, on_battery=False) as client:
            await plug(client, on_battery=True)
            await eventually(lambda: told == [True])
        await eventually(lambda: told == [True, False])


class Unplugged(ServiceInterface):
    """A machine that is unplugged as soon as it is asked: the change can arrive with the answer."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._on_battery = False
        self.is_there = False
        """The library itself reads the property before the service is on the bus."""

    @dbus_property(access=PropertyAccess.READ)  # type: ignore[untyped-decorator]
    def OnBattery(self) -> "b":  # type: ignore[name-defined]  # noqa: F821, N802 - D-Bus's names and types
        before, self._on_battery = self._on_battery, self.is_there
        if self.is_there and not before:
            asyncio.get_running_loop().call_soon(self.emit_properties_changed, {"OnBattery": True})
        return before


async def test_an_answer_that_is_older_than_a_change_is_not_taken(system: PrivateBus) -> None:
    service = await MessageBus(bus_address=system.address).connect()
    machine = Unplugged()
    service.export(PATH, machine)
    await service.request_name(NAME)
    machine.is_there = True
    async with watching() as told:
        await eventually(lambda: told)
        await asyncio.sleep(0.1)
        assert told == [True]
    await close(service)


async def test_without_a_system_bus_the_machine_runs_on_mains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
    monkeypatch.setattr("coldvoxd.host.battery.FIRST_PAUSE_S", 0.01)
    async with watching() as told:
        await asyncio.sleep(0)
        with PrivateBus() as bus:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
            async with upower(bus, on_battery=False) as client:
                await plug(client, on_battery=True)
                await eventually(lambda: told == [True], what="a bus that came later")
