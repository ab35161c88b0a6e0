"""Joins the words of two pieces of a recording that overlap. Pure."""

from collections.abc import Sequence

from coldvoxd.core.values import Word

SAME_S = 0.4
"""The same word is recognized in both pieces at times that differ by at most this many seconds."""


def joint(before: Sequence[Word], after: Sequence[Word], begin_s: float, end_s: float) -> tuple[int, int]:
    """Return how many words of the first piece to keep, and how many of the second to drop.

    Both pieces contain the audio from `begin_s` to `end_s`; times are those of the recording. The text changes over at a
    word that both pieces have, as near as possible to the middle of the overlap, where both know the context. Without
    such a word it changes over in the middle, unless only one of the pieces has words on its side of that.
    """
    middle_s = (begin_s + end_s) / 2
    pairs = [
        (abs(_middle(word) - middle_s), abs(word.start_s - other.start_s), kept, dropped)
        for kept, word in enumerate(before)
        if _middle(word) >= begin_s
        for dropped, other in enumerate(after)
        if _middle(other) <= end_s and abs(word.start_s - other.start_s) <= SAME_S and _plain(word) == _plain(other)
    ]
    if pairs:
        *_, kept, dropped = min(pairs)
        # The last word of a piece has the final mark of a sentence that may continue in the next one, where the word has
        # none; but the first word of that one has a capital letter.
        return (kept, dropped) if kept == len(before) - 1 and dropped else (kept + 1, dropped + 1)
    kept = sum(_middle(word) < middle_s for word in before)
    dropped = sum(_middle(word) < middle_s for word in after)
    if not any(begin_s <= _middle(word) for word in before[:kept]):
        dropped = 0
    if not any(_middle(word) <= end_s for word in after[dropped:]):
        kept = len(before)
    return kept, dropped


def _middle(word: Word) -> float:
    return (word.start_s + word.end_s) / 2


def _plain(word: Word) -> str:
    """The word without case and punctuation, which depend on the context."""
    return "".join(letter for letter in word.text.casefold() if letter.isalnum()) or word.text
