"""Speech without a pause that is cut at its maximum length: the whole daemon, with real speech."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Variant
from coldvoxd.core.edit_distance import edit_distance
from coldvoxd.core.seams import spelled
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.virtual.accelerator import PROVIDER
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.speech import Sample, Wave, samples

LONGEST_S = 3.0
SETTINGS = f"[endpoint]\nmax_utterance_s = {LONGEST_S}\n"
WRONG_SHARE = 0.12
"""Of the words that were said, beside the cuts or not: each part has 3 s of context at most."""


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


def close_together(wave: Wave) -> Wave:
    """Return a recording without the silence at its ends."""
    loud = np.flatnonzero(np.abs(wave) > 0.02 * np.max(np.abs(wave)))
    return wave[max(0, loud[0] - SAMPLE_RATE // 20) : loud[-1] + SAMPLE_RATE // 20]


@pytest.fixture
def recording(tmp_path: Path) -> Sample:
    """Six sentences without a pause between them."""
    six = samples()[:6]
    path = tmp_path / "long.wav"
    wave = np.concatenate([close_together(sample.wave()) for sample in six])
    soundfile.write(path, wave, SAMPLE_RATE, subtype="PCM_16")
    return Sample(path, " ".join(sample.said for sample in six), {})


@asynccontextmanager
async def dictating(
    bus: PrivateBus, tmp_path: Path, provider: str = "cpu"
) -> AsyncIterator[tuple[RunningDaemon, BusClient]]:
    settings = default_settings(bus.directory / "mic").replace('"cpu"', f'"{provider}"') + SETTINGS
    async with daemon(bus, tmp_path, settings) as running, running.client() as client:
        await client.subscribe()
        yield running, client


def plain(text: str) -> list[str]:
    return [word for word in map(spelled, text.split()) if word]


def wrong(text: str, said: Sample) -> int:
    return edit_distance(plain(text), plain(said.said))


def details(body: list[Any]) -> dict[str, Any]:
    return {key: value.value for key, value in body[3].items()}


async def dictated(
    running: RunningDaemon, client: BusClient, said: Sample, **options: bool
) -> tuple[str, list[list[Any]]]:
    """Dictate a recording; return the transcript, and the bodies of Transcribed."""
    session = await client.call(
        "StartDictationWithOptions", "a{sv}", {name: Variant("b", value) for name, value in options.items()}
    )
    await running.speak(said)
    transcript = await client.call("StopDictation")
    await client.settle()
    return transcript, [body for body in client.bodies("Transcribed") if body[0] == session]


@pytest.mark.heavy
async def test_no_word_is_lost_or_doubled_at_a_cut_and_the_parts_join(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    async with dictating(bus, tmp_path) as (running, client):
        transcript, texts = await dictated(running, client, recording, words=True)
        said = plain(recording.said)
        assert len(texts) >= 4, "it was cut"
        assert wrong(transcript, recording) <= WRONG_SHARE * len(said)
        parts = [details(body) for body in texts]
        assert "".join(part["seam"] + part["body"] for part in parts) + parts[-1]["pending"] == transcript
        for earlier, later in pairwise(parts):
            assert earlier["end"] == pytest.approx(later["start"], abs=1e-6), "each sample belongs to one part"
            assert later["end"] - later["start"] < LONGEST_S
        timed = [word for part in parts for word in part["words"]]
        assert [spelled(word[0]) for word in timed] == plain(" ".join(body[2] for body in texts))
        assert all(one[1] < other[1] + 0.32 for one, other in pairwise(timed)), "times are of one session"
        again = await client.call("RetryLast")
        last = plain(texts[-1][2])
        assert edit_distance(plain(again), last) <= 1, "by the times, without the words of the part before"


@pytest.mark.heavy
async def test_partials_of_a_part_have_no_words_of_the_one_before(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    async with dictating(bus, tmp_path) as (running, client):
        without, _ = await dictated(running, client, recording)
        transcript, texts = await dictated(running, client, recording, partials=True)
        assert edit_distance(plain(transcript), plain(without)) <= 2, "the audio begins at another sample"
        order = [one for one in client.signals if one.member in {"PartialTranscribed", "Transcribed"}]
        published: list[int] = []
        behind = 0
        for one in order:
            number = one.body[1]
            if one.member == "Transcribed":
                published.append(number)
            elif number > texts[0][1]:
                assert number - 1 in published, "the text before it is known"
                behind += bool(one.body[2])
        assert behind, "later parts had partials too"
        stable = {one.body[1]: one.body[2] for one in order if one.member == "PartialTranscribed" and one.body[2]}
        for session, number, text, _ in texts:
            if number in stable:
                assert edit_distance(plain(stable[number]), plain(text)[: len(plain(stable[number]))]) <= 2, session


@pytest.mark.heavy
async def test_after_a_crash_behind_a_cut_the_other_part_is_recognized(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    bus.extra_environment["XDG_RUNTIME_DIR"] = str(runtime)
    async with dictating(bus, tmp_path) as (running, client):
        await client.call("StartDictation")
        speaking = asyncio.create_task(running.speak(recording))
        await eventually(lambda: client.bodies("Transcribed"), what="the first text")
        running.kill()
        await asyncio.gather(speaking, return_exceptions=True)
        async with dictating(bus, tmp_path):
            await eventually(lambda: client.bodies("DictationStopped"), what="the recovered session")
        texts = {body[1]: body[2] for body in client.bodies("Transcribed")}
        assert len(texts) >= 2
        found = plain(" ".join(texts[number] for number in sorted(texts)))
        said = plain(recording.said)
        assert min(edit_distance(found, said[:count]) for count in range(len(said) + 1)) <= 3
        retried = [body for body in client.bodies("Transcribed") if details(body)["retried"]]
        assert details(retried[0])["end"] > LONGEST_S / 2


@pytest.mark.heavy
async def test_a_reload_between_the_parts_costs_no_word(bus: PrivateBus, tmp_path: Path, recording: Sample) -> None:
    async with dictating(bus, tmp_path) as (running, client):
        right, _ = await dictated(running, client, recording)
        await client.call("StartDictation")
        seen = len(client.bodies("Transcribed"))
        speaking = asyncio.create_task(running.speak(recording))
        await eventually(lambda: len(client.bodies("Transcribed")) > seen, what="the first text")
        await client.call("Reload", interface=ENGINE)
        await speaking
        assert edit_distance(plain(await client.call("StopDictation")), plain(right)) <= 2


@pytest.mark.heavy
@pytest.mark.parametrize("fault", ["FAULT memory", "HANG 1500 2"])
async def test_another_provider_between_the_parts_costs_no_word(
    bus: PrivateBus, tmp_path: Path, recording: Sample, fault: str
) -> None:
    gpu = bus.directory / "gpu"
    async with dictating(bus, tmp_path, f"virtual:{gpu}") as (running, client):

        async def is_used() -> bool:
            return bool(await client.get(ENGINE, "ExecutionProvider") == PROVIDER)

        async with asyncio.timeout(60):
            while not await is_used():
                await asyncio.sleep(0.05)
        await client.call("StartDictation")
        speaking = asyncio.create_task(running.speak(recording))
        await eventually(lambda: client.bodies("Transcribed"), what="the first text")
        await asyncio.to_thread(command, gpu, fault)
        await speaking
        transcript = await client.call("StopDictation")
        assert wrong(transcript, recording) <= WRONG_SHARE * len(plain(recording.said))
        providers = {details(body)["provider"] for body in client.bodies("Transcribed")}
        assert len(providers) == 2, "both have recognized parts"
