"""The overlap of the two parts of speech that was cut because of its length.

Near an end of the audio a recognizer is wrong more often, since it lacks the context. So the part before the cut is
recognized with up to `TAIL_S` seconds behind it, and the part after the cut with `LEAD_S` seconds before it. Each publishes its own
words only: the first part those whose middle is before the cut, and the second part those that follow.

The times of one word differ between both recognitions by a frame or two, so a word beside the cut could be doubled or lost by
its time. The first part's text is published when the second one is recognized, and never changes. So the second part looks
for the last published words among its first ones, and begins after them. Only if it does not find them, or does not know them,
do the times decide.

What the first part recognized behind the cut is not lost either: the second part begins with those of these words that it
lacks before its own first word. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf

from coldvoxd.core.seams import spelled
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, Overlap, Utterance, Word, WordTokens

LEAD_S = 1.5
"""Seconds before a cut that the part after it has."""
TAIL_S = 1.0
"""Seconds behind a cut that the part before it has, if there are as many."""
LEAD_SHARE = 0.25
"""The lead takes at most this share of the maximum length."""
SAME_S = 0.3
"""A word that both parts have begins in them at times that differ by at most this many seconds."""
FRAME_S = 0.08
"""An encoder frame: a word may end that long after the next one begins."""
KEPT_S = 2 * LEAD_S
"""Seconds before the end of a part whose words are kept for the next one."""


def lead_samples(longest_s: float) -> int:
    """Return the number of samples before a cut that the part after it has; `longest_s` is the maximum length in seconds."""
    return round(min(LEAD_S, LEAD_SHARE * longest_s) * SAMPLE_RATE)


def own_words(words: Sequence[Word], overlap: Overlap, audio_samples: int) -> tuple[int, int]:
    """Return the begin and the end of an utterance's own words among all that were recognized in its audio."""
    begin, end = 0, len(words)
    if overlap.tail:
        end = _first_from(words, (audio_samples - overlap.tail) / SAMPLE_RATE)
    if overlap.lead and overlap.before is None:
        begin = _first_from(words, overlap.lead / SAMPLE_RATE)
    elif overlap.lead and overlap.before:
        begin = _first_after(words, overlap.before)
    return min(begin, end), end


def last_words(utterance: Utterance, hypothesis: Hypothesis) -> tuple[Word, ...]:
    """Return the last words of an utterance, at least one if it has any, in seconds from sample 0."""
    from_s = utterance.own_end_sample / SAMPLE_RATE - KEPT_S
    words = moved(hypothesis.words, utterance.start_sample / SAMPLE_RATE)
    return tuple(word for word in words[:-1] if word.end_s >= from_s) + words[-1:]


def moved(words: Iterable[Word], seconds: float) -> tuple[Word, ...]:
    """Return the words that many seconds later."""
    return tuple(replace(word, start_s=word.start_s + seconds, end_s=word.end_s + seconds) for word in words)


def moved_behind(behind: Sequence[WordTokens], seconds: float) -> tuple[WordTokens, ...]:
    """Return words that were recognized behind a cut that many seconds later."""
    words = moved((word for word, _ in behind), seconds)
    return tuple((word, tokens) for word, (_, tokens) in zip(words, behind, strict=True))


def missing(words: Sequence[Word], begin: int, end: int, overlap: Overlap) -> list[WordTokens]:
    """Return what only the part before the cut recognized between the cut and the own words `begin` to `end`.

    The part after the cut may skip words in its first second, for lack of context; the part before it has these words,
    but has not published them.
    """
    if not overlap.lead:
        return []
    first_s = words[begin].start_s if begin < end else inf
    return [
        (word, tokens)
        for word, tokens in overlap.behind
        if word.end_s <= first_s + FRAME_S and not any(_is_same(word, other) for other in words[begin:end])
    ]


def _first_after(words: Sequence[Word], before: Sequence[Word]) -> int:
    """Return the index of the first word that follows the words `before`, whose last is in the audio or shortly before it."""
    for unfound in range(len(before)):
        earlier = before[: len(before) - unfound]
        if found := [(-_agreeing(words[: at + 1], earlier), abs(word.start_s - earlier[-1].start_s), at)
                     for at, word in enumerate(words) if _is_same(word, earlier[-1])]:  # fmt: skip
            after = min(found)[-1] + 1
            # The words between were recognized as others.
            return after if not unfound else max(after, _first_from(words, before[-1].end_s))
    return _first_from(words, before[-1].end_s)


def _agreeing(words: Sequence[Word], earlier: Sequence[Word]) -> int:
    """Return the number of last words that both have."""
    pairs = zip(reversed(words), reversed(earlier), strict=False)
    return next((count for count, pair in enumerate(pairs) if not _is_same(*pair)), min(len(words), len(earlier)))


def _is_same(word: Word, other: Word) -> bool:
    is_near = abs(word.start_s - other.start_s) <= SAME_S
    return is_near and (spelled(word.text) or word.text) == (spelled(other.text) or other.text)


def _first_from(words: Sequence[Word], time_s: float) -> int:
    """Return the index of the first word whose middle is not before a time."""
    return next((at for at, word in enumerate(words) if (word.start_s + word.end_s) / 2 >= time_s), len(words))
