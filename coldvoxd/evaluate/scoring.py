"""Word error rates: substitutions, deletions and insertions of the best alignment, by jiwer."""

from collections.abc import Callable
from dataclasses import dataclass

from coldvoxd.evaluate.libraries import JIWER, WHISPER_NORMALIZER, named, require
from coldvoxd.evaluate.normalization import Normalizer


@dataclass(frozen=True, slots=True)
class Counts:
    """Errors in a number of words of the reference."""

    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.words + other.words,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Return errors per word of the reference: 0 is none, and more than 1 is possible. 0 without words."""
        return self.errors / self.words if self.words else 0.0


@dataclass(frozen=True, slots=True)
class Scorer:
    """Compares texts after a normalization."""

    name: str
    """Library and version, for the report."""
    normalizer: Normalizer
    align: Callable[[str, str], Counts]

    def __call__(self, reference: str, text: str) -> Counts:
        """Count the errors of a text."""
        return self.align(self.normalizer(reference), self.normalizer(text))


def scorer(normalizer: Normalizer) -> Scorer:
    """Load jiwer. Raises LibraryUnusable."""
    jiwer = require("jiwer", "`coldvoxctl evaluate`", JIWER, WHISPER_NORMALIZER)

    def align(reference: str, text: str) -> Counts:
        found = jiwer.process_words([reference], [text])
        words = found.hits + found.substitutions + found.deletions
        return Counts(words, found.substitutions, found.deletions, found.insertions)

    return Scorer(named("jiwer"), normalizer, align)
