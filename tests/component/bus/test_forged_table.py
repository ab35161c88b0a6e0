"""Every subscribed signal, forged by a stranger: sent to the daemon's connection, and broadcast.

The same signal from the owner of the name is accepted, so that no row passes because nothing is accepted at all.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from coldvoxd.bus.callers import Callers
from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, OBJECT_PATH
from coldvoxd.bus.library import Variant
from coldvoxd.bus.peers import logind, upower
from coldvoxd.bus.peers.logind import Logind
from coldvoxd.bus.peers.portal import GRANTED, NAME, PATH, PROPERTIES, REQUEST, SESSION, Portal
from coldvoxd.bus.peers.screen_lock import SCREEN_SAVERS, ScreenLock
from coldvoxd.bus.peers.upower import UPower
from tests.support.bus.forger import Told, on_the_bus, owner_changed
from tests.support.bus.portal import PortalDesktop
from tests.support.bus.private_bus import PrivateBus
from tests.support.environment import environment
from tests.support.eventually import eventually

PORTAL_SESSION = f"{PATH}/session/1_1/one"
PREFIX = "org.freedesktop.portal."


@dataclass
class Watching:
    """A connection of the daemon that follows a service, and the values that it has accepted."""

    connection: Connection
    seen: list[object]


GpuMonitor = Callable[[str], AbstractAsyncContextManager[Watching]]


@contextlib.asynccontextmanager
async def opened(address: str) -> AsyncIterator[Connection]:
    connection = await Connection.open(address)
    try:
        yield connection
    finally:
        await connection.aclose()


@contextlib.asynccontextmanager
async def screen_lock(address: str) -> AsyncIterator[Watching]:
    seen: list[object] = []
    async with opened(address) as connection:
        await ScreenLock(connection, seen.append).watch()
        yield Watching(connection, seen)


@contextlib.asynccontextmanager
async def sleep(address: str) -> AsyncIterator[Watching]:
    seen: list[object] = []
    with environment({"DBUS_SYSTEM_BUS_ADDRESS": address}):
        manager = await Logind.open(lambda there: seen.append(f"there: {there}"), seen.append)
    try:
        await manager.watch()
        assert seen.pop() == "there: True"
        yield Watching(manager._connection, seen)
    finally:
        await manager.close()


@contextlib.asynccontextmanager
async def battery(address: str) -> AsyncIterator[Watching]:
    seen: list[object] = []
    with environment({"DBUS_SYSTEM_BUS_ADDRESS": address}):
        power = await UPower.open()
    watching = asyncio.create_task(power.watch(seen.append))
    try:
        await eventually(lambda: seen == [False], what="the first look")
        seen.clear()
        yield Watching(power._connection, seen)
    finally:
        await power.close()
        await watching


def daemon(*, sessions: bool) -> GpuMonitor:
    @contextlib.asynccontextmanager
    async def watch(address: str) -> AsyncIterator[Watching]:
        seen: list[object] = []
        async with DaemonClient.connected(address) as client:

            async def note() -> None:
                while True:
                    seen.append((await client.next_event()).name)

            assert await client.subscribe(sessions=sessions, partials=True)
            noting = asyncio.create_task(note())
            yield Watching(client._connection, seen)
            noting.cancel()

    return watch


def portal(path: str, interface: str, member: str) -> GpuMonitor:
    @contextlib.asynccontextmanager
    async def watch(address: str) -> AsyncIterator[Watching]:
        seen: list[object] = []
        async with opened(address) as connection, Portal.opened(connection) as portal:
            gone = portal.when_gone(lambda: seen.append("gone"))
            with gone, portal.listening(path, interface, member, seen.append):
                yield Watching(connection, seen)

    return watch


def lock_of(saver: str) -> tuple[str, GpuMonitor, Told]:
    return saver, screen_lock, Told(saver, "ActiveChanged", SCREEN_SAVERS[saver], "b", (True,))


def event(member: str, signature: str, *body: object, sessions: bool = True) -> tuple[str, GpuMonitor, Told]:
    return BUS_NAME, daemon(sessions=sessions), Told(DICTATION, member, OBJECT_PATH, signature, body)


def of_portal(
    interface: str, member: str, signature: str, *body: object, path: str = PATH
) -> tuple[str, GpuMonitor, Told]:
    return NAME, portal(path, interface, member), Told(interface, member, path, signature, body)


ROWS = [
    *map(lock_of, SCREEN_SAVERS),
    (logind.NAME, sleep, Told(logind.MANAGER, "PrepareForSleep", "/org/freedesktop/login1", "b", (True,))),
    (
        upower.NAME,
        battery,
        Told(
            PROPERTIES,
            "PropertiesChanged",
            upower.PATH,
            "sa{sv}as",
            (upower.NAME, {"OnBattery": Variant("b", True)}, []),
        ),
    ),
    event("Transcribed", "uusa{sv}", 7, 1, "forged", {}),
    event("DictationStarted", "u", 7),
    event("DictationStopped", "uss", 7, "stopped", "forged"),
    event("SpeechStarted", "u", 7),
    event("SpeechEnded", "u", 7),
    event("SentenceClosed", "uu", 7, 1),
    event("PartialTranscribed", "uuss", 7, 1, "for", "ged"),
    event("FileProgress", "ud", 7, 0.5),
    event("FileTranscribed", "usa{sv}", 7, "forged", {}),
    event("Transcribed", "uusa{sv}", 7, 1, "forged", {}, sessions=False),
    event("FileTranscribed", "usa{sv}", 7, "forged", {}, sessions=False),
    of_portal(f"{PREFIX}GlobalShortcuts", "Activated", "osta{sv}", PORTAL_SESSION, "hold", 0, {}),
    of_portal(f"{PREFIX}GlobalShortcuts", "Deactivated", "osta{sv}", PORTAL_SESSION, "hold", 0, {}),
    of_portal(f"{PREFIX}Clipboard", "SelectionOwnerChanged", "oa{sv}", PORTAL_SESSION, {}),
    of_portal(f"{PREFIX}Clipboard", "SelectionTransfer", "osu", PORTAL_SESSION, "text/plain", 1),
    of_portal(SESSION, "Closed", "a{sv}", {}, path=PORTAL_SESSION),
]


@pytest.mark.parametrize("addressed", [True, False], ids=["addressed", "broadcast"])
@pytest.mark.parametrize(
    ("name", "watch", "told"), ROWS, ids=[f"{told.interface}.{told.member}" for _, _, told in ROWS]
)
async def test_a_signal_is_taken_from_the_owner_of_the_name_alone(
    bus: PrivateBus, name: str, watch: GpuMonitor, told: Told, addressed: bool
) -> None:
    async with on_the_bus(bus.address) as service, on_the_bus(bus.address) as stranger:
        await service.own(name)
        async with watch(bus.address) as ours:
            us = str(ours.connection.unique_name)
            await stranger.send(told, us if addressed else None)
            await stranger.through(us)
            assert ours.seen == []
            await service.send(told, us)
            await eventually(lambda: len(ours.seen) == 1, what="the real one")


OWNERS: list[tuple[str, GpuMonitor]] = [
    (logind.NAME, sleep),
    (upower.NAME, battery),
    (BUS_NAME, daemon(sessions=True)),
    (NAME, portal(PATH, SESSION, "Closed")),
]


@pytest.mark.parametrize(("name", "watch"), OWNERS, ids=[name for name, _ in OWNERS])
async def test_that_a_service_has_gone_is_taken_from_the_bus_alone(
    bus: PrivateBus, name: str, watch: GpuMonitor
) -> None:
    async with on_the_bus(bus.address) as service, on_the_bus(bus.address) as stranger:
        await service.own(name)
        async with watch(bus.address) as ours:
            us = str(ours.connection.unique_name)
            await stranger.send(owner_changed(name, service.name, ""), us)
            await stranger.through(us)
            assert (ours.connection.signals.owner(name), ours.seen) == (service.name, [])
            await service.release(name)
            await eventually(lambda: len(ours.seen) == 1, what="the real one")


async def test_that_a_caller_has_left_is_taken_from_the_bus_alone(bus: PrivateBus) -> None:
    left: list[str] = []
    async with opened(bus.address) as connection, on_the_bus(bus.address) as stranger:
        async with on_the_bus(bus.address) as caller:
            assert await Callers(connection, left.append).watch(caller.name)
            us = str(connection.unique_name)
            await stranger.send(owner_changed(caller.name, caller.name, ""), us)
            await stranger.through(us)
            assert left == []
        await eventually(lambda: left == [caller.name], what="its end")


async def test_a_persons_answer_is_taken_from_the_portal_alone(bus: PrivateBus) -> None:
    shortcuts = f"{PREFIX}GlobalShortcuts"
    async with (
        PortalDesktop(bus.address) as desktop,
        on_the_bus(bus.address) as stranger,
        opened(bus.address) as ours,
        Portal.opened(ours) as asking,
    ):
        us = str(ours.unique_name)
        session = await asking.create_session(shortcuts)
        desktop.answers.append(None)
        question = asking.request(
            shortcuts, "BindShortcuts", "oa(sa{sv})sa{sv}", session, [], "", options={}, limit_s=60
        )
        bound = asyncio.create_task(question)
        await eventually(lambda: desktop.questions, what="the question")
        [path] = [path for path, interface, _ in asking._handlers if interface == REQUEST]
        await stranger.send(Told(REQUEST, "Response", path, "ua{sv}", (GRANTED, {"forged": Variant("b", True)})), us)
        await stranger.through(us)
        desktop._signal(path, REQUEST, "Response", "ua{sv}", GRANTED, {"real": Variant("b", True)}, to=us)
        assert await asyncio.wait_for(bound, 30) == {"real": True}


def test_every_signal_of_the_client_stands_in_the_table() -> None:
    """A signal that is subscribed to in the future must be forged too."""
    source = Path(logind.__file__).parents[1]
    subscribing = {file.name for file in source.rglob("*.py") if "signals.subscribe(" in file.read_text("utf-8")}
    assert subscribing == {"client.py", "logind.py", "portal.py", "screen_lock.py", "upower.py"}
    from coldvoxd.bus.client_events import EVENTS

    assert set(EVENTS) == {told.member for name, _, told in ROWS if name == BUS_NAME}
