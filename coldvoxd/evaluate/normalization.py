"""Normalizations of texts before they are compared: named and versioned, since a word error rate depends on them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from coldvoxd.evaluate.libraries import JIWER, WHISPER_NORMALIZER, named, require


class Normalization(StrEnum):
    """How texts are normalized."""

    NONE = "none"
    """Words as they are, with case and punctuation."""
    BASIC = "basic"
    """Whisper's normalizer for any language: lower case, symbols become spaces, nothing in brackets."""
    ENGLISH = "english"
    """Whisper's normalizer for English, as in the Open ASR Leaderboard: also numbers, contractions, British spellings."""


@dataclass(frozen=True, slots=True)
class Normalizer:
    """A normalization that is ready for use."""

    name: str
    """With the version of the library, for the report."""
    normalize: Callable[[str], str]

    def __call__(self, text: str) -> str:
        return self.normalize(text)


def normalizer(kind: Normalization) -> Normalizer:
    """Load a normalizer. Raises LibraryUnusable."""
    if kind is Normalization.NONE:
        return Normalizer("none", lambda text: text)
    purpose = f"--normalize {kind}"
    if kind is Normalization.BASIC:
        basic = require("whisper_normalizer.basic", purpose, WHISPER_NORMALIZER, JIWER).BasicTextNormalizer()
        return Normalizer(f"basic ({named('whisper-normalizer')})", basic)
    english = require("whisper_normalizer.english", purpose, WHISPER_NORMALIZER, JIWER).EnglishTextNormalizer()
    return Normalizer(f"english ({named('whisper-normalizer')})", english)
