"""One client's damaged file leaves the accelerator in use for others: the whole daemon with a virtual accelerator."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.virtual.accelerator import PROVIDER
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.speech import samples


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def gpu(bus: PrivateBus) -> Path:
    """The socket that controls the faults of the accelerator."""
    return bus.directory / "gpu"


@pytest.fixture
async def running(bus: PrivateBus, gpu: Path, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    settings = default_settings(bus.directory / "mic").replace('"cpu"', f'"virtual:{gpu}"')
    async with daemon(bus, tmp_path, settings) as running:
        yield running


@pytest.fixture
async def client(running: RunningDaemon) -> AsyncIterator[BusClient]:
    async with running.client() as client:
        await client.subscribe()
        async with asyncio.timeout(60):
            while await client.get(ENGINE, "ExecutionProvider") != PROVIDER:
                await asyncio.sleep(0.05)
        yield client


async def outcome(client: BusClient, path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text and details of a transcribed file."""
    with path.open("rb") as file:
        job = await client.call("TranscribeFile", "ha{sv}", 0, {}, descriptors=[file.fileno()])
    bodies = await eventually(
        lambda: [body for body in client.bodies("FileTranscribed") if body[0] == job], what="the end of the job"
    )
    assert bodies is not None
    return bodies[0][1], {key: value.value for key, value in bodies[0][2].items()}


async def assert_in_use(running: RunningDaemon, client: BusClient, number: int) -> None:
    """Check that the accelerator is the provider, has no fault, and recognizes the next dictation."""
    assert await client.get(ENGINE, "ExecutionProvider") == PROVIDER
    assert await client.get(ENGINE, "Degraded") == ""
    assert client.bodies("ProviderChanged")[1:] == [], "only the first change, to the accelerator"
    await client.call("StartDictation")
    await running.speak(samples()[number])
    assert await client.call("StopDictation") == samples()[number].heard["fp32"]
    assert client.bodies("Transcribed")[-1][3]["provider"].value == PROVIDER
    figures = await client.call("GetMetrics", interface=ENGINE)
    assert figures["provider-faults"].value == 0


def written(path: Path, gain: float) -> Path:
    soundfile.write(path, samples()[2].wave() * np.float32(gain), 16_000, subtype="FLOAT")
    return path


async def test_huge_values_are_refused_at_the_door_and_a_known_scale_is_heard(
    running: RunningDaemon, client: BusClient, tmp_path: Path
) -> None:
    not_finite = samples()[2].wave()
    not_finite[20_000] = np.inf
    soundfile.write(tmp_path / "infinite.wav", not_finite, 16_000, subtype="FLOAT")
    for file, complaint in (
        (written(tmp_path / "huge.wav", 1e30), "The file holds values of 3e+29 where full scale is 1"),
        (tmp_path / "infinite.wav", "The file holds NaN or infinite values"),
    ):
        text, details = await outcome(client, file)
        assert (text, details["error"]) == ("", "org.coldvox.Error.Failed")
        assert complaint in details["message"]
    await assert_in_use(running, client, 0)
    text, details = await outcome(client, written(tmp_path / "whole-numbers.wav", 2.0**31))
    assert (text, "error" in details) == (samples()[2].heard["fp32"], False)
    await assert_in_use(running, client, 1)


async def test_audio_on_which_every_recognizer_fails_has_its_own_error_alone(
    running: RunningDaemon, client: BusClient, gpu: Path
) -> None:
    for number in (2, 3):
        await asyncio.to_thread(command, gpu, "FAULT nan")
        await asyncio.to_thread(command, gpu, "CPU FAULT nan 2")
        text, details = await outcome(client, samples()[number].path)
        assert text == ""
        assert "could not be recognized" in details["message"]
    await assert_in_use(running, client, 4)
    figures = await client.call("GetMetrics", interface=ENGINE)
    assert figures["provider-faults-reproduced-on-cpu"].value == 2
