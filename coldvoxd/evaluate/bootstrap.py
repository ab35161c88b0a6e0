"""Confidence intervals of word error rates and of their differences, by the bootstrap.

Utterances, or all utterances of a speaker together, are drawn with replacement, and the rate is that of all words drawn. The
interval lies between the 2.5th and the 97.5th percentile. For a difference both systems are scored on the same draws.
Source: Bisani and Ney, Bootstrap estimates for confidence intervals in ASR performance evaluation, ICASSP 2004. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from coldvoxd.evaluate.scoring import Counts

PERCENTILES = (2.5, 97.5)
FEWEST_SPEAKERS = 10
"""With fewer speakers than this, `auto` draws utterances: an interval from few groups is too narrow."""
_MOST_DRAWN = 4_000_000
"""Maximum number of indexes in memory: 32 MB."""


class Unit(StrEnum):
    """What is drawn."""

    UTTERANCES = "utterances"
    SPEAKERS = "speakers"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How draws are made."""

    unit: Unit
    resamples: int = 1000
    seed: int = 0

    def interval(self, counts: Sequence[Counts], speakers: Sequence[str]) -> Interval:
        """Return the interval of the rate of these utterances."""
        groups = self._groups(speakers)
        return _interval(self._rates(groups, (counts,))[0])

    def difference(self, base: Sequence[Counts], other: Sequence[Counts], speakers: Sequence[str]) -> Interval:
        """Return the interval of the rate of `other` minus that of `base`, on the same utterances."""
        first, second = self._rates(self._groups(speakers), (base, other))
        return _interval(second - first)

    def _groups(self, speakers: Sequence[str]) -> npt.NDArray[np.intp]:
        """Return the number of the group of each utterance, from 0."""
        if self.unit is Unit.UTTERANCES:
            return np.arange(len(speakers))
        return np.unique(np.array(speakers), return_inverse=True)[1].reshape(-1)

    def _rates(
        self, groups: npt.NDArray[np.intp], systems: Sequence[Sequence[Counts]]
    ) -> list[npt.NDArray[np.float64]]:
        """Return the rates of each system in each draw, float64 (resamples,)."""
        size = int(groups.max()) + 1
        errors = [np.bincount(groups, [one.errors for one in counts], size) for counts in systems]
        words = [np.bincount(groups, [one.words for one in counts], size) for counts in systems]
        generator = np.random.default_rng(self.seed)
        found: list[list[npt.NDArray[np.float64]]] = [[] for _ in systems]
        left = self.resamples
        while left > 0:
            draws = generator.integers(0, size, (min(left, max(1, _MOST_DRAWN // size)), size))
            left -= len(draws)
            for rates, wrong, right in zip(found, errors, words, strict=True):
                rates.append(wrong[draws].sum(axis=1) / np.maximum(right[draws].sum(axis=1), 1))
        return [np.concatenate(rates) for rates in found]


def unit_for(speakers: Sequence[str], chosen: Unit | None) -> Unit:
    """Return what to draw: as chosen; otherwise speakers, if each is known and there are enough of them."""
    if chosen is not None:
        return chosen
    return Unit.SPEAKERS if all(speakers) and len(set(speakers)) >= FEWEST_SPEAKERS else Unit.UTTERANCES


def _interval(rates: npt.NDArray[np.float64]) -> Interval:
    low, high = np.percentile(rates, PERCENTILES)
    return Interval(float(low), float(high))
