#!/usr/bin/env python3
"""Prints what it costs that a live utterance without a pause is cut at its maximum length.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/long_utterances.py [--model NAME] [--corpus DIRECTORY].
Clips of speech follow each other with no more than 0.1 s between them, for 14 s and longer, and each recording is recognized

- whole,
- whole with 20 ms and with 40 ms of silence before it: a control. A person's words do not depend on that, the model's text does;
- cut by the daemon's own rule (core/quiet_place.py) so that no part has more than 8 s,
- cut in the same places with an overlap, as pieces of a file are (files/overlap.py): each part begins 1.5 s before the cut and ends 1 s
  behind it, and the texts are joined at a word that both have;
- as by the daemon: its endpointer cuts so that no part has more than 8 s with its overlap, and each part publishes its own words
  (core/cut_overlap.py, by coldvoxd/evaluate/sessions.py).

The clips are the samples of the bundled model, or with --corpus those of a folder in LibriSpeech's layout.
Columns: words that were said; word errors against what was said; words that differ from the text of the whole recording; recordings in
which any word differs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.edit_distance import edit_distance  # noqa: E402 - the checkout's own
from coldvoxd.core.endpointing import Scored  # noqa: E402
from coldvoxd.core.levels import level_db  # noqa: E402
from coldvoxd.core.quiet_place import NO_PLACE, QUIET_SHARE  # noqa: E402
from coldvoxd.core.seams import SeamMethod, SeamRules, spelled  # noqa: E402
from coldvoxd.core.settings import EndpointSettings  # noqa: E402
from coldvoxd.core.values import SAMPLE_RATE, Precision, Word  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.evaluate.datasets import read  # noqa: E402
from coldvoxd.evaluate.sessions import Speech, dictate  # noqa: E402
from coldvoxd.files.overlap import joint  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.sound.speech import Wave, samples  # noqa: E402

LONGEST_S = 8.0
RECORDING_S = 14.0
FRAME = 512
LEAD_S, TAIL_S = 1.5, 1.0
"""Seconds before and behind a cut that both parts have, in the overlapping way."""
EDGE = SAMPLE_RATE // 20
QUIET_RATIO = 0.02
"""What is quieter than this share of a clip's peak, at its ends, is left out up to 50 ms."""


@dataclass(frozen=True, slots=True)
class Recording:
    wave: Wave
    said: list[str]


def spoken(text: str) -> list[str]:
    return [word for word in map(spelled, text.split()) if word]


def trimmed(wave: Wave) -> Wave:
    """Without the silence at its ends."""
    loud = np.flatnonzero(np.abs(wave) > QUIET_RATIO * np.max(np.abs(wave)))
    return wave[max(0, loud[0] - EDGE) : loud[-1] + EDGE]


def recordings(clips: Sequence[tuple[Wave, str]], count: int) -> Iterator[Recording]:
    """Yield recordings of clips in a random order, the same every time."""
    random = np.random.default_rng(1)
    for _ in range(count):
        parts: list[Wave] = []
        said: list[str] = []
        for index in random.permutation(len(clips)):
            wave, text = clips[index]
            parts.append(trimmed(wave))
            said += spoken(text)
            if sum(map(len, parts)) >= RECORDING_S * SAMPLE_RATE:
                break
        yield Recording(np.concatenate(parts), said)


def cuts(wave: Wave) -> list[int]:
    """The samples at which the daemon cuts speech without a pause."""
    found, start = [], 0
    while len(wave) - start > LONGEST_S * SAMPLE_RATE:
        first, last = (start + share * LONGEST_S * SAMPLE_RATE for share in QUIET_SHARE)
        place = NO_PLACE
        for begin in range(start // FRAME * FRAME, start + int(LONGEST_S * SAMPLE_RATE) - FRAME, FRAME):
            power = float(np.mean(np.square(wave[begin : begin + FRAME], dtype=np.float64)))
            place = place.heard(10 * np.log10(power + 1e-10), begin, begin + FRAME, first, last)
        start = place.sample
        found.append(start)
    return found


class Ways:
    def __init__(self, recognizer: ParakeetRecognizer) -> None:
        self._recognizer = recognizer

    def whole(self, wave: Wave, silence_ms: int = 0) -> list[str]:
        before = np.zeros(silence_ms * SAMPLE_RATE // 1000, np.float32)
        return spoken(self._recognizer.recognize_samples(np.concatenate((before, wave))).text)

    def cut(self, wave: Wave) -> list[str]:
        parts = np.split(wave, cuts(wave))
        return [word for part in parts for word in spoken(self._recognizer.recognize_samples(part).text)]

    def overlapped(self, wave: Wave) -> list[str]:
        lead, tail = (round(seconds * SAMPLE_RATE) for seconds in (LEAD_S, TAIL_S))
        edges = cuts(wave)
        words = self._words(wave, 0, edges[0] + tail if edges else len(wave))
        for number, edge in enumerate(edges):
            end = edges[number + 1] + tail if number + 1 < len(edges) else len(wave)
            after = self._words(wave, edge - lead, end)
            kept, dropped = joint(words, after, (edge - lead) / SAMPLE_RATE, (edge + tail) / SAMPLE_RATE)
            words = [*words[:kept], *after[dropped:]]
        return spoken(" ".join(word.text for word in words))

    def by_daemon(self, wave: Wave) -> list[str]:
        full_scale = 32768
        samples = np.clip(np.rint(wave * full_scale), -full_scale, full_scale - 1).astype(np.int16)
        samples = samples[: len(samples) // FRAME * FRAME]
        frames = tuple(
            Scored(at * FRAME, (at + 1) * FRAME, 1.0, level_db(frame))
            for at, frame in enumerate(samples.reshape(-1, FRAME))
        )
        settings = EndpointSettings(max_utterance_s=LONGEST_S)
        session = dictate(Speech(samples, frames), self._recognizer, settings, SeamRules(SeamMethod.STATE))
        return spoken(session.text)

    def _words(self, wave: Wave, begin: int, end: int) -> list[Word]:
        shift_s = begin / SAMPLE_RATE
        words = self._recognizer.recognize_samples(wave[begin:end]).words
        return [replace(word, start_s=word.start_s + shift_s, end_s=word.end_s + shift_s) for word in words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="name or folder of a model (default: mini)")
    parser.add_argument("--corpus", type=Path, metavar="DIRECTORY", help="clips in LibriSpeech's layout")
    parser.add_argument("--count", type=int, default=60, metavar="N", help="recordings (default: 60)")
    arguments = parser.parse_args()
    recognizer = ParakeetRecognizer.open(find_model(arguments.model, Precision.FP32), threads=1)
    ways = Ways(recognizer)
    clips = [(sample.wave(), sample.said) for sample in samples()]
    if arguments.corpus is not None:
        found = read(arguments.corpus).clips
        clips = [(soundfile.read(clip.path, dtype="float32")[0], clip.reference) for clip in found]
    columns = {
        "whole": ways.whole,
        "whole, 20 ms later": lambda wave: ways.whole(wave, 20),
        "whole, 40 ms later": lambda wave: ways.whole(wave, 40),
        "cut": ways.cut,
        "cut, overlapping": ways.overlapped,
        "cut by the daemon": ways.by_daemon,
    }
    totals = {name: np.zeros(3, int) for name in columns}
    words = 0
    for recording in recordings(clips, arguments.count):
        texts = {name: recognize(recording.wave) for name, recognize in columns.items()}
        words += len(recording.said)
        for name, text in texts.items():
            differing = edit_distance(text, texts["whole"])
            totals[name] += (edit_distance(text, recording.said), differing, differing > 0)
    recognizer.close()
    print(
        "| recognized | words | word errors | words other than whole | recordings with others |\n|---|---|---|---|---|"
    )
    for name, (errors, differing, having) in totals.items():
        print(
            f"| {name} | {words} | {errors} ({100 * errors / words:.1f} %) | {differing} | {having} of {arguments.count} |"
        )


if __name__ == "__main__":
    main()
