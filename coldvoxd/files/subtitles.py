"""Subtitles from words with their times: cues, and the formats SubRip and WebVTT. Pure.

The limits follow common guidelines for subtitles, such as those of the BBC and Netflix: two lines of 42 characters, at most
7 s, and lines that end where a sentence or a clause does.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from coldvoxd.core.values import Word

LINE_CHARACTERS = 42
MOST_LINES = 2
MOST_MS = 7000
"""Maximum duration of a cue."""
LEAST_MS = 1000
"""A cue is shown at least this long if the cues around it leave the time."""
PAUSE_MS = 700
"""A pause between two words from which a new cue begins."""
CHARACTER_MS = 50
"""A cue is shown this long for each of its characters (20 a second) if the next cue leaves the time."""
_SENTENCE_END = (".", "?", "!", "…", "。", "？", "！")  # noqa: RUF001 - full-width marks
_CLAUSE_END = (",", ";", ":", "–", "—", "、", "，")  # noqa: RUF001
_CLOSING = "\"'»”’)]"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    """One or two lines of at most LINE_CHARACTERS."""


@dataclass(frozen=True, slots=True)
class _Timed:
    text: str
    start_ms: int
    end_ms: int
    joins: bool = False
    """Whether it continues the text before it without a space, as a part of a long word."""


def cues(words: Iterable[Word], end_s: float = math.inf) -> list[Cue]:
    """Return the cues of a recording, in order and not overlapping; every character of the words is in one of them.

    Times of words are in seconds. No cue ends after `end_s`, the end of the recording. A cue ends at a pause, at the end of a sentence, or where a limit requires it.
    """
    groups = list(_groups(list(_timed(words))))
    return _spread([Cue(group[0].start_ms, group[-1].end_ms, _lines(group) or ()) for group in groups], end_s * 1000)


def srt(words: Iterable[Word], end_s: float = math.inf) -> str:
    """Return the subtitles in SubRip's format."""
    blocks = (
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{_body(cue)}\n"
        for number, cue in enumerate(cues(words, end_s), start=1)
    )
    return "\n".join(blocks)


def vtt(words: Iterable[Word], end_s: float = math.inf) -> str:
    """Return the subtitles in WebVTT's format: W3C, WebVTT: The Web Video Text Tracks Format."""
    blocks = (
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{_escaped(_body(cue))}\n"
        for cue in cues(words, end_s)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _timed(words: Iterable[Word]) -> Iterator[_Timed]:
    """The words in whole milliseconds, never backwards; a word that no line can take in parts that it can."""
    at = 0
    for word in words:
        text = " ".join(word.text.split())
        if not text:
            continue
        start = max(at, round(word.start_s * 1000))
        end = max(start, round(word.end_s * 1000))
        parts = [text[begin : begin + LINE_CHARACTERS] for begin in range(0, len(text), LINE_CHARACTERS)]
        step = (end - start) / len(parts)
        for number, part in enumerate(parts):
            yield _Timed(part, start + round(number * step), start + round((number + 1) * step), joins=number > 0)
        at = start


def _groups(words: Sequence[_Timed]) -> Iterator[list[_Timed]]:
    """The words of each cue."""
    begin = 0
    while begin < len(words):
        end = begin + 1
        while end < len(words) and not _is_over(words, begin, end) and _fits(words[begin : end + 1]):
            end += 1
        if end < len(words) and not _is_over(words, begin, end):
            end = _best_end(words, begin, end)
        yield list(words[begin:end])
        begin = end


def _is_over(words: Sequence[_Timed], begin: int, end: int) -> bool:
    """Whether a cue of the words in [begin, end) ends there: at a pause, or at the end of a sentence that is long enough."""
    if words[end].start_ms - words[end - 1].end_ms >= PAUSE_MS:
        return True
    return _ends(words[end - 1], _SENTENCE_END) and words[end].start_ms - words[begin].start_ms >= LEAST_MS


def _fits(words: Sequence[_Timed]) -> bool:
    return max(word.end_ms for word in words) - words[0].start_ms <= MOST_MS and _lines(words) is not None


def _best_end(words: Sequence[_Timed], begin: int, limit: int) -> int:
    """Where to end a cue that can take the words up to `limit` but not the next one.

    In its second half, after the end of a sentence, of a clause, or before the longest pause.
    """
    places = range(begin + (limit - begin + 1) // 2, limit + 1)
    usable = [place for place in places if not words[place].joins] or [limit]

    def merit(place: int) -> tuple[int, int, int]:
        last = words[place - 1]
        rank = 2 if _ends(last, _SENTENCE_END) else 1 if _ends(last, _CLAUSE_END) else 0
        return rank, max(0, words[place].start_ms - last.end_ms), place

    return max(usable, key=merit)


def _lines(words: Sequence[_Timed]) -> tuple[str, ...] | None:
    """The lines of a cue: one if it fits, otherwise two of similar length, best after a clause; None if too long."""
    whole = _joined(words)
    if len(whole) <= LINE_CHARACTERS:
        return (whole,)
    options = []
    for place in range(1, len(words)):
        one, other = _joined(words[:place]), _joined(words[place:])
        if len(one) <= LINE_CHARACTERS and len(other) <= LINE_CHARACTERS:
            after_clause = _ends(words[place - 1], (*_SENTENCE_END, *_CLAUSE_END))
            cost = abs(len(one) - len(other)) - (LINE_CHARACTERS // 3 if after_clause else 0)
            options.append((words[place].joins, cost, one, other))
    return min(options)[2:] if options else None


def _spread(found: Sequence[Cue], end_ms: float) -> list[Cue]:
    """Return the cues with durations within the limits, in order and without overlap, before the end of the recording."""
    starts: list[int] = []
    for cue in found:
        starts.append(max(cue.start_ms, starts[-1] + 1 if starts else 0))
    if not starts:
        return []
    last_ms = int(min(starts[-1] + MOST_MS, end_ms if end_ms > starts[-1] + 1 else math.inf))
    limits = [min(start + MOST_MS, following) for start, following in pairwise([*starts, last_ms])]
    placed: list[Cue] = []
    for cue, start, limit in zip(found, starts, limits, strict=True):
        end = max(start + 1, min(max(cue.end_ms, start + LEAST_MS), limit))
        earliest = placed[-1].end_ms if placed else 0
        placed.append(Cue(max(earliest, min(start, end - LEAST_MS)), end, cue.lines))
    return [_readable(cue, following.start_ms) for cue, following in pairwise(placed)] + placed[-1:]


def _readable(cue: Cue, limit_ms: int) -> Cue:
    """The cue, shown long enough to be read, but not after `limit_ms`."""
    wanted = cue.start_ms + min(MOST_MS, CHARACTER_MS * sum(map(len, cue.lines)))
    return replace(cue, end_ms=max(cue.end_ms, min(wanted, limit_ms)))


def _joined(words: Sequence[_Timed]) -> str:
    return "".join(word.text if word.joins or not number else f" {word.text}" for number, word in enumerate(words))


def _ends(word: _Timed, marks: tuple[str, ...]) -> bool:
    return word.text.rstrip(_CLOSING).endswith(marks)


def _body(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
