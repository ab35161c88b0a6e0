#!/usr/bin/env python3
"""Prints a table of the words that a stalling decoder loses, and of those that are recovered, with the bundled model.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/stalled_decoder.py [--clips FOLDER]. The decoder
is made to return blank, as Parakeet's does after a sentence, with the faults of `coldvoxd/virtual`. With --clips, it also
prints how many recordings of that folder have speech without words by themselves, and what is recovered there.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import Hypothesis, Precision, Utterance  # noqa: E402 - the checkout's own
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.engines.parakeet.vocabulary import Vocabulary  # noqa: E402
from coldvoxd.files.transcription import transcribe_file  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.vad.silero import SileroDetector  # noqa: E402
from coldvoxd.virtual.faults import STALL, FaultyRecognizer, Plan, Script  # noqa: E402
from tests.support.sound.speech import samples, spoken  # noqa: E402

PLACES = ("beginning", "middle", "end")
STALL_FRAMES = 40
"""Length of a stall in encoder frames, if it is not to the end: 3.2 s."""


@dataclass
class Row:
    words: int = 0
    lost_before: int = 0
    lost: int = 0
    added: int = 0
    other: int = 0

    def count(self, right: str, before: str, after: str) -> None:
        self.words += len(letters(right))
        self.lost_before += changes(right, before)[0]
        lost, added, other = changes(right, after)
        self.lost, self.added, self.other = self.lost + lost, self.added + added, self.other + other


def letters(text: str) -> list[str]:
    """Return the words without case and punctuation."""
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter == " ").split()


def changes(right: str, text: str) -> tuple[int, int, int]:
    """Return the numbers of words that are missing, added and replaced."""
    missing = added = replaced = 0
    matcher = SequenceMatcher(None, letters(right), letters(text), autojunk=False)
    for kind, begin, end, first, last in matcher.get_opcodes():
        common = min(end - begin, last - first) if kind == "replace" else 0
        replaced += common
        if kind != "equal":
            missing += end - begin - common
            added += last - first - common
    return missing, added, replaced


def plan(place: str, right: Hypothesis, vocabulary: Vocabulary) -> Plan:
    """Return the stall: at the beginning, or after the first sentence for a while or to the end."""
    sentence = 1 + next(at for at, token in enumerate(right.tokens) if vocabulary.shown(token.id) in {".", "?"})
    if place == "beginning":
        return Plan(STALL, "decoder", frames=STALL_FRAMES)
    return Plan(STALL, "decoder", tokens=sentence, frames=STALL_FRAMES if place == "middle" else 0)


def utterances() -> Iterator[Utterance]:
    """Yield three sentences each, with pauses that end no utterance."""
    waves = [sample.wave() for sample in samples()]
    for at in range(len(waves)):
        yield spoken(*(waves[(at + step) % len(waves)] for step in range(3)))


def stalled(precision: Precision) -> Iterator[tuple[str, Row]]:
    files, script = find_model("mini", precision), Script()
    recognizer = FaultyRecognizer(lambda wrap: ParakeetRecognizer.open(files, threads=1, wrap=wrap), script)
    vocabulary = Vocabulary.read(files.vocabulary)
    everything = list(utterances())
    for place in PLACES:
        row = Row()
        for utterance in everything:
            right = recognizer.recognize(replace(utterance, speech=()))
            script.tell(plan(place, right, vocabulary), 2)
            before = recognizer.recognize(replace(utterance, speech=()))
            row.count(right.text, before.text, recognizer.recognize(utterance).text)
        yield place, row
    recognizer.close()


def own(folder: Path) -> None:
    """Print the recordings that have speech without words by themselves."""
    recognizer, detector = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1), SileroDetector()
    found = recovered = count = 0

    class Counting:
        provider, precision, features_size = recognizer.provider, recognizer.precision, recognizer.features_size
        languages = recognizer.languages
        close = recognizer.close

        def recognize(self, utterance: Utterance, stop: object = None) -> Hypothesis:
            nonlocal found, recovered
            del stop
            hypothesis = recognizer.recognize(utterance)
            found, recovered = found + hypothesis.holes, recovered + hypothesis.holes_filled
            return hypothesis

    for path in sorted(folder.iterdir()):
        if path.suffix in {".flac", ".wav"}:
            transcribe_file(path, Counting(), detector)
            count += 1
    print(f"\n{count} recordings: {found} stretches of speech without words, {recovered} recovered")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of recordings")
    arguments = parser.parse_args()
    print("| precision | stall | words | lost before | lost now | added | changed |\n|---|---|---|---|---|---|---|")
    for precision in (Precision.FP32, Precision.INT8):
        for place, row in stalled(precision):
            print(
                f"| {precision} | {place} | {row.words} | {row.lost_before} | {row.lost} | {row.added} | {row.other} |"
            )
    if arguments.clips:
        own(arguments.clips)


if __name__ == "__main__":
    main()
