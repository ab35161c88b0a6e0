"""A decoder that stays on blank after a sentence loses no words: the whole daemon, dictation and files."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import soundfile

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.virtual.accelerator import PROVIDER
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.speech import Sample, samples, spoken

TOKENS = 5
"""Tokens of the first sentence with its full stop, in which the decoder does not stall."""


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
async def running(bus: PrivateBus, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    settings = default_settings(bus.directory / "mic").replace('"cpu"', f'"virtual:{bus.directory / "gpu"}"')
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


@pytest.fixture
def sentences(tmp_path: Path) -> Sample:
    """Three sentences with pauses that end no utterance."""
    three = samples()[:3]
    path = tmp_path / "sentences.wav"
    soundfile.write(path, spoken(*(sample.wave() for sample in three)).samples, SAMPLE_RATE, subtype="PCM_16")
    return Sample(path, " ".join(sample.said for sample in three), {})


async def counts(client: BusClient) -> tuple[int, int]:
    figures = await client.call("GetMetrics", interface=ENGINE)
    return figures["speech-without-words"].value, figures["speech-without-words-recovered"].value


@pytest.mark.heavy
async def test_a_stall_in_dictation_costs_no_words(
    running: RunningDaemon, client: BusClient, sentences: Sample, bus: PrivateBus
) -> None:
    await client.call("StartDictation")
    await running.speak(sentences)
    right = await client.call("StopDictation")
    assert (right.count("."), await counts(client)) == (3, (0, 0))
    # Runs that start in a pause may take some of the stalls.
    await asyncio.to_thread(command, bus.directory / "gpu", f"STALL {TOKENS} 0 9")
    await client.call("StartDictation")
    await running.speak(sentences)
    assert await client.call("StopDictation") == right
    assert await counts(client) == (1, 1)


@pytest.mark.heavy
async def test_a_stall_in_a_file_costs_no_words(client: BusClient, sentences: Sample, bus: PrivateBus) -> None:
    async def transcribed() -> str:
        with sentences.path.open("rb") as file:
            job = await client.call("TranscribeFile", "ha{sv}", 0, {}, descriptors=[file.fileno()])
        ended = await eventually(
            lambda: [body for body in client.bodies("FileTranscribed") if body[0] == job], what="the end of the job"
        )
        return str(ended[0][1])

    right = await transcribed()
    assert (right.count("."), await counts(client)) == (3, (0, 0))
    await asyncio.to_thread(command, bus.directory / "gpu", f"STALL {TOKENS} 0")
    assert await transcribed() == right
    assert await counts(client) == (1, 1)
