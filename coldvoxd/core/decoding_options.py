"""How a recognizer searches for a text, and what it may return beside the text."""

from dataclasses import dataclass

LARGEST_BEAM = 16
COLDEST, HOTTEST = 0.01, 10.0
"""Limits of the temperature: scores that are divided by less exceed what float32 holds, and confidences were not numbers."""
MOST_ALTERNATIVES = 8
"""Maximum number of alternatives to one text."""


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """Settings of a recognizer's search."""

    beam_size: int = 1
    """Number of token sequences that are followed at once; 1 follows the best one only (greedy)."""
    temperature: float = 1.0
    """Divisor of the scores of tokens before they become probabilities, and so confidences. Changes no text."""


GREEDY = DecodingOptions()


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another text for the same audio."""

    text: str
    share: float
    """Its probability as a share of that of all texts that the search ended with, 0..1."""
