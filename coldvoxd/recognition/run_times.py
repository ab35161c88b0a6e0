"""Durations of a recognizer's recent runs, and the time and length limits derived from them.

Theory of operation. Three limits are derived from the most recent completed runs. The hedge limit is a multiple of the
99th percentile: a run that exceeds it is so unusual that the CPU starts on the same utterance. The split limit is a
multiple of the time predicted from the audio's duration: a run on the CPU that exceeds it is repeated in two pieces.
The length limit keeps the predicted time of every utterance within `LONGEST_PREDICTED_S`; it uses the median, so that
single disturbed runs don't change it. Before the first run, each limit has a default.
"""

import math
import statistics
from dataclasses import dataclass, field, replace

HEDGE_FLOOR_S = 0.4
HEDGE_FACTOR = 10.0
"""A run that exceeds this multiple of the 99th percentile is hedged."""
SPLIT_FACTOR = 4.0
"""A run on the CPU that exceeds this multiple of the predicted time is repeated in two pieces."""
LONGEST_PREDICTED_S = 2.5
"""Maximum predicted time, in seconds, of recognizing an utterance on the CPU; it limits the utterance's length."""
LENGTH_FLOOR_S = 8.0
"""Lower bound of the length limit, however slow the CPU is: shorter utterances are recognized less accurately."""
HISTORY = 64
"""Number of most recent runs that count."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Seconds after which native code counts as hanging."""

    accelerator_load_s: float = 120.0
    """Loading an accelerator; shorter than the watchdog's limit for a load."""
    accelerator_run_s: float = 5.0
    """One run on an accelerator; after that its call thread is abandoned."""
    cpu_run_s: float = 5.0
    """Lower bound of the time for a run on the CPU before the utterance is repeated in two pieces."""


STANDARD = RunLimits()


def watchdog_limit_s(duration_s: float) -> float:
    """Return the seconds that recognizing `duration_s` seconds of audio may take while the watchdog is still fed."""
    return max(20.0, 10 * duration_s)


@dataclass(frozen=True, slots=True)
class RunTimes:
    """The most recent completed runs of one recognizer. All durations are in seconds."""

    limits: RunLimits = field(default_factory=RunLimits)
    durations_s: tuple[float, ...] = ()
    """Durations of the runs, oldest first."""
    time_factors: tuple[float, ...] = ()
    """Run time per second of audio, oldest first."""

    def with_run(self, took_s: float, audio_s: float) -> "RunTimes":
        """Return the history after another run, which took `took_s` for `audio_s` seconds of audio."""
        factors = (*self.time_factors, took_s / audio_s) if audio_s > 0 else self.time_factors
        return replace(self, durations_s=(*self.durations_s, took_s)[-HISTORY:], time_factors=factors[-HISTORY:])

    @property
    def hedge_s(self) -> float:
        """Hedge limit: seconds that a run on the accelerator may take before the CPU starts on the same utterance."""
        if not self.durations_s:
            return self.limits.accelerator_run_s / 2
        return min(self.limits.accelerator_run_s, max(HEDGE_FLOOR_S, HEDGE_FACTOR * _percentile_99(self.durations_s)))

    @property
    def longest_s(self) -> float:
        """Length limit: maximum length of an utterance in seconds; infinity before the first run."""
        if not self.time_factors:
            return math.inf
        return max(LENGTH_FLOOR_S, LONGEST_PREDICTED_S / max(statistics.median(self.time_factors), 1e-9))

    def split_s(self, audio_s: float) -> float:
        """Return the split limit: seconds for `audio_s` seconds of audio before the CPU repeats them in two pieces."""
        predicted_s = audio_s * _percentile_99(self.time_factors) if self.time_factors else 0.0
        return max(self.limits.cpu_run_s, SPLIT_FACTOR * predicted_s)


def _percentile_99(values: tuple[float, ...]) -> float:
    """Return the 99th percentile; with few values, the second highest."""
    return sorted(values)[int(0.99 * (len(values) - 1))]
