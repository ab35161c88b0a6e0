"""How long recent runs of a recognizer took, and the time and length limits that follow from it.

Theory of operation. Three limits follow from the most recent completed runs. The hedge limit is a multiple of the 99th
percentile: a run that exceeds it is so unusual that the CPU starts on the same utterance. The split limit is a multiple
of the time predicted from the audio's duration: a run on the CPU that exceeds it is repeated in two pieces. The length
limit keeps the predicted time of every utterance within `LONGEST_PREDICTED_S`; it uses the median, so that single
disturbed runs don't change it. Until there is a run, each limit has a default.
"""

import math
import statistics
from dataclasses import dataclass, field, replace

HEDGE_FLOOR_S = 0.4
HEDGE_FACTOR = 10.0
"""A run that takes ten times as long as nearly all before it is hedged."""
SPLIT_FACTOR = 4.0
"""A run on the CPU that takes four times as long as predicted is repeated in two pieces."""
LONGEST_PREDICTED_S = 2.5
"""No utterance is so long that its recognition on the CPU is predicted to take longer."""
LENGTH_FLOOR_S = 8.0
"""Utterances up to this length are never cut, however slow the CPU is: shorter ones are understood less well."""
HISTORY = 64
"""Runs that count."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """After how many seconds native code counts as hanging."""

    accelerator_load_s: float = 120.0
    """Loading an accelerator; shorter than the watchdog's limit for a load."""
    accelerator_run_s: float = 5.0
    """One run on an accelerator; then its call thread is abandoned."""
    cpu_run_s: float = 5.0
    """The least that a run on the CPU gets before the utterance is repeated in two pieces."""


STANDARD = RunLimits()


def watchdog_limit_s(duration_s: float) -> float:
    """How long one recognition of `duration_s` seconds of audio may take before the watchdog is no longer fed."""
    return max(20.0, 10 * duration_s)


@dataclass(frozen=True, slots=True)
class RunTimes:
    """The most recent completed runs of one recognizer. All durations are in seconds."""

    limits: RunLimits = field(default_factory=RunLimits)
    durations_s: tuple[float, ...] = ()
    """Of the runs, oldest first."""
    time_factors: tuple[float, ...] = ()
    """Run time per second of audio, oldest first."""

    def with_run(self, took_s: float, audio_s: float) -> "RunTimes":
        """The same history after one more run, which took `took_s` for `audio_s` seconds of audio."""
        factors = (*self.time_factors, took_s / audio_s) if audio_s > 0 else self.time_factors
        return replace(self, durations_s=(*self.durations_s, took_s)[-HISTORY:], time_factors=factors[-HISTORY:])

    @property
    def hedge_s(self) -> float:
        """How long a run on the accelerator may take before the CPU starts on the same utterance."""
        if not self.durations_s:
            return self.limits.accelerator_run_s / 2
        return min(self.limits.accelerator_run_s, max(HEDGE_FLOOR_S, HEDGE_FACTOR * _nearly_all(self.durations_s)))

    @property
    def longest_s(self) -> float:
        """The greatest length of an utterance; infinity before the first run."""
        if not self.time_factors:
            return math.inf
        return max(LENGTH_FLOOR_S, LONGEST_PREDICTED_S / max(statistics.median(self.time_factors), 1e-9))

    def split_s(self, audio_s: float) -> float:
        """How long a run on the CPU may take for `audio_s` seconds of audio before it is repeated in two pieces."""
        predicted_s = audio_s * _nearly_all(self.time_factors) if self.time_factors else 0.0
        return max(self.limits.cpu_run_s, SPLIT_FACTOR * predicted_s)


def _nearly_all(values: tuple[float, ...]) -> float:
    """The 99th percentile; with few values, the second highest."""
    return sorted(values)[int(0.99 * (len(values) - 1))]
