"""Suspend and resume: python-dbusmock's logind on a private system bus, and the real daemon."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE
from coldvoxd.bus.library import Message
from coldvoxd.bus.peers.logind import MANAGER, NAME
from coldvoxd.host.sleep_watch import LET_GO_S, WHO
from coldvoxd.virtual.accelerator import PROVIDER
from coldvoxd.virtual.client import command
from tests.support.bus.logind import PATH, Logind, logind
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

CPU = "CPUExecutionProvider"
LIMIT_S = 2.0
"""Maximum time in seconds from PrepareForSleep until no inhibitor delays the sleep."""
SHORT, OTHER = samples()[0], samples()[13]


@pytest.fixture
def system() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def bus(system: PrivateBus) -> Iterator[PrivateBus]:
    with PrivateBus() as session:
        runtime = {"XDG_RUNTIME_DIR": str(session.directory)}
        session.extra_environment |= {"DBUS_SYSTEM_BUS_ADDRESS": system.address} | runtime
        yield session


@dataclass
class Laptop:
    """A machine that can sleep, and the daemon on it."""

    daemon: RunningDaemon
    client: BusClient
    logind: Logind
    gpu: Path

    async def sleep(self) -> float:
        """Suspend; check that the daemon is suspended in time, and return the delay in seconds."""
        waited_s = await self.logind.sleep()
        assert waited_s < LIMIT_S
        assert await self.client.get(DICTATION, "State") == "suspended"
        return waited_s

    async def wake(self) -> None:
        """Wake up; wait until the inhibitor is held again and the daemon is usable."""
        await self.logind.prepare(False)
        await self.logind.until_held()
        await self.until(DICTATION, "State", "idle", "transcribing")

    async def until(self, interface: str, name: str, *values: object) -> None:
        """Wait until a property has one of these values; during a replacement the daemon briefly has no name."""

        async def value() -> object:
            try:
                return await self.client.get(interface, name)
            except BusError as fault:
                if fault.name != "org.freedesktop.DBus.Error.ServiceUnknown":
                    raise
                return None

        async with asyncio.timeout(60):
            while await value() not in values:
                await asyncio.sleep(0.02)

    async def gpu_told(self, what: str) -> str:
        return await asyncio.to_thread(command, self.gpu, what)


@asynccontextmanager
async def laptop(system: PrivateBus, bus: PrivateBus, place: Path, provider: str = "cpu") -> AsyncIterator[Laptop]:
    gpu = bus.directory / "gpu"
    settings = default_settings(bus.directory / "mic").replace('"cpu"', f'"{provider.format(gpu=gpu)}"')
    settings += "[replacement]\nquiet_s = 1.0\n"
    async with (
        logind(system) as there,
        daemon(bus, place, settings) as running,
        running.client() as client,
    ):
        await client.subscribe()
        await there.until_held()
        yield Laptop(running, client, there, gpu)


def plain(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def texts(client: BusClient) -> Counter[tuple[int, int]]:
    return Counter((body[0], body[1]) for body in client.bodies("Transcribed"))


async def test_a_delay_inhibitor_is_held_from_the_start(system: PrivateBus, bus: PrivateBus, tmp_path: Path) -> None:
    async with laptop(system, bus, tmp_path) as machine:
        ((what, who, why, mode),) = await machine.logind.inhibitors()
        assert (what, who, mode) == ("sleep", WHO, "delay")
        assert why


TIMES = int(os.environ.get("COLDVOX_TEST_SLEEPS", "9"))
"""With 60, each of the kinds is tested twenty times, which takes about three minutes."""


@pytest.mark.heavy
async def test_many_sleeps_with_a_session_active_with_text_pending_and_without_one(
    system: PrivateBus, bus: PrivateBus, tmp_path: Path
) -> None:
    """No text is lost, the inhibitor is always taken again, and no sleep is delayed for more than two seconds."""
    async with laptop(system, bus, tmp_path, "virtual:{gpu}") as machine:
        client = machine.client
        longest_s = 0.0
        for number in range(TIMES):
            kind = ("active", "pending", "none")[number % 3]
            session, said = 0, SHORT if number % 2 else OTHER
            if kind == "pending":  # recognition may start before the endpoint, and restart: all runs are slow
                await machine.gpu_told("HANG 3500 9")
                await machine.gpu_told("CPU HANG 3500 9")
            if kind != "none":
                session = int(await client.call("StartDictation"))
                await asyncio.to_thread(command, machine.daemon.microphone, f"SPEAK {said.path}")
            if kind == "pending":
                await asyncio.to_thread(command, machine.daemon.microphone, "SILENCE 700")
            longest_s = max(longest_s, await machine.sleep())
            told = [body for body in client.bodies("DictationStopped") if body[0] == session]
            assert bool(told) == (kind == "active"), (kind, told)
            with pytest.raises(BusError, match="being recognized" if kind == "pending" else "while the machine sleeps"):
                await client.call("StartDictation")
            if kind == "pending":
                await machine.gpu_told("WELL")
            await machine.wake()
            if kind != "none":
                async with asyncio.timeout(30):
                    while not (told := [body for body in client.bodies("DictationStopped") if body[0] == session]):
                        await asyncio.sleep(0.02)
                ((_, reason, transcript),) = told
                assert (reason, plain(transcript)) == ("suspending", plain(said.heard["fp32"]))
        print(f"{TIMES} sleeps; the longest waited for us {longest_s:.2f} s")
        assert set(texts(client).values()) == {1}, "each text was published once"
        assert [path.name for path in (bus.directory / "coldvoxd/spool").iterdir()] == ["lock"]
        await client.call("StartDictation")
        await machine.daemon.speak(SHORT)
        assert plain(await client.call("StopDictation")) == plain(SHORT.heard["fp32"])


async def test_a_sleep_takes_microphone_and_accelerator_and_a_new_process_takes_them_up(
    system: PrivateBus, bus: PrivateBus, tmp_path: Path
) -> None:
    async with laptop(system, bus, tmp_path, "virtual:{gpu}") as machine:
        await machine.until(ENGINE, "ExecutionProvider", PROVIDER)
        await machine.until(MICROPHONE, "Open", True)
        pid = machine.daemon.process.pid
        await machine.sleep()
        assert await machine.client.get(MICROPHONE, "Open") is False
        assert await machine.client.get(ENGINE, "ExecutionProvider") == CPU
        assert await machine.client.get(ENGINE, "Degraded") == "sleep"
        owner = await owner_of(machine.client)
        await machine.wake()
        await machine.until(MICROPHONE, "Open", True)

        async def renewed() -> bool:
            try:
                return await owner_of(machine.client) != owner
            except BusError:
                return False

        async with asyncio.timeout(60):
            while not await renewed():
                await asyncio.sleep(0.05)
        await machine.until(ENGINE, "ExecutionProvider", PROVIDER)
        assert await machine.client.get(ENGINE, "Degraded") == ""
        assert machine.daemon.process.pid == pid
        assert machine.daemon.process.poll() is None
        await machine.logind.until_held()
        await machine.sleep()  # and it can be stopped while it sleeps


async def owner_of(client: BusClient) -> str:
    bus = "org.freedesktop.DBus"
    name = "org.coldvox.Daemon1"
    return str(
        await client.call("GetNameOwner", "s", name, interface=bus, destination=bus, path="/org/freedesktop/DBus")
    )


async def test_an_accelerator_that_hangs_delays_no_sleep(system: PrivateBus, bus: PrivateBus, tmp_path: Path) -> None:
    async with laptop(system, bus, tmp_path, "virtual:{gpu}") as machine:
        await machine.until(ENGINE, "ExecutionProvider", PROVIDER)
        await machine.gpu_told("HANG 20000 1")
        await machine.client.call("StartDictation")
        await machine.daemon.speak(SHORT)
        await machine.sleep()
        await machine.wake()
        await machine.until(DICTATION, "State", "idle")
        ((_, reason, transcript),) = machine.client.bodies("DictationStopped")
        assert (reason, plain(transcript)) == ("suspending", plain(SHORT.heard["fp32"]))


async def test_a_sleep_that_is_called_off_leaves_the_daemon_as_it_was(
    system: PrivateBus, bus: PrivateBus, tmp_path: Path
) -> None:
    async with laptop(system, bus, tmp_path) as machine:
        await machine.logind.prepare(True)
        await machine.wake()
        await machine.client.call("StartDictation")
        await machine.daemon.speak(SHORT)
        assert plain(await machine.client.call("StopDictation")) == plain(SHORT.heard["fp32"])


async def test_a_logind_that_is_restarted_gives_another_inhibitor(
    system: PrivateBus, bus: PrivateBus, tmp_path: Path
) -> None:
    async with daemon(bus, tmp_path) as running:
        for _ in range(2):
            async with logind(system) as there:
                await there.until_held()
        assert running.process.poll() is None


async def test_a_logind_that_dies_while_we_sleep_is_taken_for_a_wake(
    system: PrivateBus, bus: PrivateBus, tmp_path: Path
) -> None:
    async with laptop(system, bus, tmp_path) as machine:
        await machine.sleep()
        machine.logind.kill()
        await machine.until(DICTATION, "State", "idle")


async def test_without_a_system_bus_nothing_is_said_but_once_and_it_is_found_when_it_comes(
    bus: PrivateBus, tmp_path: Path
) -> None:
    with PrivateBus() as later:
        bus.extra_environment["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={later.directory}/link"
        async with daemon(bus, tmp_path) as running:
            await asyncio.sleep(2.5)  # long enough for a second check
            (line,) = [line for line in running.log.splitlines() if "suspend is not announced" in line]
            assert " INFO " in line
            (later.directory / "link").symlink_to(later.directory / "bus")
            async with logind(later) as there:
                await there.until_held()
                await eventually(lambda: "suspend is now delayed" in running.log, what="the log's line")


async def test_an_inhibitor_that_is_refused_is_told_once_and_the_sleep_is_seen_all_the_same(
    system: PrivateBus, bus: PrivateBus, tmp_path: Path
) -> None:
    async with logind(system) as there:
        await there.refuse()
        async with daemon(bus, tmp_path) as running, running.client() as client:
            machine = Laptop(running, client, there, tmp_path)
            await there.prepare(True)
            await machine.until(DICTATION, "State", "suspended")
            await there.prepare(False)
            await machine.until(DICTATION, "State", "idle")
            assert running.log.count("suspend cannot be delayed") == 1


async def test_nobody_but_logind_puts_the_daemon_to_sleep(system: PrivateBus, bus: PrivateBus, tmp_path: Path) -> None:
    async with laptop(system, bus, tmp_path) as machine, BusClient(system.address) as stranger:
        for destination in await unique_names(stranger):
            forged = Message.new_signal(PATH, MANAGER, "PrepareForSleep", "b", [True])
            forged.destination = destination
            await stranger._bus.send(forged)
        await asyncio.sleep(0.5)
        assert await machine.client.get(DICTATION, "State") == "idle"
        assert await machine.logind.is_held()


async def unique_names(client: BusClient) -> list[str]:
    bus = "org.freedesktop.DBus"
    names = await client.call("ListNames", interface=bus, destination=bus, path="/org/freedesktop/DBus")
    return [name for name in names if name.startswith(":") and name != client.name]


def test_the_inhibitor_ends_before_the_promised_time() -> None:
    assert LET_GO_S < LIMIT_S
    assert NAME == "org.freedesktop.login1"
