"""The sample clock: which sample was spoken at which moment, and how much audio is missing."""

from coldvoxd.core.values import SAMPLE_RATE

LOST_S = 0.3
"""Audio that stays behind the clock by more than this is lost rather than late."""
PERSIST_S = 1.0
"""Seconds for which audio must stay behind the clock to count as lost: a burst that was only late has caught up by
then."""
WINDOW_S = 10.0
"""Seconds for which the earliest arrival is the anchor: clocks that drift by 200 ppm differ by 2 ms after that time."""


class SampleClock:
    """Anchors the sample count to the monotonic clock.

    The lag of a chunk is the moment at which its last sample was spoken (arrival less the device's latency) minus
    its place in the count, in seconds. A chunk may arrive late but never early, so the smallest lag of the last 10 to
    20 s is the anchor: sample n was spoken at `anchor + n / 16000`. A lag that stays above the anchor is lost audio.
    """

    def __init__(self) -> None:
        self._anchor_s: float | None = None
        self._window_min_s = 0.0
        self._window_end_s = 0.0
        self._behind_since_s: float | None = None
        self._behind_min_s = 0.0

    def sample_at(self, moment_s: float) -> int:
        """Return the count of the sample spoken at that monotonic time, even before it arrives; 0 before all audio."""
        if self._anchor_s is None:
            return 0
        return max(0, round((moment_s - self._anchor_s) * SAMPLE_RATE))

    def missing_at_reopening(self, spoken_s: float, next_sample: int) -> int:
        """Return the samples missed before a stream whose first sample was spoken at `spoken_s`; restart the window.

        The anchor stays, so the count continues as if the microphone had been open. If the new stream's latency is so
        much shorter that the difference would be negative, nothing is missing.
        """
        if self._anchor_s is None:
            self._start_window(spoken_s - next_sample / SAMPLE_RATE, spoken_s)
            return 0
        missing = max(0, round((spoken_s - self._anchor_s) * SAMPLE_RATE) - next_sample)
        self._start_window(spoken_s - (next_sample + missing) / SAMPLE_RATE, spoken_s)
        return missing

    def join(self, now_s: float) -> None:
        """Continue with another stream, whose samples are placed by this clock, and restart the window."""
        if self._anchor_s is not None:
            self._start_window(self._anchor_s, now_s)

    def behind(self, spoken_s: float, end_sample: int) -> int:
        """Return by how many samples a chunk is behind: lost if the device reports it, otherwise possibly late."""
        if self._anchor_s is None:
            return 0
        return max(0, round((spoken_s - self._anchor_s) * SAMPLE_RATE) - end_sample)

    def arrived(self, spoken_s: float, end_sample: int) -> int:
        """Record a chunk whose last sample was spoken at `spoken_s`; return the samples lost before it, usually 0."""
        lag_s = spoken_s - end_sample / SAMPLE_RATE
        if self._anchor_s is None:
            self._start_window(lag_s, spoken_s)
            return 0
        lost = self._lost(lag_s - self._anchor_s, spoken_s)
        lag_s -= lost / SAMPLE_RATE
        self._anchor_s = min(self._anchor_s, lag_s)
        self._window_min_s = min(self._window_min_s, lag_s)
        if spoken_s >= self._window_end_s:
            self._start_window(self._window_min_s, spoken_s)
            self._window_min_s = lag_s
        return lost

    def _lost(self, behind_s: float, spoken_s: float) -> int:
        if behind_s <= LOST_S:
            self._behind_since_s = None
            return 0
        if self._behind_since_s is None:
            self._behind_since_s, self._behind_min_s = spoken_s, behind_s
            return 0
        self._behind_min_s = min(self._behind_min_s, behind_s)
        if spoken_s - self._behind_since_s < PERSIST_S:
            return 0
        self._behind_since_s = None
        return round(self._behind_min_s * SAMPLE_RATE)

    def _start_window(self, anchor_s: float, now_s: float) -> None:
        self._anchor_s = anchor_s
        self._window_min_s = anchor_s
        self._window_end_s = now_s + WINDOW_S
        self._behind_since_s = None
