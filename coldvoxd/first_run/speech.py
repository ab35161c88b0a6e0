"""The speech of a first run: recordings that ship with coldvoxd, the page that a user may read, and how texts are scored.

Scores need no library: the words of both texts, letters and digits in lower case, and their edit distance. How a model writes
numbers is its style, so recordings with spoken numbers are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.edit_distance import edit_distance
from coldvoxd.core.golden_verdict import words
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.evaluate.noise import Wave
from coldvoxd.evaluate.normalization import Normalizer
from coldvoxd.evaluate.scoring import Counts, Scorer
from coldvoxd.evaluate.sessions import room
from coldvoxd.models.directories import bundled_directory

SCORING = "letters and digits in lower case, by edit distance; recordings with spoken numbers are left out"
PAGE = Path(__file__).parents[1] / "data" / "first_run" / "page.txt"
_NUMBERS = frozenset(
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
)
_STEP = 7
"""Recordings that follow each other in a longer one are this many apart in the list: no two begin alike."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording with what is said in it."""

    wave: Wave = field(repr=False)
    said: str = field(repr=False)


@cache
def recordings() -> tuple[Recording, ...]:
    """Return the recordings of the bundled model, read by several voices, without those that have numbers."""
    place = bundled_directory()
    entries = json_value((place / "manifest.json").read_text("utf-8"))["samples"]
    return tuple(
        Recording(np.concatenate(tuple(AudioFile.open(place / entry["file"]).blocks())), entry["said"])
        for entry in entries
        if not _NUMBERS & {*words(entry["said"])}
    )


def page() -> str:
    """Return the text that a user may read aloud: 150 words, without numbers and names."""
    return PAGE.read_text("utf-8")


def counted(reference: str, text: str) -> Counts:
    """Return the word errors of a text. They are all counted as substitutions: the kinds are not told apart."""
    expected = words(reference)
    return Counts(len(expected), edit_distance(words(text), expected))


def scorer() -> Scorer:
    """Return what `coldvoxd.evaluate` scores with, without its optional libraries."""
    return Scorer("edit distance", Normalizer(SCORING, lambda text: text), counted)


def strung(length_s: float, number: int, pause_s: float) -> Recording:
    """Return recordings after each other with pauses between them, up to this length in seconds, each `number` with others first."""
    parts: list[Wave] = []
    said: list[str] = []
    has_s = 0.0
    for one in _in_turn(number):
        has_s += len(one.wave) / SAMPLE_RATE + pause_s
        if parts and has_s > length_s + pause_s:
            break
        parts += [one.wave, room(pause_s)]
        said.append(one.said)
    return Recording(np.concatenate(parts[:-1]), " ".join(said))


def of_length(seconds: float, number: int) -> Wave:
    """Return exactly `seconds` of speech without long pauses, float32 (n,), each `number` another part of the recordings."""
    whole = np.concatenate([one.wave for _, one in zip(range(2 * len(recordings())), _in_turn(number), strict=False)])
    begin = number * SAMPLE_RATE // 5 % SAMPLE_RATE
    return whole[begin : begin + round(seconds * SAMPLE_RATE)]


def _in_turn(number: int) -> Iterator[Recording]:
    found = recordings()
    place = number
    while True:
        yield found[place * _STEP % len(found)]
        place += 1
