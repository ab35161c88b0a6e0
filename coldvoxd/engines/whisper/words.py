"""Words of whisper.cpp's tokens. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from coldvoxd.core.values import Token, Word

FRAMES_PER_SECOND = 12.5
"""Of `Token.encoder_frame`, which counts 80 ms."""
UNITS_PER_SECOND = 100
"""whisper.cpp counts time in 10 ms."""


@dataclass(frozen=True, slots=True)
class WhisperToken:
    """A token of the text, without the special ones."""

    id: int
    text: bytes
    """A part of a word; a word may begin or end within a character's bytes. The first part of a word begins with a space."""
    start: int
    end: int
    """In units of 10 ms from the start of the audio; approximate, from the probabilities of the time tokens."""
    probability: float


def words_of(tokens: Sequence[WhisperToken], duration_s: float) -> tuple[Word, ...]:
    """Return the words with their times, which are ordered and within the duration."""
    found: list[Word] = []
    earliest_s = 0.0
    for group in _grouped(tokens):
        text = b"".join(token.text for token in group).decode(errors="replace").strip()
        if not text:
            continue
        spoken = [token for token in group if _is_spoken(token)] or group
        start_s = min(max(earliest_s, spoken[0].start / UNITS_PER_SECOND), duration_s)
        end_s = min(max(start_s, spoken[-1].end / UNITS_PER_SECOND), duration_s)
        found.append(Word(text, start_s, end_s, confidence(group)))
        earliest_s = start_s
    return tuple(found)


def tokens_of(tokens: Iterable[WhisperToken]) -> tuple[Token, ...]:
    """Return the tokens in the units of a Hypothesis, without durations."""
    return tuple(
        Token(token.id, round(token.start / UNITS_PER_SECOND * FRAMES_PER_SECOND), 0, _logarithm(token))
        for token in tokens
    )


def confidence(tokens: Sequence[WhisperToken]) -> float:
    """Return the geometric mean of the tokens' probabilities; 0 if there are none."""
    return math.exp(sum(map(_logarithm, tokens)) / len(tokens)) if tokens else 0.0


def _grouped(tokens: Sequence[WhisperToken]) -> Iterator[list[WhisperToken]]:
    """Yield the tokens of each word. A word begins with a space, in languages that have spaces."""
    group: list[WhisperToken] = []
    for token in tokens:
        if group and token.text.startswith(b" "):
            yield group
            group = []
        group.append(token)
    if group:
        yield group


def _is_spoken(token: WhisperToken) -> bool:
    """Return whether a token has a letter or digit; marks have times of their own, after the word."""
    return any(character.isalnum() for character in token.text.decode(errors="ignore"))


def _logarithm(token: WhisperToken) -> float:
    return math.log(min(1.0, max(token.probability, 1e-9)))
