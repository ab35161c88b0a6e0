"""Determines whether a sentence continues after a pause, by either `SeamMethod`.

Both return None where their words beside the seam differ from those of the texts, so that a seam never rests on words that
were not recognized. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coldvoxd.core.seams import (
    ENDS,
    LONGEST_AFTER_S,
    MARKS,
    MOST_TOKENS,
    LastTokens,
    SeamContext,
    SeamFinding,
    after_pause,
    spelled,
)
from coldvoxd.core.speech_spans import SpeechSpan
from coldvoxd.core.values import SAMPLE_RATE, Token, Word
from coldvoxd.engines.parakeet.vocabulary import WORD_START, Vocabulary

MOST_EXTRA_FRAMES = 12
"""Number of encoder frames after the first word of the text within which the decoder must have returned it: about 1 s."""
_PARTING = ","


@dataclass(frozen=True, slots=True)
class Heard:
    """An utterance that was recognized by itself, and has words."""

    samples: npt.NDArray[np.float32] = field(repr=False)
    """float32 (n,), 16 kHz."""
    speech: Sequence[SpeechSpan] = field(repr=False)
    encoded: npt.NDArray[np.float32] = field(repr=False)
    """Its encoder frames, float32 (frames, encoder size)."""
    tokens: Sequence[Token] = field(repr=False)
    words: Sequence[Word] = field(repr=False)
    word_before: str = field(default="", repr=False)
    """The last word of the earlier utterance, if this recognition has it."""

    @property
    def first_word(self) -> str:
        return self.words[0].text


def last_tokens(tokens: Sequence[Token], vocabulary: Vocabulary) -> LastTokens | None:
    """Return the last tokens of an utterance for the decoding of the next one; None if it has no words."""
    ids = [token.id for token in tokens]
    while ids and not spelled(vocabulary.shown(ids[-1])):
        ids.pop()
    return LastTokens(vocabulary.fingerprint, tuple(ids[-MOST_TOKENS:])) if ids else None


def by_state(decoded: Iterable[Token], heard: Heard, vocabulary: Vocabulary) -> SeamFinding | None:
    """Return the finding of a decoding that began with the earlier utterance's last tokens.

    `decoded` yields its tokens; it is used up to the end of the first word.
    """
    last_frame = heard.tokens[0].encoder_frame + MOST_EXTRA_FRAMES
    text = ""
    for token in decoded:
        starts_word = vocabulary.pieces[token.id].startswith(WORD_START)
        if token.encoder_frame > last_frame or (starts_word and spelled(text)):
            break
        text += vocabulary.shown(token.id)
    return _finding(text, heard.first_word, unmarked_continues=False)


def window(context: SeamContext, heard: Heard) -> npt.NDArray[np.float32]:
    """Return the audio on both sides of the seam, float32 (n,); most of the pause is left out."""
    after = after_pause(heard.samples, heard.speech, round(LONGEST_AFTER_S * SAMPLE_RATE))
    return np.concatenate((context.samples, after))


def by_window(words: Sequence[Word], context: SeamContext, heard: Heard) -> SeamFinding | None:
    """Return the finding of a recognition of the `window`; `words` are its words."""
    seam_s = len(context.samples) / SAMPLE_RATE
    at = next((index for index, word in enumerate(words) if (word.start_s + word.end_s) / 2 > seam_s), len(words))
    for index in (at, at + 1, at - 1):
        if not 0 < index < len(words):
            continue
        before, after = words[index - 1].text, words[index].text
        if spelled(before) == context.last_word and spelled(after) == spelled(heard.first_word):
            mark = before[len(before.rstrip(MARKS)) :]
            return _finding(f"{mark} {after}", heard.first_word, unmarked_continues=True)
    return None


def by_lead(word_before: str, first_word: str) -> SeamFinding | None:
    """Return the finding of a recognition that begins with audio of the earlier utterance, and has a word of that.

    None before a capital letter without a mark: a name, or the next sentence if the earlier text ends with a mark.
    """
    mark = word_before[len(word_before.rstrip(MARKS)) :]
    if not mark and first_word[:1].isupper():
        return None
    return _finding(f"{mark} {first_word}", first_word, unmarked_continues=True)


def _finding(text: str, first_word: str, *, unmarked_continues: bool) -> SeamFinding | None:
    """Return what a mark, if any, and the word after it say about the seam; None for another word than `first_word`.

    `unmarked_continues`: whether the sentence continues if there is no mark, even before a capital letter.
    """
    word = text.strip().lstrip(MARKS + " ")
    mark = text.strip()[:1] if text.strip()[:1] in MARKS else ""
    if not spelled(word) or spelled(word) != spelled(first_word):
        return None
    letter = next(letter for letter in word if letter.isalnum())
    if mark and mark in ENDS:
        return SeamFinding(continues=False, mark=mark)
    if letter.islower() or unmarked_continues or mark == _PARTING:
        return SeamFinding(continues=True, mark=mark, lowers=letter.islower())
    return SeamFinding(continues=False) if letter.isupper() else None
