"""Where decoded audio belongs by its timestamps. Pure."""

from dataclasses import dataclass

SHORTEST_GAP_S = 0.1
"""Timestamps may deviate by this many seconds from the counted samples: containers round them, and codecs have delays."""
MOST_GAP_S = 600.0
"""A longer gap is filled only up to the end of the recording according to its header: a damaged timestamp may be any."""


@dataclass(slots=True)
class Timeline:
    """Compares the timestamps of frames with the audio before them, so that times remain those of the whole recording.

    All times are seconds from the beginning of the recording.
    """

    duration_s: float | None
    """Length according to the header; None if unknown."""
    passed_s: float = 0.0
    """Length of the audio and silence so far."""
    _shift_s: float = 0.0
    """Added to a timestamp: `passed_s` minus the timestamps' own time, after a jump that was not filled."""

    def silence_before(self, at_s: float | None) -> float:
        """Return the seconds of silence that are missing before the next frame, whose timestamp is `at_s`.

        0 if the frame follows the audio before it, its timestamp is None, or time jumps backwards or beyond the end.
        """
        if at_s is None:
            return 0.0
        gap_s = at_s + self._shift_s - self.passed_s
        if abs(gap_s) <= SHORTEST_GAP_S:
            return 0.0
        is_plausible = gap_s <= MOST_GAP_S or (self.duration_s is not None and at_s <= self.duration_s)
        if gap_s > 0 and is_plausible:
            return gap_s
        self._shift_s -= gap_s
        return 0.0

    def advance(self, seconds: float) -> None:
        """Count audio, or silence that `silence_before` returned."""
        self.passed_s += seconds
