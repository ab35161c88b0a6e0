"""Measures settings that depend on the model and the voice: hangover, seams, dither; and proposes values.

Sessions of two recordings each are dictated: as they are, and with a pause of several lengths inside each recording. Word errors
are those against the texts of the data set. A mark is a word whose letters are as in the recordings by themselves, without
pauses, and whose case or punctuation is not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np

from coldvoxd.core.edit_distance import edit_distance
from coldvoxd.core.languages import AUTO
from coldvoxd.core.ports import Recognizer, SpeechDetector
from coldvoxd.core.seams import SeamMethod, SeamRules, spelled
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.values import EndReason, Hypothesis, Utterance
from coldvoxd.evaluate import noise
from coldvoxd.evaluate.noise import Wave
from coldvoxd.evaluate.scoring import Counts, Scorer
from coldvoxd.evaluate.sessions import Dictated, Speech, dictate, heard, room, with_pause

HANGOVERS_MS = (200, 300, 400, 500, 800)
PAUSES_S = (0.0, 0.35, 0.6, 0.9)
"""Seconds of the pause inside each recording; 0 for none."""
DITHERS_DB = (0, -100, -90, -80)
"""Levels in dBFS of white noise that is added to a whole recording; 0 for none."""
BEFORE_S, BETWEEN_S, AFTER_S = 0.5, 1.0, 1.2
"""Seconds of room noise before, between and after the two recordings of a session."""
EQUAL_SHARE = 0.005
"""Settings whose errors and marks differ by no more than this share of the words, or by one, count as equal."""
Progress = Callable[[str, float], None]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording with its text, and what the model hears in it by itself."""

    wave: Wave = field(repr=False)
    reference: str = field(repr=False)
    alone: Hypothesis = field(repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A setting, measured in all sessions or on all recordings."""

    counts: tuple[Counts, ...]
    """Word errors of each session or recording."""
    marks: int = 0
    utterances: int = 0
    recognition_s: float = 0.0
    seam_s: float = 0.0

    def __add__(self, other: "Row") -> "Row":
        return Row(
            self.counts + other.counts,
            self.marks + other.marks,
            self.utterances + other.utterances,
            self.recognition_s + other.recognition_s,
            self.seam_s + other.seam_s,
        )

    @property
    def total(self) -> Counts:
        return sum(self.counts, Counts())

    @property
    def cost(self) -> int:
        """Return errors and marks together: each is one word that a person must correct."""
        return self.total.errors + self.marks


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured."""

    recordings: int
    sessions: int
    hangovers: dict[int, Row]
    """By milliseconds, with the seams of the settings."""
    seams: dict[SeamMethod, Row]
    """By method, with the hangover of the settings."""
    dithers: dict[int, Row]
    """By level in dBFS, 0 for none; each recording by itself."""


class Tuner:
    """Measures settings with one recognizer. Blocks; one thread."""

    def __init__(
        self,
        recognizer: Recognizer,
        detector: SpeechDetector,
        score: Scorer,
        *,
        endpoint: EndpointSettings,
        rules: SeamRules,
        language: str = AUTO,
        progress: Progress = lambda _what, _share: None,
    ) -> None:
        """`endpoint` and `rules` are those of the settings, of which one value at a time is changed."""
        self._recognizer = recognizer
        self._detector = detector
        self._score = score
        self._endpoint = endpoint
        self._rules = rules
        self._language = language
        self._progress = progress

    def listen(self, wave: Wave, reference: str) -> Spoken:
        """Recognize a recording by itself. Raises ProviderFault or InputFault."""
        return Spoken(wave, reference, self._alone(wave))

    def measure(self, recordings: Sequence[Spoken]) -> Tuning:
        """Measure all values. Two recordings in which words were recognized are needed. Raises ProviderFault."""
        usable = [one for one in recordings if one.alone.words]
        sessions = [
            (pair, self.session(pair, pause_s))
            for pause_s in PAUSES_S
            for pair in pairwise(usable)
            if pause_s == 0 or all(len(one.alone.words) > 1 for one in pair)
        ]
        hangovers = sorted({*HANGOVERS_MS, self._endpoint.hangover_ms})
        methods = sorted({*SeamMethod})
        steps = len(hangovers) + len(methods) + len(DITHERS_DB)
        rows: dict[int, Row] = {}
        for done, value in enumerate(hangovers):
            self._progress(f"hangover {value} ms", done / steps)
            rows[value] = self.row(sessions, replace(self._endpoint, hangover_ms=value), self._rules)
        seams: dict[SeamMethod, Row] = {}
        for done, method in enumerate(methods, len(hangovers)):
            self._progress(f"seam {method}", done / steps)
            rules = SeamRules(method, self._rules.longest_pause_s)
            seams[method] = self.row(sessions, self._endpoint, rules)
        dithers: dict[int, Row] = {}
        for done, level_db in enumerate(DITHERS_DB, len(hangovers) + len(methods)):
            self._progress("dither", done / steps)
            dithers[level_db] = self.dithered(recordings, level_db)
        return Tuning(len(recordings), len(sessions), rows, seams, dithers)

    def _alone(self, wave: Wave) -> Hypothesis:
        speech = heard(np.concatenate((wave, room(0.1))), self._detector)
        spans = tuple(
            (frame.start_sample, min(frame.end_sample, len(wave)))
            for frame in speech.frames
            if frame.speech_probability >= self._endpoint.threshold and frame.start_sample < len(wave)
        )
        return self._recognizer.recognize(
            Utterance(1, 1, 0, wave, EndReason.STOP, speech=spans, language=self._language)
        )

    def session(self, pair: tuple[Spoken, Spoken], pause_s: float) -> Speech:
        """Return what a microphone hears of two recordings, each with a pause inside; 0 for none."""
        waves = [
            with_pause(one.wave, [(word.start_s, word.end_s) for word in one.alone.words], pause_s)
            if pause_s
            else one.wave
            for one in pair
        ]
        return heard(
            np.concatenate((room(BEFORE_S), waves[0], room(BETWEEN_S), waves[1], room(AFTER_S))), self._detector
        )

    def row(
        self, sessions: Sequence[tuple[tuple[Spoken, Spoken], Speech]], endpoint: EndpointSettings, rules: SeamRules
    ) -> Row:
        """Dictate sessions, each with the recordings that it consists of. Raises ProviderFault."""
        counts = []
        found: list[Dictated] = []
        marks = 0
        for (first, second), speech in sessions:
            dictated = dictate(speech, self._recognizer, endpoint, rules, self._language)
            found.append(dictated)
            counts.append(self._score(f"{first.reference} {second.reference}", dictated.text))
            marks += marks_between(dictated.text, f"{first.alone.text} {second.alone.text}")
        return Row(
            tuple(counts),
            marks,
            sum(one.utterances for one in found),
            sum(one.recognition_s for one in found),
            sum(one.seam_s for one in found),
        )

    def dithered(self, recordings: Sequence[Spoken], level_db: int) -> Row:
        """Recognize each recording by itself with white noise of this level in all of it. Raises ProviderFault."""
        counts = []
        for number, one in enumerate(recordings):
            faint = noise.white(len(one.wave), np.random.default_rng(number)) * np.float32(10 ** (level_db / 20))
            text = self._alone(one.wave + faint).text if level_db else one.alone.text
            counts.append(self._score(one.reference, text))
        return Row(tuple(counts), utterances=len(recordings))


def marks_between(text: str, right: str) -> int:
    """Return the number of words whose letters are right and whose mark or capital letter is not."""
    found, wanted = text.split(), right.split()
    changed = edit_distance([spelled(word) for word in found], [spelled(word) for word in wanted])
    return max(0, edit_distance(found, wanted) - changed)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Values that the figures support. A value as before means that none is better."""

    hangover_ms: int
    seam: str
    dither_db: int
    """0 if noise in the audio does not help."""


def propose(tuning: Tuning, seam: str, model_method: SeamMethod) -> Proposal:
    """Choose from the figures. `seam` is that of the settings, and `model_method` what `auto` means for the model.

    The shortest hangover whose errors and marks are as few as the fewest, or equal to them (`EQUAL_SHARE`): it brings each text
    earlier. The seams of the settings if they are equal to the best, otherwise those that cost the least time.
    """
    hangovers = _equal(tuning.hangovers)
    methods = _equal(tuning.seams)
    current = model_method if seam == "auto" else SeamMethod(seam)
    if current in methods:
        chosen = seam
    else:
        best = min(methods, key=lambda method: tuning.seams[method].seam_s)
        chosen = "auto" if best is model_method else str(best)
    dithers = _equal(tuning.dithers)
    return Proposal(
        min(hangovers), chosen, 0 if 0 in dithers else min(dithers, key=lambda level: tuning.dithers[level].cost)
    )


def _equal(rows: dict[Value, Row]) -> list[Value]:
    """Return the values whose errors and marks are as few as the fewest, or equal to them."""
    least = min(row.cost for row in rows.values())
    words = max(row.total.words for row in rows.values())
    return [value for value, row in rows.items() if row.cost <= least + max(1.0, EQUAL_SHARE * words)]
