#!/usr/bin/env python3
"""Prints what a shorter or longer hangover costs in words and seams, and how long the text takes, with the bundled model.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/hangover.py [--clips FOLDER] [--seam METHOD].
Pairs of recordings are dictated to real sessions, without waiting for real time: as they are, with a second between them,
and with a pause inside each. Without --clips, the recordings are the bundled samples. The reference is what the model hears
in each recording by itself, without a pause. Texts are never printed.

With --played N it prints instead how long it takes from the end of the speech to the text, with a real daemon and the virtual
microphone, N texts for each hangover.
"""

import argparse
import asyncio
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.edit_distance import edit_distance  # noqa: E402 - the checkout's own
from coldvoxd.core.seams import SeamMethod, spelled  # noqa: E402
from coldvoxd.core.settings import DictationSettings, EndpointSettings  # noqa: E402
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Hypothesis, Precision, Utterance  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.vad.silero import SileroDetector  # noqa: E402
from coldvoxd.virtual.client import command  # noqa: E402
from tests.support.bus.private_bus import BusClient, PrivateBus  # noqa: E402
from tests.support.daemon.process import daemon, default_settings  # noqa: E402
from tests.support.dictation_scene import CountingEngine, Scene, playing  # noqa: E402
from tests.support.sound.pauses import halves_of, room  # noqa: E402
from tests.support.sound.speech import Wave, samples, spoken  # noqa: E402
from tests.support.stopped_speech import RecordedDetector  # noqa: E402

HANGOVERS_MS = (200, 300, 400, 500, 800)
PAUSES_S = (0.25, 0.35, 0.45, 0.6, 0.9)
BETWEEN_S = 1.0
"""Seconds between the two recordings of a session."""
AFTER_S = 1.2
LONGEST_S = 2.0
"""Seconds after the end of the speech in which a text is expected."""


@dataclass(frozen=True, slots=True)
class Case:
    """A session of two recordings: what is heard, and what is right."""

    wave: Wave
    words: str
    """The text with marks and capital letters."""


@dataclass
class Engine(CountingEngine):
    """Recognizes speech with its context."""

    recognizer: ParakeetRecognizer | None = None

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        assert self.recognizer is not None
        return self.recognizer.recognize(utterance)


@dataclass(slots=True)
class Row:
    sessions: int = 0
    utterances: int = 0
    words: int = 0
    changed: int = 0
    marks: int = 0


def cases(clips: list[Wave], recognizer: ParakeetRecognizer, pause_s: float | None) -> Iterator[Case]:
    """Yield pairs of recordings, each with a pause of this length after half its words, or without one."""
    heard = [recognizer.recognize_samples(clip) for clip in clips]
    for (first, second), (before, after) in zip(pairwise(clips), pairwise(heard), strict=True):
        pair = []
        for wave, found in ((first, before), (second, after)):
            count = len(found.words)
            if pause_s is None or count < 2:
                pair.append(wave)
                continue
            left, right = halves_of(wave, count // 2)
            edges_s = 0.25  # the room noise that `halves_of` adds
            pair.append(np.concatenate((left, room(max(0.0, pause_s - edges_s)), right)))
        if before.words and after.words:
            yield Case(
                np.concatenate((room(0.5), pair[0], room(BETWEEN_S), pair[1], room(AFTER_S))),
                f"{before.text} {after.text}",
            )


async def dictated(case: Case, engine: Engine, hangover_ms: int) -> tuple[str, int]:
    """Return the text of a session, and of how many utterances it was made."""
    steps = np.clip(np.rint(case.wave * 32768), -32768, 32767).astype(np.int16)
    frames = steps[: len(steps) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    detector = SileroDetector()
    scores = RecordedDetector([detector.score(frame) for frame in frames] + [0.0] * 100)
    scene = Scene(
        settings=DictationSettings(), endpoint=EndpointSettings(hangover_ms=hangover_ms), detector=scores, engine=engine
    )
    async with playing(scene) as running:
        running.start()
        running.hear_frames(frames)
        text = await running.stop()
        return text, len(running.announced.transcripts)


def count(row: Row, case: Case, text: str, utterances: int) -> None:
    right, found = case.words.split(), text.split()
    changed = edit_distance([spelled(word) for word in found], [spelled(word) for word in right])
    row.sessions += 1
    row.utterances += utterances
    row.words += len(right)
    row.changed += changed
    row.marks += max(0, edit_distance(found, right) - changed)


async def print_words(clips: list[Wave], recognizer: ParakeetRecognizer, method: SeamMethod) -> None:
    print(f"Seams by {method}. Marks: words whose letters are right and whose mark or capital letter is not.\n")
    print(
        "| pause inside | hangover | sessions | utterances | words | changed | marks |\n|---|---|---|---|---|---|---|"
    )
    engine = Engine(recognizer=recognizer, seam_method=method)
    for pause_s in (None, *PAUSES_S):
        sessions = list(cases(clips, recognizer, pause_s))
        for hangover_ms in HANGOVERS_MS:
            row = Row()
            for case in sessions:
                count(row, case, *await dictated(case, engine, hangover_ms))
            name = "none" if pause_s is None else f"{pause_s} s"
            print(
                f"| {name} | {hangover_ms} ms | {row.sessions} | {row.utterances} | {row.words} | {row.changed} | "
                f"{row.marks} |",
                flush=True,
            )


async def print_played(times: int) -> None:
    print("| hangover | texts | end of speech to text, median | at most |\n|---|---|---|---|")
    for hangover_ms in HANGOVERS_MS:
        with contextlib.redirect_stdout(io.StringIO()), PrivateBus() as bus, tempfile.TemporaryDirectory() as place:
            settings = f"{default_settings(bus.directory / 'mic')}[endpoint]\nhangover_ms = {hangover_ms}\n"
            async with daemon(bus, Path(place), settings) as running, running.client() as client:
                took_s = await text_times(client, running.microphone, times)
        print(f"| {hangover_ms} ms | {len(took_s)} | {median(took_s):.3f} s | {max(took_s):.3f} s |", flush=True)


async def text_times(client: BusClient, microphone: Path, times: int) -> list[float]:
    """Return the seconds from the end of the speech in a sample to its last text for this number of samples."""
    await client.subscribe("Transcribed")
    await client.call("StartDictation")
    took_s = []
    for number in range(times):
        wave = samples()[number % len(samples())].wave()
        silent_s = (len(wave) - spoken(wave).speech[-1][1]) / SAMPLE_RATE
        await asyncio.to_thread(command, microphone, f"SPEAK {samples()[number % len(samples())].path}")
        ended_s = time.monotonic() - silent_s
        texted_s = 0.0
        seen = len(client.bodies("Transcribed"))
        while time.monotonic() < ended_s + LONGEST_S:
            await asyncio.sleep(0.002)
            if (count := len(client.bodies("Transcribed"))) > seen:
                seen, texted_s = count, time.monotonic()
        if texted_s:  # else the text came before the recording ended
            took_s.append(texted_s - ended_s)
    await client.call("StopDictation")
    return took_s


def recordings(folder: Path, at_most: int) -> list[Wave]:
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in {".flac", ".wav"}]
    return [np.asarray(soundfile.read(path, dtype="float32")[0]) for path in paths[:: max(1, len(paths) // at_most)]]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of recordings, 16 kHz")
    parser.add_argument("--at-most", type=int, default=120, metavar="N", help="number of recordings (default: 120)")
    parser.add_argument(
        "--seam", type=SeamMethod, default=SeamMethod.WINDOW, help="how seams are found (default: window)"
    )
    parser.add_argument("--played", type=int, default=0, metavar="N", help="measure N texts in real time instead")
    arguments = parser.parse_args()
    if arguments.played:
        await print_played(arguments.played)
        return
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    clips = recordings(arguments.clips, arguments.at_most) if arguments.clips else [one.wave() for one in samples()]
    await print_words(clips, recognizer, arguments.seam)


if __name__ == "__main__":
    asyncio.run(main())
