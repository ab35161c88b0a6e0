"""Which program fetched a paste: the window, or a reader that polls the clipboard.

Times are in seconds; there is no clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import pairwise
from statistics import median_low

PROMPT_S = 0.6
"""Seconds within which a window fetches after the chord on an idle machine; Chromium's main process needs 20 to 50
ms."""
QUIET_S = 1.3
"""Seconds without a fetch after which the paste is over. More than one, to detect a reader that polls once per
second."""
TAKEN_LIMIT_S = 2.0
"""Seconds that a window may take to fetch what the chord pastes."""
HOLD_LIMIT_S = 6.0
"""Seconds after which the clipboard is restored, regardless of fetches."""
LATE_S = 10.0
"""Seconds after the chord in which a window that stalls may still fetch the text. Meanwhile the text stays offered, and no
other text takes its place: the window would paste that one twice."""

_SAME_S = 0.03
"""Fetches within this many seconds are one read of several types."""
_SHORTEST_S, _LONGEST_S = 0.1, 3.0
"""Range of periods in which clipboard readers are searched."""
_FEWEST_BEATS = 3
_EARLY, _LATE = 0.15, 0.6
"""Tolerance of a beat, as shares of the period: a reader that sleeps between its reads is late on a busy machine."""
_LEAST_S = 0.06
_EVEN = 1.35
"""If the beats are more uneven than this ratio, a further fetch may be an early or a late beat."""


class Taken(Enum):
    """What the fetches of a paste indicate."""

    BY_WINDOW = auto()
    BY_NONE = auto()
    """There was no fetch before the content was replaced or before the time limit."""
    BY_READER = auto()
    """A program polls, and no fetch stands out from its rhythm."""
    COPIED = auto()
    """A clipboard manager took the text over, so fetches were not seen."""
    PARTLY = auto()
    """A browser's main process fetched the text; its page, which has more to do first, has not."""
    UNCLEAR = auto()
    """The fetch was late: it may have been by the window."""


@dataclass(frozen=True, slots=True)
class Paste:
    """When a text was offered and its chord pressed, and each fetch since the offer."""

    offered_s: float
    pressed_s: float
    fetched_s: Sequence[float]
    released_s: float = 0.0
    """When the chord's keys were released; a fetch may precede that."""
    period_s: float = 0.0
    """Period of a reader seen at an earlier paste; 0 if there was none."""
    reads: int = 1
    """How often the window fetches it: browsers of Chromium's kind do so twice, the second time for the page."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of a paste, as known so far."""

    taken: Taken
    period_s: float
    """Period of a polling reader; 0 if none was seen."""
    last_s: float
    """Time of the last fetch that no reader explains, or of the key press."""
    reads: int = 0
    """Number of fetches that no reader explains."""

    def over(self, paste: Paste, now_s: float) -> bool:
        """Return whether no further fetch by the window is expected."""
        if self.taken is Taken.PARTLY:
            return now_s - paste.pressed_s >= LATE_S
        if now_s - paste.pressed_s >= (HOLD_LIMIT_S if paste.reads == 1 else LATE_S + QUIET_S):
            return True
        if (self.period_s or self.taken is Taken.BY_NONE) and now_s - paste.pressed_s < TAKEN_LIMIT_S:
            return False
        return self.taken in {Taken.BY_NONE, Taken.BY_READER} or now_s - self.last_s >= QUIET_S


def examine(paste: Paste, now_s: float) -> Finding:
    """Distinguish the window's fetches from a reader's."""
    finding = _examine(paste, now_s)
    if finding.taken in {Taken.BY_WINDOW, Taken.UNCLEAR} and finding.reads < paste.reads:
        return replace(finding, taken=Taken.PARTLY)
    return finding


def _examine(paste: Paste, now_s: float) -> Finding:
    after = [time_s for time_s in paste.fetched_s if time_s > paste.pressed_s]
    if not after:
        return Finding(Taken.BY_NONE, paste.period_s, paste.pressed_s)
    groups = list(_grouped(paste.fetched_s))
    period_s, beats = _rhythm([group[0] for group in groups], paste, now_s)
    if beats:
        usual = median_low([len(groups[beat]) for beat in beats])
        own = [
            group[0]
            for place, group in enumerate(groups)
            if group[0] > paste.pressed_s and (place not in beats or len(group) > usual)
        ]
        taken = (
            Taken.BY_WINDOW
            if own and _unevenness([groups[beat][0] for beat in sorted(beats)]) <= _EVEN
            else Taken.BY_READER
        )
        reads = sum(len(group) for group in groups if group[0] in own)
        return Finding(taken, period_s, max(own, default=paste.pressed_s), reads)
    if after[-1] - after[0] > QUIET_S and len(list(_grouped(after))) > paste.reads:
        return Finding(Taken.BY_READER, paste.period_s, after[-1])
    prompt = after[0] - max(paste.pressed_s, paste.released_s) <= PROMPT_S
    return Finding(Taken.BY_WINDOW if prompt else Taken.UNCLEAR, paste.period_s, after[-1], len(after))


def _grouped(times_s: Sequence[float]) -> Iterator[list[float]]:
    group: list[float] = []
    for time_s in times_s:
        if group and time_s - group[-1] > _SAME_S:
            yield group
            group = []
        group.append(time_s)
    if group:
        yield group


def _rhythm(times_s: Sequence[float], paste: Paste, now_s: float) -> tuple[float, set[int]]:
    """Return the period and indices of the longest series of fetches from the offer until now.

    Of several, the most even one is returned; (0.0, empty) if there is none.
    """
    best: tuple[float, set[int]] = (0.0, set())
    best_rank = (0, 0.0)
    for first in range(len(times_s)):
        periods = [(time_s - times_s[first], _FEWEST_BEATS) for time_s in times_s[first + 1 :]]
        if paste.period_s:
            periods.append((paste.period_s, 1))
        for period_s, fewest in periods:
            if not _SHORTEST_S <= period_s <= _LONGEST_S:
                continue
            beats = _series(times_s, first, period_s)
            pause_s = period_s + _late(period_s)
            lasts = times_s[first] - paste.offered_s <= pause_s and now_s - times_s[beats[-1]] <= pause_s
            rank = (len(beats), -_unevenness([times_s[beat] for beat in beats]))
            if lasts and len(beats) >= fewest and rank > best_rank:
                best, best_rank = (period_s, set(beats)), rank
    return best


def _series(times_s: Sequence[float], first: int, period_s: float) -> list[int]:
    """Return the indices of fetches that follow `first` at this period, each measured from the previous one."""
    early_s, late_s = max(_LEAST_S, _EARLY * period_s), _late(period_s)
    beats = [first]
    while True:
        expected_s = times_s[beats[-1]] + period_s
        later = range(beats[-1] + 1, len(times_s))
        near = [place for place in later if -early_s <= times_s[place] - expected_s <= late_s]
        if not near:
            return beats
        beats.append(min(near, key=lambda place: abs(times_s[place] - expected_s)))


def _unevenness(beats_s: Sequence[float]) -> float:
    """Return the longest pause between beats as a multiple of the shortest."""
    pauses = [later - earlier for earlier, later in pairwise(beats_s)]
    return max(pauses) / min(pauses) if pauses else 1.0


def _late(period_s: float) -> float:
    return max(_LEAST_S, _LATE * period_s)
