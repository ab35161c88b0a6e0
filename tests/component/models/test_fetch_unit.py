"""The real daemon without a model on a bus without systemd: it names the command to run, and works afterwards."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.user_units import Units
from coldvoxd.core.errors import ModelMissing, UnitRefused
from coldvoxd.core.settings import ModelSettings
from coldvoxd.models.fetch_unit import UNIT, ModelFetching
from coldvoxd.models.progress import ProgressWriter, ToldProgress, read_progress
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.eventually import eventually
from tests.support.login.login import samples
from tests.support.models.hub import LoopbackHub

ROOT = Path(__file__).parents[3]
ENGINE = "org.coldvox.Engine1"
V2 = ModelSettings(name="parakeet-tdt-0.6b-v2")
MISSING = ModelMissing("There is no model 'parakeet-tdt-0.6b-v2'.")


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@contextmanager
def daemon(bus: PrivateBus, environment: dict[str, str], home: Path) -> Iterator[Path]:
    """Run the daemon and yield the socket of its virtual microphone; print its log at the end."""
    microphone = home / "mic"
    environment = environment | {
        "DBUS_SESSION_BUS_ADDRESS": bus.address,
        "COLDVOXD_MICROPHONE_DEVICE": f"virtual:{microphone}",
    }
    with (home / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "coldvoxd"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            yield microphone
        finally:
            process.terminate()
            process.wait(30)
            print((home / "log").read_text())


async def start_when_ready(client: BusClient, told: list[str]) -> int:
    """Return the session's number; append the daemon's refusals to `told`."""
    refusals = {"org.coldvox.Error.NotReady", "org.freedesktop.DBus.Error.ServiceUnknown"}

    async def attempt() -> int:
        try:
            return int(await client.call("StartDictation"))
        except BusError as error:
            if error.name not in refusals:
                raise
            told.append(error.message)
            return 0

    async with asyncio.timeout(60):
        while not (session := await attempt()):
            await asyncio.sleep(0.1)
    return session


async def test_the_daemon_says_what_to_type_and_works_when_that_was_typed(bus: PrivateBus, tmp_path: Path) -> None:
    with LoopbackHub() as hub:
        environment = hub.environment(tmp_path)
        with daemon(bus, environment, tmp_path) as microphone:
            async with BusClient(bus.address) as client:
                told: list[str] = []
                starting = asyncio.create_task(start_when_ready(client, told))
                await eventually(lambda: any("coldvoxctl model pull" in text for text in told), what="what to type")
                assert "systemd is not on this bus" in told[-1]
                assert await client.get(ENGINE, "Progress") == -1
                assert await client.get(ENGINE, "Degraded") == "model-missing"
                assert not hub.requests, "the daemon does not use the network"

                pull = [sys.executable, "-m", "coldvoxd.cli.main", "model", "pull"]
                process = await asyncio.create_subprocess_exec(*pull, cwd=ROOT, env=environment)
                assert await process.wait() == 0
                await starting
                assert await client.get(ENGINE, "Degraded") == ""
                sample = samples()[0]
                for line in (f"SPEAK {sample.file}", "SILENCE 800"):
                    await asyncio.to_thread(command, microphone, line)
                assert sample.is_in(await client.call("StopDictation"))


async def test_a_bus_without_systemd_is_told_as_such(bus: PrivateBus) -> None:
    connection = await Connection.open(bus.address)
    try:
        with pytest.raises(UnitRefused, match="systemd is not on this bus"):
            await Units(connection).start(UNIT)
        fetching = ModelFetching(V2, lambda: Units(connection))
        found = await fetching.look(MISSING)
        assert "It could not be downloaded automatically: systemd is not on this bus." in found.last_error
        assert str(MISSING) in str(found.refusal)
    finally:
        await connection.aclose()


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings(name="parakeet-tdt-0.6b-v2", fetch=False),
        ModelSettings(name="parakeet-9"),
        ModelSettings(name="/srv/models/parakeet-tdt-0.6b-v2"),
        ModelSettings(name="mini"),
    ],
)
async def test_nobody_is_asked_for_what_may_not_or_can_not_be_fetched(settings: ModelSettings) -> None:
    def nobody() -> Units:
        raise AssertionError("asked for")

    found = await ModelFetching(settings, nobody).look(MISSING)
    assert (found.refusal, found.progress) == (MISSING, -1.0)


def test_progress_is_read_as_it_was_written_and_never_half(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    write = ProgressWriter(file)
    assert read_progress(file) is None
    for hundredth in range(100):
        told = ToldProgress("m", "fp32", "fetching", hundredth / 100, hundredth, 100, "")
        write(told)
        assert read_progress(file) == told
    file.write_text('{"model": "m", "precis')
    assert read_progress(file) is None


def test_progress_that_cant_be_written_stops_nothing(tmp_path: Path) -> None:
    ProgressWriter(tmp_path / "gone/progress.json")(ToldProgress("m", "fp32", "fetching", 0.5, 1, 2, ""))
