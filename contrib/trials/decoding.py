#!/usr/bin/env python3
"""Prints what beam search and the temperature change for a model: errors, time, n-best lists, and how far confidences can be trusted.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/decoding.py [--model NAME] [--precision fp32]
[--clips FOLDER...] [--beams 1,2,4,8]. Without --clips it takes the bundled samples. A folder has recordings with their texts
beside them (x.flac, x.txt), or clips as the training writes them (eval-*.i16 with eval-*.jsonl).

First table, by set and beam: word error rate of the text, and of the best text of the n-best list (oracle); processor time of the decoder
for a second of audio, which other programs hardly change, and as a multiple of greedy decoding's. Then the reliability of word confidences of greedy decoding, by
temperature: the one with the highest likelihood on every other clip is chosen, and the table is that
of the remaining clips. A word counts as right if the alignment of the text with the reference pairs it with an equal word.
Letters and digits are compared, in lower case.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
import soundfile  # noqa: E402

from coldvoxd.core.decoding_options import DecodingOptions  # noqa: E402 - the checkout's own
from coldvoxd.core.edit_distance import edit_distance  # noqa: E402
from coldvoxd.core.features import log_mel  # noqa: E402
from coldvoxd.core.seams import spelled  # noqa: E402
from coldvoxd.core.values import SAMPLE_RATE, Precision, Token  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.engines.parakeet.silence import without_exact_silence  # noqa: E402
from coldvoxd.engines.parakeet.steering import NOT_STEERED  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.models.internals import transducer_of  # noqa: E402
from tests.support.sound.speech import samples  # noqa: E402

TEMPERATURES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Edges of the confidences in the table. The error is computed with equally populated bins, which no edge favours."""
ECE_BINS = 15


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    """Of the set."""
    wave: npt.NDArray[np.float32]
    words: list[str]


@dataclass(slots=True)
class Row:
    words: int = 0
    errors: int = 0
    oracle: int = 0
    decoder_s: float = 0.0
    audio_s: float = 0.0


def words_of(text: str) -> list[str]:
    return [word for word in map(spelled, text.split()) if word]


def clips_of(folder: Path) -> Iterator[Clip]:
    for table in sorted(folder.glob("eval-*.jsonl")):
        audio = np.fromfile(table.with_suffix(".i16"), np.int16)
        for line in table.read_text("utf-8").splitlines():
            row = json.loads(line)
            part = audio[row["start_sample"] : row["start_sample"] + row["samples"]]
            if row["text"].strip():
                yield Clip(
                    table.stem.removeprefix("eval-"), part.astype(np.float32) / np.float32(32768), words_of(row["text"])
                )
    for text in sorted(folder.glob("*.txt")):
        found = [path for path in (text.with_suffix(".flac"), text.with_suffix(".wav")) if path.exists()]
        for path in found[:1]:
            wave, rate = soundfile.read(path, dtype="float32")
            assert rate == SAMPLE_RATE, f"{path} has {rate} Hz"
            yield Clip(folder.name, wave, words_of(text.read_text("utf-8")))


def bundled() -> Iterator[Clip]:
    for sample in samples():
        yield Clip("bundled samples", sample.wave(), words_of(sample.said))


def right_words(recognized: Sequence[str], reference: Sequence[str]) -> list[bool]:
    """Return for each recognized word whether an alignment with the fewest errors pairs it with an equal one."""
    rows = [list(range(len(reference) + 1))]
    for place, word in enumerate(recognized, 1):
        row = [place]
        for column, wanted in enumerate(reference, 1):
            row.append(min(rows[-1][column] + 1, row[-1] + 1, rows[-1][column - 1] + (word != wanted)))
        rows.append(row)
    right = [False] * len(recognized)
    place, column = len(recognized), len(reference)
    while place and column:
        if rows[place][column] == rows[place - 1][column - 1] + (recognized[place - 1] != reference[column - 1]):
            place, column = place - 1, column - 1
            right[place] = recognized[place] == reference[column]
        elif rows[place][column] == rows[place - 1][column] + 1:
            place -= 1
        else:
            column -= 1
    return right


class Trial:
    def __init__(self, recognizer: ParakeetRecognizer) -> None:
        self._recognizer = recognizer
        self.decoding = transducer_of(recognizer)

    def encoded(self, clip: Clip) -> npt.NDArray[np.float32]:
        features = log_mel(without_exact_silence(clip.wave), self._recognizer.features_size)
        return self._recognizer.encode(features)

    def decode(self, encoded: npt.NDArray[np.float32], beam: int) -> tuple[list[list[str]], float]:
        """Return the words of the n-best texts, and the decoder's processor time in seconds."""
        began_s = time.process_time()
        if beam == 1:
            found: list[tuple[Token, ...]] = [self.decoding.decode(encoded)]
        else:
            found = [one.tokens for one in self.decoding.search(encoded, beam)]
        took_s = time.process_time() - began_s
        vocabulary = self._recognizer.vocabulary
        return [words_of(vocabulary.text(tokens)) for tokens in found] or [[]], took_s

    def confidences(self, encoded: npt.NDArray[np.float32], temperature: float) -> list[tuple[str, float]]:
        """Return the words of greedy decoding with their confidences."""
        self.decoding.options = DecodingOptions(1, temperature)
        vocabulary = self._recognizer.vocabulary
        shown = [token for token in self.decoding.decode(encoded, None, NOT_STEERED) if vocabulary.shown(token.id)]
        return [(spelled(word.text), word.confidence) for word in vocabulary.words(shown, 0.08) if spelled(word.text)]


def calibration_error(judged: Sequence[tuple[float, bool]]) -> float:
    """Return the expected calibration error: the mean distance of confidence and accuracy over equally populated bins."""
    ordered = sorted(judged)
    parts = [part for part in np.array_split(np.arange(len(ordered)), ECE_BINS) if len(part)]
    distances = [
        abs(np.mean([ordered[i][0] for i in part]) - np.mean([ordered[i][1] for i in part])) * len(part)
        for part in parts
    ]
    return float(sum(distances) / len(ordered))


def likelihood(judged: Sequence[tuple[float, bool]]) -> float:
    """Return the mean negative logarithm of the probability given to what was so."""
    return -sum(math.log(max(share if right else 1 - share, 1e-9)) for share, right in judged) / len(judged)


def show_reliability(by_temperature: dict[float, list[list[tuple[float, bool]]]], shown: float) -> None:
    """Print the calibration by temperature, and the tables of 1, `shown` and the one that is best on every other clip."""
    halves = {
        temperature: ([pair for clip in clips[::2] for pair in clip], [pair for clip in clips[1::2] for pair in clip])
        for temperature, clips in by_temperature.items()
    }
    chosen = min(halves, key=lambda temperature: likelihood(halves[temperature][0]))
    print(
        "\n| temperature | ECE, first half | NLL, first half | ECE, second half | NLL, second half |\n|---|---|---|---|---|"
    )
    for temperature, (first, second) in halves.items():
        values = [calibration_error(first), likelihood(first), calibration_error(second), likelihood(second)]
        mark = " (chosen)" if temperature == chosen else ""
        print(f"| {temperature:g}{mark} | " + " | ".join(f"{value:.4f}" for value in values) + " |")
    for temperature in dict.fromkeys((1.0, shown, chosen)):
        judged = halves[temperature][1]
        print(
            f"\ntemperature {temperature:g}, second half, {len(judged)} words\n\n| confidence | words | mean | right |\n|---|---|---|---|"
        )
        for low, high in pairwise(BINS):
            part = [pair for pair in judged if low <= pair[0] < high or (high == 1.0 and pair[0] >= 1.0)]
            if part:
                mean, right = np.mean([pair[0] for pair in part]), np.mean([pair[1] for pair in part])
                print(f"| {low:g} to {high:g} | {len(part)} | {mean:.3f} | {right:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--precision", default="fp32", type=Precision)
    parser.add_argument("--clips", type=Path, action="append", default=[])
    parser.add_argument("--without", action="append", default=[], help="leave this set out")
    parser.add_argument("--beams", default="1,2,4,8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="take each N-th clip")
    parser.add_argument(
        "--temperature",
        default=1.1,
        type=float,
        choices=TEMPERATURES,
        help="print its table too (default: that of mini)",
    )
    arguments = parser.parse_args()
    clips = [*bundled(), *(clip for folder in arguments.clips for clip in clips_of(folder))]
    clips = [clip for clip in clips if clip.name not in arguments.without][:: arguments.every]
    beams = [int(text) for text in arguments.beams.split(",")]
    trial = Trial(ParakeetRecognizer.open(find_model(arguments.model, arguments.precision), threads=arguments.threads))
    judged: dict[float, list[list[tuple[float, bool]]]] = {temperature: [] for temperature in TEMPERATURES}
    print("| set | clips | beam | WER | oracle | decoder, ms a second | as greedy |\n|---|---|---|---|---|---|---|")
    total = {beam: Row() for beam in beams}
    for name, group in groupby(clips, key=lambda clip: clip.name):
        rows, count = {beam: Row() for beam in beams}, 0
        for clip in group:
            count += 1
            encoded = trial.encoded(clip)
            for beam in beams:
                found, took_s = trial.decode(encoded, beam)
                for row in (rows[beam], total[beam]):
                    row.words += len(clip.words)
                    row.errors += edit_distance(found[0], clip.words)
                    row.oracle += min(edit_distance(words, clip.words) for words in found)
                    row.decoder_s += took_s
                    row.audio_s += len(clip.wave) / SAMPLE_RATE
            for temperature, of_clips in judged.items():
                words = trial.confidences(encoded, temperature)
                right = right_words([word for word, _ in words], clip.words)
                of_clips.append([(share, is_right) for (_, share), is_right in zip(words, right, strict=True)])
            trial.decoding.options = DecodingOptions()
        show_rows(name, count, rows)
    show_rows("all", len(clips), total)
    show_reliability(judged, arguments.temperature)


def show_rows(name: str, clips: int, rows: dict[int, Row]) -> None:
    greedy_s = next(iter(rows.values())).decoder_s
    for beam, row in rows.items():
        print(
            f"| {name} | {clips} | {beam} | {100 * row.errors / row.words:.2f} % | {100 * row.oracle / row.words:.2f} % | "
            f"{1000 * row.decoder_s / row.audio_s:.2f} | {row.decoder_s / greedy_s:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
