"""How the word error rate depends on the audio kept around speech: `lead_ms` and `tail_ms` under [endpoint].

.venv/bin/python contrib/bench/padding.py [--model mini] [--digits DIR] [--commands DIR] [--limit 200]

The bundled samples, in nine variations each, are compared with their transcripts. DIR of --digits holds one FLAC per
speaker and for each an index in TSV (digit, take, start_sample, samples): three digits at a time are placed in a quiet
room, and compared with the index. DIR of --commands holds whole sentences without transcripts: they are compared with
the text recognized with one second of room on both sides. Prints Markdown: word errors in percent, one row per pair of
paddings.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core import endpointing  # noqa: E402
from coldvoxd.core.edit_distance import edit_distance  # noqa: E402
from coldvoxd.core.endpoint_effects import Cut  # noqa: E402
from coldvoxd.core.endpointing import EndpointState, Finish, Scored  # noqa: E402
from coldvoxd.core.settings import EndpointSettings  # noqa: E402
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Precision  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402 - the checkout's own
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.vad.silero import SileroDetector  # noqa: E402
from tests.support.sound.speech import samples, variations  # noqa: E402

LEADS_MS = (320, 192, 96, 32)
TAILS_MS = (320, 160, 128, 96, 64, 32, 0)
LEAD_MS, TAIL_MS = 320, 160
"""The default that is kept while the other padding varies."""
GENEROUS = (1000, 1000)
ROOM_S = 1.5
ROOM_DBFS = -66.0
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    wave: Wave
    """Samples with room on both sides."""
    said: str | None
    """The transcript; None if there is none."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "int8"))
    parser.add_argument("--digits", type=Path, metavar="DIR")
    parser.add_argument("--commands", type=Path, metavar="DIR")
    parser.add_argument("--limit", type=int, default=200, help="clips of each kind")
    arguments = parser.parse_args()
    recognizer = ParakeetRecognizer.open(find_model(arguments.model, Precision(arguments.precision)))
    kinds = {"bundled samples": list(bundled())[: arguments.limit]}
    if arguments.digits:
        kinds["digits, human"] = list(digits(arguments.digits, arguments.limit))
    if arguments.commands:
        kinds["commands, human"] = list(commands(arguments.commands, arguments.limit))
    pairs = list(dict.fromkeys([*((LEAD_MS, tail) for tail in TAILS_MS), *((lead, TAIL_MS) for lead in LEADS_MS)]))
    table: dict[tuple[int, int], list[str]] = {pair: [] for pair in pairs}
    for clips in kinds.values():
        heard = dict.fromkeys(pairs, 0)
        words = 0
        for clip in clips:
            scored = list(scores(clip.wave))
            said = clip.said if clip.said is not None else recognized(recognizer, clip.wave, scored, GENEROUS)
            words += len(plain(said))
            for pair in pairs:
                heard[pair] += edit_distance(plain(recognized(recognizer, clip.wave, scored, pair)), plain(said))
        for pair in pairs:
            table[pair].append(f"{100 * heard[pair] / max(1, words):.2f}")
    counts = [f"{kind} ({len(clips)})" for kind, clips in kinds.items()]
    print(f"| `lead_ms` | `tail_ms` | {' | '.join(counts)} |", "|---|---|" + "---|" * len(kinds), sep="\n")
    for (lead, tail), cells in table.items():
        print(f"| {lead} | {tail} | {' | '.join(cells)} |")
    return 0


def bundled() -> Iterator[Clip]:
    """Yield the variations interleaved, so that a limit leaves some of each."""
    said = {sample.name: sample.said for sample in samples()}
    changed = [(name, wave) for name, wave in variations() if " then " not in name and " from sample " not in name]
    for first in range(7):
        for name, wave in changed[first::7]:
            yield Clip(in_room(wave), said[name.partition(" ")[0]])


def digits(directory: Path, limit: int) -> Iterator[Clip]:
    generator = np.random.default_rng(3)
    pause = np.zeros(SAMPLE_RATE // 8, np.float32)
    speakers = []
    for recording in sorted(directory.glob("*.flac")):
        wave, rate = soundfile.read(recording, dtype="float32")
        with recording.with_suffix(".tsv").open(newline="") as file:
            takes = [
                (int(row["digit"]), int(row["start_sample"]), int(row["samples"]))
                for row in csv.DictReader(file, delimiter="\t")
            ]
        speakers.append((np.asarray(wave), rate, takes))
    for number in range(limit):
        wave, rate, takes = speakers[number % len(speakers)]
        chosen = [takes[index] for index in generator.integers(0, len(takes), 3)]
        spoken = [resampled(wave[start : start + length], rate) for _, start, length in chosen]
        joined = np.concatenate([part for one in spoken for part in (one, pause)][:-1])
        yield Clip(in_room(joined), " ".join(DIGITS[digit] for digit, _, _ in chosen))


def commands(directory: Path, limit: int) -> Iterator[Clip]:
    for recording in sorted(directory.glob("*.flac"))[:limit]:
        wave, rate = soundfile.read(recording, dtype="float32")
        yield Clip(in_room(resampled(np.asarray(wave), rate)), None)


def resampled(wave: Wave, rate: int) -> Wave:
    return np.asarray(soxr.resample(wave, rate, SAMPLE_RATE), dtype=np.float32)


def in_room(wave: Wave) -> Wave:
    """Add a quiet room before and after the wave, audible during the speech too; never exact zeros."""
    room = np.zeros(round(ROOM_S * SAMPLE_RATE), np.float32)
    whole = np.concatenate((room, wave.astype(np.float32), room))
    generator = np.random.default_rng(len(whole))
    return whole + generator.normal(0, 10 ** (ROOM_DBFS / 20), len(whole)).astype(np.float32)


def scores(wave: Wave) -> Iterator[Scored]:
    detector = SileroDetector()
    frames = (np.clip(wave, -1, 1) * 32767).astype(np.int16)
    for start in range(0, len(frames) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        frame = frames[start : start + FRAME_SAMPLES]
        level_db = 10 * np.log10(np.square(frame.astype(np.float32)).mean() + 1e-9)
        yield Scored(start, start + FRAME_SAMPLES, detector.score(frame), float(level_db))


def recognized(recognizer: ParakeetRecognizer, wave: Wave, scored: list[Scored], pair: tuple[int, int]) -> str:
    """Return the texts of the utterances that the endpointer cuts with these paddings."""
    lead_ms, tail_ms = pair
    settings = replace(EndpointSettings(), lead_ms=lead_ms, tail_ms=tail_ms, hangover_ms=max(500, tail_ms))
    state, cuts = EndpointState(0), list[Cut]()
    events: list[Scored | Finish] = [*scored, Finish(scored[-1].end_sample)]
    for event in events:
        state, effects = endpointing.step(state, event, settings)
        cuts += [effect for effect in effects if isinstance(effect, Cut)]
    return " ".join(recognizer.recognize_samples(wave[cut.start_sample : cut.end_sample]).text for cut in cuts)


def plain(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text.casefold()).split()


if __name__ == "__main__":
    sys.exit(main())
