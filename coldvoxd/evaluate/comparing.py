"""Compares variants with the first one on the same clips, and decides whether they are close enough."""

from collections.abc import Sequence
from dataclasses import dataclass

from coldvoxd.evaluate.bootstrap import Bootstrap, Interval
from coldvoxd.evaluate.engines import OWN
from coldvoxd.evaluate.measuring import Run
from coldvoxd.evaluate.scoring import Counts

POINTS = 100.0
"""Percentage points in a rate of 1."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant against the first one in the same condition, on the clips that both recognized."""

    base: Run
    other: Run
    clips: int
    words: int
    points: float
    """Word error rate of `other` minus that of `base`, in percentage points: above 0 is worse."""
    interval: Interval
    """Of the same, in percentage points."""

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval.low > 0 or self.interval.high < 0


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether no variant of coldvoxd has more word errors than allowed. Other engines are a yardstick only."""

    allowed_points: float
    differences: tuple[Difference, ...]

    @property
    def judged(self) -> tuple[Difference, ...]:
        """Differences between variants of coldvoxd."""
        return tuple(one for one in self.differences if one.other.variant.engine == OWN)

    @property
    def missed(self) -> tuple[Difference, ...]:
        """Variants that have too many, or failed where the first one did not."""
        return tuple(one for one in self.judged if not self._holds(one))

    @property
    def is_met(self) -> bool:
        return not self.missed

    @property
    def smallest_points(self) -> float | None:
        """Return what one word weighs: a gate below it demands equal numbers of errors. None if nothing was compared."""
        words = min((one.words for one in self.judged), default=0)
        return POINTS / words if words else None

    def _holds(self, one: Difference) -> bool:
        failed = {outcome.clip.id for outcome in one.other.failures} - {
            outcome.clip.id for outcome in one.base.failures
        }
        return one.clips > 0 and not failed and one.points <= self.allowed_points + 1e-9


def differences(runs: Sequence[Run], bootstrap: Bootstrap) -> tuple[Difference, ...]:
    """Return each later run against the first one in its condition."""
    bases: dict[str, Run] = {}
    found = []
    for run in runs:
        base = bases.setdefault(run.condition.name, run)
        if base is not run:
            found.append(_difference(base, run, bootstrap))
    return tuple(found)


def _difference(base: Run, other: Run, bootstrap: Bootstrap) -> Difference:
    first: list[Counts] = []
    second: list[Counts] = []
    speakers: list[str] = []
    for one, same in zip(base.outcomes, other.outcomes, strict=True):
        if one.counts is not None and same.counts is not None:
            first.append(one.counts)
            second.append(same.counts)
            speakers.append(one.clip.speaker)
    if not first:
        return Difference(base, other, 0, 0, 0.0, Interval(0.0, 0.0))
    total, others = sum(first, Counts()), sum(second, Counts())
    interval = bootstrap.difference(first, second, speakers)
    return Difference(
        base,
        other,
        len(first),
        total.words,
        POINTS * (others.rate - total.rate),
        Interval(POINTS * interval.low, POINTS * interval.high),
    )
