"""A speaker who pauses inside a sentence gets one sentence: the whole daemon, with real speech."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.pauses import room, with_pause
from tests.support.sound.speech import Sample, samples

SAID = "Copy my text and delete that line."
APART = ["Copy my text and", "Delete that line."]
SETTINGS = "[dictation]\nseam_s = 1.2\n"


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def recording(tmp_path: Path) -> Sample:
    """A sentence with a pause of 0.9 s, which ends an utterance, and not a sentence."""
    path = tmp_path / "paused.wav"
    soundfile.write(path, np.concatenate((room(0.3), with_pause(SAID))), SAMPLE_RATE, subtype="PCM_16")
    return Sample(path, SAID, {})


async def dictated(running: RunningDaemon, client: BusClient, *said: Sample) -> tuple[str, list[dict[str, Any]]]:
    """Dictate recordings with 1.5 s after each; return the transcript, and text and details of each Transcribed."""
    await client.call("StartDictation")
    for one in said:
        await asyncio.to_thread(command, running.microphone, f"SPEAK {one.path}")
        await asyncio.to_thread(command, running.microphone, "SILENCE 1500")
    transcript = await client.call("StopDictation")
    found = client.bodies("Transcribed")
    return transcript, [
        {"text": body[2]} | {key: body[3][key].value for key in ("body", "pending", "seam")} for body in found
    ]


@pytest.mark.heavy
async def test_a_pause_inside_a_sentence_is_no_full_stop(bus: PrivateBus, tmp_path: Path, recording: Sample) -> None:
    next_one = next(sample for sample in samples() if sample.name.endswith("thank-you-maria"))
    settings = default_settings(bus.directory / "mic") + SETTINGS
    async with daemon(bus, tmp_path, settings) as running, running.client() as client:
        await client.subscribe()
        transcript, texts = await dictated(running, client, recording, next_one)
        assert [text["text"] for text in texts] == [*APART, next_one.said]
        assert texts[:2] == [
            {"text": APART[0], "body": "Copy my text and", "pending": "", "seam": ""},
            {"text": APART[1], "body": "delete that line", "pending": ".", "seam": " "},
        ]
        assert texts[2]["seam"] == ". "
        assert transcript == f"{SAID} {next_one.said}"
        assert "".join(text["seam"] + text["body"] for text in texts) + texts[-1]["pending"] == transcript
        numbers = [body[1] for body in client.bodies("Transcribed")]
        await eventually(lambda: client.bodies("SentenceClosed"), what="SentenceClosed")
        session = client.bodies("DictationStopped")[0][0]
        closed = [tuple(body) for body in client.bodies("SentenceClosed")]
        assert closed == [(session, numbers[1]), (session, numbers[2])], "not within the first sentence"


@pytest.mark.heavy
async def test_switched_off_the_texts_are_those_of_earlier_versions(
    bus: PrivateBus, tmp_path: Path, recording: Sample
) -> None:
    settings = default_settings(bus.directory / "mic") + SETTINGS + 'seam = "off"\n'
    async with daemon(bus, tmp_path, settings) as running, running.client() as client:
        await client.subscribe()
        transcript, texts = await dictated(running, client, recording)
        assert texts == [
            {"text": APART[0], "body": APART[0], "pending": "", "seam": ""},
            {"text": APART[1], "body": APART[1], "pending": "", "seam": " "},
        ]
        assert transcript == " ".join(APART)
        assert client.bodies("SentenceClosed") == []
