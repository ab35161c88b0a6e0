#!/usr/bin/env python3
"""Prints when words appear while they are spoken, how often they change, and whether texts differ or are later.

Run it manually on a quiet machine in a checkout's environment: .venv/bin/python contrib/trials/partials.py [--pairs N] [--clips
FOLDER] [--model NAME] [--provider NAME]. Each recording is played in real time to a real daemon with the virtual microphone twice, with and
without partial transcripts, in turn with either first. Without --clips, the recordings are the bundled samples, alone and three at a time.
Texts are never printed.

A word's end is that of its last token, by the recognizer's times. It appears with the first signal of its utterance that has it,
Transcribed included. Changed words are those of a signal that the next signal of the same utterance lacks, Transcribed included.
"""

import argparse
import asyncio
import contextlib
import io
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import soxr  # noqa: E402

from coldvoxd.bus.library import Message, Variant  # noqa: E402
from coldvoxd.core.seams import spelled, without_final_mark  # noqa: E402 - the checkout's own
from coldvoxd.core.values import SAMPLE_RATE  # noqa: E402
from coldvoxd.virtual.client import command  # noqa: E402
from tests.support.bus.private_bus import BusClient, PrivateBus  # noqa: E402
from tests.support.daemon.process import RunningDaemon, daemon, default_settings  # noqa: E402
from tests.support.sound.pauses import room  # noqa: E402
from tests.support.sound.speech import Wave, samples, spoken  # noqa: E402

AFTERWARDS_MS = 1500
"""Silence after each recording, so that its last utterance ends by itself."""
RESAMPLES = 2000
"""Number of bootstrap samples."""


@dataclass(frozen=True, slots=True)
class Recording:
    path: Path
    tail_s: float
    """Seconds from the end of its last speech to its end."""


@dataclass(slots=True)
class Dictated:
    """What one session returned."""

    texts: list[str] = field(default_factory=list)
    delay_s: float = float("nan")
    """Seconds from the end of the last speech to its text."""
    appeared_s: list[float] = field(default_factory=list)
    """Seconds from the end of each word to its appearance."""
    changed: int = 0
    """Number of words that were shown and then replaced or removed."""
    changed_letters: int = 0
    """The same without changes of marks and capital letters."""


class Listener(BusClient):
    """A client that notes when each signal arrived."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.arrived_s: list[float] = []

    def _note(self, message: Message) -> None:
        before = len(self.signals)
        super()._note(message)
        self.arrived_s += [time.monotonic()] * (len(self.signals) - before)


def recordings(folder: Path | None, place: Path) -> Iterator[Recording]:
    for number, wave in enumerate(clips(folder)):
        whole = np.concatenate((room(0.5), wave))
        found = spoken(whole).speech
        if not found:
            continue
        path = place / f"{number}.wav"
        soundfile.write(path, whole, SAMPLE_RATE, subtype="PCM_16")
        yield Recording(path, (len(whole) - found[-1][1]) / SAMPLE_RATE)


def clips(folder: Path | None) -> Iterator[Wave]:
    if folder is None:
        waves = [sample.wave() for sample in samples()]
        for number, wave in enumerate(waves):
            yield wave
            three = [waves[(number + step) % len(waves)] for step in (0, 5, 11)]
            yield spoken(*three, pause_s=0.3).samples
        return
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".flac", ".wav"}):
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
        yield np.asarray(soxr.resample(wave.mean(axis=1), rate, SAMPLE_RATE), np.float32)


async def dictated(running: RunningDaemon, client: Listener, recording: Recording, *, partials: bool) -> Dictated:
    options = {"words": Variant("b", True), "partials": Variant("b", partials)}
    seen, called_s = len(client.signals), time.monotonic()
    await client.call("StartDictationWithOptions", "a{sv}", options)
    started_s = (called_s + time.monotonic()) / 2
    await asyncio.to_thread(command, running.microphone, f"SPEAK {recording.path}")
    spoken_s = time.monotonic() - recording.tail_s
    await asyncio.to_thread(command, running.microphone, f"SILENCE {AFTERWARDS_MS}")
    await client.call("StopDictation")
    await client.settle()
    signals = list(zip(client.signals[seen:], client.arrived_s[seen:], strict=True))
    result = Dictated()
    shown: dict[int, list[tuple[float, list[str]]]] = {}
    for signal, arrived_s in signals:
        match signal.member:
            case "PartialTranscribed":
                _, number, stable, unstable = signal.body
                shown.setdefault(number, []).append((arrived_s, f"{stable} {unstable}".split()))
            case "Transcribed":
                _, number, text, details = signal.body
                result.texts.append(text)
                result.delay_s = arrived_s - spoken_s
                shown.setdefault(number, []).append((arrived_s, without_final_mark(text)[0].split()))
                follow(result, shown[number], [started_s + word[2] for word in details["words"].value])
    return result


def follow(result: Dictated, shown: Sequence[tuple[float, list[str]]], ends_s: Sequence[float]) -> None:
    """Add the figures of one utterance; the last of `shown` is its text."""
    final = shown[-1][1]
    appeared = [float("inf")] * len(final)
    for arrived_s, words in shown:
        for block in matching(letters(words), letters(final)):
            for at in range(block.b, block.b + block.size):
                appeared[at] = min(appeared[at], arrived_s)
    result.appeared_s += [first_s - end_s for first_s, end_s in zip(appeared, ends_s, strict=False)]
    for (_, before), (_, after) in pairwise(shown):
        result.changed += lacking(before, after)
        result.changed_letters += lacking(letters(before), letters(after))


def matching(words: Sequence[str], others: Sequence[str]) -> Any:
    return SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks()


def lacking(before: Sequence[str], after: Sequence[str]) -> int:
    """Return the number of words that were shown before and are not any more, in this order."""
    return len(before) - sum(int(block.size) for block in matching(before, after))


def letters(words: Sequence[str]) -> list[str]:
    return [spelled(word) for word in words]


def interval(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the ratio of the summed delays with and without, and its 95 % interval by resampling the pairs."""

    def ratio(some: Sequence[tuple[float, float]]) -> float:
        return sum(one for one, _ in some) / sum(other for _, other in some)

    generator = random.Random(0)
    found = sorted(ratio(generator.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return ratio(pairs), found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES)]


async def measured(arguments: argparse.Namespace) -> list[tuple[Dictated, Dictated]]:
    """Return the results with and without partial transcripts of each pair."""
    with PrivateBus() as bus, tempfile.TemporaryDirectory() as name:
        place = Path(name)
        spoken_clips = list(recordings(arguments.clips, place))
        settings = default_settings(bus.directory / "mic").replace('"mini"', f'"{arguments.model}"')
        settings = settings.replace('"cpu"', f'"{arguments.provider}"')
        async with daemon(bus, place, settings) as running, Listener(bus.address) as client:
            await client.subscribe()
            results = []
            for number in range(arguments.pairs):
                recording = spoken_clips[number % len(spoken_clips)]
                pair = {
                    partials: await dictated(running, client, recording, partials=partials)
                    for partials in ((True, False) if number % 2 else (False, True))
                }
                results.append((pair[True], pair[False]))
                print(f"\r{number + 1} of {arguments.pairs}", end="", file=sys.stderr)
            return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200, metavar="N", help="number of pairs of sessions (200)")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="folder of recordings")
    parser.add_argument("--model", default="mini", metavar="NAME")
    parser.add_argument("--provider", default="cpu", metavar="NAME")
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):  # the daemon's log
        results = asyncio.run(measured(arguments))
    print(file=sys.stderr)
    appeared = sorted(delay for one, _ in results for delay in one.appeared_s)
    without = sorted(delay for _, one in results for delay in one.appeared_s)
    count = len(appeared)
    print(
        "| partials | words | first appearance after its end, median | 95 % | changed words per final word | of these, letters |"
    )
    print("|---|---|---|---|---|---|")
    for name, found, kind in (("with", appeared, 0), ("without", without, 1)):
        changed = sum(pair[kind].changed for pair in results) / count
        changed_letters = sum(pair[kind].changed_letters for pair in results) / count
        last = found[int(0.95 * (len(found) - 1))]
        print(
            f"| {name} | {len(found)} | {median(found):.2f} s | {last:.2f} s | {changed:.3f} | {changed_letters:.3f} |"
        )
    other = sum(one.texts != two.texts for one, two in results)
    delays = [(one.delay_s, two.delay_s) for one, two in results if one.texts and two.texts]
    ratio, low, high = interval(delays)
    print("\n| pairs | other texts | end of speech to text, without | with | ratio of the sums | 95 % interval |")
    print("|---|---|---|---|---|---|")
    middle, other_middle = median(two for _, two in delays), median(one for one, _ in delays)
    print(
        f"| {len(delays)} | {other} | {middle:.3f} s | {other_middle:.3f} s | {ratio:.3f} | {low:.3f} to {high:.3f} |"
    )


if __name__ == "__main__":
    main()
