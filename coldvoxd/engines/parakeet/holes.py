"""Holes in a text: speech between two words, or at an end, in which the decoder returned no word.

After the end of a sentence and a pause, Parakeet's decoder can return blank to the end of the audio, whatever is said there
(OpenWhispr#1435, transcribe.cpp#71, FluidAudio#758). The encoder's output is intact: decoded from a fresh state, the same
frames give the words. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from coldvoxd.core.speech_spans import SpeechSpan, samples_within
from coldvoxd.core.values import SAMPLE_RATE, Token
from coldvoxd.engines.parakeet.vocabulary import WORD_START, Vocabulary

LEAST_SAMPLES = SAMPLE_RATE
"""Samples of speech without a word that are a hole: 1 s."""
EDGE_FRAMES = 6
"""Frames from an edge of a hole within which a repeated word, or a part of one, is that of the word beyond the edge."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Encoder frames [begin, end) with speech and without a word."""

    begin: int
    end: int
    place: int
    """Index in the tokens at which found tokens are inserted."""


def find(
    tokens: Sequence[Token], speech: Sequence[SpeechSpan], frames: int, frame_samples: int, vocabulary: Vocabulary
) -> list[Hole]:
    """Return the holes between words, and before the first and after the last, of an utterance of `frames` encoder frames.

    A frame has `frame_samples` samples. There are no holes without any words: then the whole utterance has none.
    """
    holes: list[Hole] = []

    def look(begin: int, end: int, place: int) -> None:
        if samples_within(speech, begin * frame_samples, end * frame_samples) >= LEAST_SAMPLES:
            holes.append(Hole(begin, end, place))

    place = reached = 0
    for word in by_word(tokens, vocabulary) if speech else ():
        look(reached, word[0].encoder_frame, place)
        place += len(word)
        # A full stop may be emitted seconds after its word.
        letters = [token for token in word if _spelled([token], vocabulary)]
        reached = max((token.encoder_frame + max(1, token.duration_frames) for token in letters), default=reached)
    if place:
        look(reached, frames, place)
    return holes


def filled(tokens: Sequence[Token], hole: Hole, found: Sequence[Token], vocabulary: Vocabulary) -> tuple[Token, ...]:
    """Insert the tokens found in a hole, without those that repeat the words beside it; return () if none is left."""
    words = [word for word in by_word(found, vocabulary) if hole.begin <= word[0].encoder_frame < hole.end]
    before = by_word(tokens[: hole.place], vocabulary)
    after = by_word(tokens[hole.place :], vocabulary)
    if words and not _starts_word(words[0][0], vocabulary):  # the rest of a word that began before
        words.pop(0)
    if words and before and words[0][0].encoder_frame - hole.begin < EDGE_FRAMES:
        spelled = _spelled(words[0], vocabulary)
        if _spelled(before[-1], vocabulary).endswith(spelled):
            words.pop(0)
    if words and after and hole.end - words[-1][-1].encoder_frame <= EDGE_FRAMES:
        spelled = _spelled(words[-1], vocabulary)
        if _spelled(after[0], vocabulary).startswith(spelled):
            words.pop()
    words = [word for word in words if _spelled(word, vocabulary)]
    inserted = [token for word in words for token in word]
    if not inserted:
        return ()
    # A full stop that was emitted after the hole belongs to the word before it.
    earlier = (replace(token, encoder_frame=min(token.encoder_frame, hole.begin)) for token in tokens[: hole.place])
    return (*earlier, *inserted, *tokens[hole.place :])


def moved(tokens: Sequence[Token], frames: int) -> tuple[Token, ...]:
    """Return the tokens `frames` encoder frames later."""
    return tuple(replace(token, encoder_frame=token.encoder_frame + frames) for token in tokens)


def by_word(tokens: Sequence[Token], vocabulary: Vocabulary) -> list[list[Token]]:
    """Return the tokens by word. Punctuation and control tokens belong to the word before them."""
    words: list[list[Token]] = []
    for token in tokens:
        if not words or _starts_word(token, vocabulary):
            words.append([])
        words[-1].append(token)
    return words


def _starts_word(token: Token, vocabulary: Vocabulary) -> bool:
    return vocabulary.pieces[token.id].startswith(WORD_START)


def _spelled(word: Sequence[Token], vocabulary: Vocabulary) -> str:
    """Return the letters and digits of a word, in lower case; empty for punctuation."""
    text = "".join(vocabulary.shown(token.id) for token in word)
    return "".join(letter for letter in text.casefold() if letter.isalnum())
