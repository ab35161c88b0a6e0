"""Words while they are spoken: the whole daemon, with real speech, real faults and a real bus."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import soundfile

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Variant
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.virtual.accelerator import PROVIDER
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.bus.screensaver import screen_saver
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.speech import Sample, samples, spoken

ON = "[dictation]\npartials = true\n"
PARTIALS = {"partials": Variant("b", True)}
PRIVATE = {"private": Variant("b", True)}


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def recording(tmp_path: Path) -> Sample:
    """Three sentences without a pause that ends an utterance: long enough for several runs on a busy machine."""
    three = samples()[2:5]
    path = tmp_path / "sentences.wav"
    soundfile.write(path, spoken(*(sample.wave() for sample in three)).samples, SAMPLE_RATE, subtype="PCM_16")
    return Sample(path, " ".join(sample.said for sample in three), {})


@asynccontextmanager
async def dictating(
    bus: PrivateBus, tmp_path: Path, more: str = ON, provider: str = "cpu"
) -> AsyncIterator[tuple[RunningDaemon, BusClient]]:
    settings = default_settings(bus.directory / "mic").replace('"cpu"', f'"{provider}"')
    async with daemon(bus, tmp_path, settings + more) as running, running.client() as client:
        await client.subscribe()
        yield running, client


async def dictated(
    running: RunningDaemon, client: BusClient, said: Sample, options: dict[str, Variant] | None = None
) -> tuple[str, list[tuple[int, str]]]:
    """Dictate a recording; return the transcript, and utterance and text of each Transcribed of the session."""
    session = await client.call("StartDictationWithOptions", "a{sv}", options or {})
    await running.speak(said)
    transcript = await client.call("StopDictation")
    await client.settle()
    texts = [(body[1], body[2]) for body in client.bodies("Transcribed") if body[0] == session]
    return transcript, texts


def check_order(client: BusClient) -> None:
    """Check that stable words only grow, and that nothing follows the text of an utterance or the end of a session."""
    stable: dict[int, str] = {}
    over: set[int] = set()
    for signal in client.signals:
        match signal.member:
            case "PartialTranscribed":
                session, utterance, now, unstable = signal.body
                assert utterance not in over
                assert -session not in over
                before = stable.get(utterance, "")
                assert not (now or unstable) or f"{now} ".startswith(f"{before} " if before else "")
                stable[utterance] = now or before
            case "Transcribed":
                over.add(signal.body[1])
            case "DictationStopped":
                over.add(-signal.body[0])


@pytest.mark.heavy
async def test_words_arrive_while_they_are_spoken_and_the_text_is_the_same(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    async with dictating(bus, tmp_path, more="") as (running, client):
        without, texts = await dictated(running, client, recording)
        assert client.bodies("PartialTranscribed") == []
        transcript, again = await dictated(running, client, recording, PARTIALS)
        assert transcript == without
        assert [text for _, text in again] == [text for _, text in texts]
        partials = client.bodies("PartialTranscribed")
        assert {body[1] for body in partials} <= {number for number, _ in again}
        assert any(body[2] for body in partials), "some words have become stable"
        assert {body[3][-1:] for body in partials} & set(".,?!") == set()
        check_order(client)


@pytest.mark.heavy
async def test_the_setting_is_for_every_session_and_private_words_are_for_their_owner(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    async with dictating(bus, tmp_path) as (running, client), running.client() as stranger:
        await stranger.subscribe()
        await dictated(running, client, recording)
        assert client.bodies("PartialTranscribed")
        await stranger.settle()
        assert stranger.bodies("PartialTranscribed") == client.bodies("PartialTranscribed")
        seen = len(client.bodies("PartialTranscribed"))
        await dictated(running, client, recording, PRIVATE)
        assert len(client.bodies("PartialTranscribed")) > seen
        await stranger.settle()
        assert len(stranger.bodies("PartialTranscribed")) == seen
        addressed = {one.destination for one in client.signals if one.member == "PartialTranscribed"}
        assert addressed == {None, client.name}
        check_order(client)
        assert not any(body[2] and body[2] in running.log for body in client.bodies("PartialTranscribed"))


@pytest.mark.heavy
async def test_after_cancel_no_word_is_published(bus: PrivateBus, tmp_path: Path, recording: Sample) -> None:
    async with dictating(bus, tmp_path) as (running, client):
        for _ in range(3):
            seen = len(client.bodies("PartialTranscribed"))
            await client.call("StartDictation")
            speaking = asyncio.create_task(running.speak(recording))
            await eventually(lambda seen=seen: len(client.bodies("PartialTranscribed")) > seen, what="a partial")  # type: ignore[misc]
            await client.call("CancelDictation")
            await speaking
        await client.settle()
        check_order(client)
        assert len(client.bodies("DictationStopped")) == 3
        assert client.bodies("Transcribed") == []


@pytest.mark.heavy
async def test_while_the_screen_is_locked_no_word_is_published(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    async with dictating(bus, tmp_path) as (running, client), screen_saver(bus.address) as saver:
        await client.call("StartDictation")
        speaking = asyncio.create_task(running.speak(recording))
        await eventually(lambda: client.bodies("PartialTranscribed"), what="a partial")
        saver.lock()
        await eventually(lambda: client.bodies("PartialTranscribed")[-1][2:] == ["", ""], what="the words taken back")
        locked = len(client.bodies("PartialTranscribed"))
        await speaking
        await running.speak(samples()[1])
        await client.settle()
        assert len(client.bodies("PartialTranscribed")) == locked
        saver.unlock()
        while len(client.bodies("PartialTranscribed")) == locked:  # until the daemon has heard of it
            await running.speak(recording)
        assert await client.call("StopDictation")
        check_order(client)


FAULTS = ["FAULT fault 3", "FAULT nan 2", "FAULT memory", "FAULT illegal", "HANG 1500 2"]


@pytest.mark.heavy
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_amid_partials_costs_no_word(
    bus: PrivateBus, tmp_path: Path, recording: Sample, fault: str
) -> None:
    gpu = bus.directory / "gpu"
    async with dictating(bus, tmp_path, provider=f"virtual:{gpu}") as (running, client):
        async with asyncio.timeout(60):
            while await client.get(ENGINE, "ExecutionProvider") != PROVIDER:
                await asyncio.sleep(0.05)
        right, _ = await dictated(running, client, recording)
        await asyncio.to_thread(command, gpu, fault)
        found, texts = await dictated(running, client, recording)
        assert found == right
        assert texts
        check_order(client)


@pytest.mark.heavy
async def test_a_reload_amid_partials_costs_no_word(bus: PrivateBus, tmp_path: Path, recording: Sample) -> None:
    async with dictating(bus, tmp_path) as (running, client):
        right, _ = await dictated(running, client, recording)
        await client.call("StartDictation")
        speaking = asyncio.create_task(running.speak(recording))
        seen = len(client.bodies("PartialTranscribed"))
        await eventually(lambda: len(client.bodies("PartialTranscribed")) > seen, what="a partial")
        await client.call("Reload", interface=ENGINE)
        await speaking
        assert await client.call("StopDictation") == right
        check_order(client)


@pytest.mark.heavy
async def test_after_a_crash_the_text_has_the_number_of_its_partials(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    bus.extra_environment["XDG_RUNTIME_DIR"] = str(runtime)
    async with dictating(bus, tmp_path) as (running, client):
        await client.call("StartDictation")
        running_on = asyncio.create_task(running.speak(recording))
        partial = await eventually(lambda: client.bodies("PartialTranscribed"), what="a partial")
        running.kill()
        await asyncio.gather(running_on, return_exceptions=True)
        async with dictating(bus, tmp_path):
            await eventually(lambda: client.bodies("Transcribed"), what="the text")
        number = client.bodies("Transcribed")[0][1]
        assert number == partial[0][1]
        assert client.bodies("Transcribed")[0][3]["retried"].value is True
