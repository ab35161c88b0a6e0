"""Long recordings made of the bundled model's sample sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from coldvoxd.core.values import SAMPLE_RATE
from tests.support.sound.speech import Sample, Wave, samples

FLOOR = 3e-4
"""Root mean square of the noise in a recording: -70 dBFS."""


@dataclass(frozen=True)
class Sentence:
    sample: Sample
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Talk:
    wave: Wave
    """float32 (n,), 16 kHz."""
    sentences: list[Sentence]

    @property
    def said(self) -> str:
        return " ".join(sentence.sample.said for sentence in self.sentences)

    def heard(self, precision: str) -> str:
        """The texts of the sentences, each recognized by itself."""
        return " ".join(sentence.sample.heard[precision] for sentence in self.sentences)


def talk(seconds: float, *, pauses_s: tuple[float, float] = (0.5, 3.0), seed: int = 0, tight: bool = False) -> Talk:
    """Return sample sentences in random order, with pauses of random length between them, in faint noise.

    `tight` removes the silence at both ends of the sentences.
    """
    generator = np.random.default_rng(seed)
    waves = {sample.name: _tight(sample.wave()) if tight else sample.wave() for sample in samples()}
    parts, sentences, at = [], [], 0
    while at < seconds * SAMPLE_RATE:
        sample = samples()[generator.integers(len(samples()))]
        wave = waves[sample.name]
        pause = round(generator.uniform(*pauses_s) * SAMPLE_RATE)
        sentences.append(Sentence(sample, at / SAMPLE_RATE, (at + len(wave)) / SAMPLE_RATE))
        parts += [wave, np.zeros(pause, np.float32)]
        at += len(wave) + pause
    whole = np.concatenate(parts)
    whole += generator.standard_normal(len(whole), dtype=np.float32) * np.float32(FLOOR)
    return Talk(whole, sentences)


def _tight(wave: Wave) -> Wave:
    """The wave from 20 ms before its first sample that is louder than a fiftieth of the loudest, to 20 ms after the last."""
    loud = np.flatnonzero(np.abs(wave) > np.abs(wave).max() / 50)
    return wave[max(0, loud[0] - 320) : loud[-1] + 320]


def words_of(text: str) -> list[str]:
    """Return the words without case and punctuation."""
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter in " '").split()


def changes(right: Sequence[str], found: Sequence[str]) -> tuple[int, int, int]:
    """Return the numbers of words that are lost, added and replaced."""
    lost = added = replaced = 0
    matcher = SequenceMatcher(None, list(right), list(found), autojunk=False)
    for kind, begin, end, first, last in matcher.get_opcodes():
        if kind != "equal":
            common = min(end - begin, last - first)
            replaced += common
            lost += end - begin - common
            added += last - first - common
    return lost, added, replaced
