"""Leveling: the gain before the voice activity detector, with which it detects a quiet voice as well as a loud one.

Theory of operation. Silero reports speech less and less often below peaks of -40 dBFS, while it does not classify
amplified room noise as speech: measured up to 30 dB, with every kind of noise in tests/support/sound/noise.py. A
leveler therefore begins at `START_GAIN_DB`, at which quiet speech is detected from its first sound. Frames that the
detector then classifies as speech are measured; once there are enough, the gain brings the lower third of their levels
to `TARGET_DB`, between `MIN_GAIN_DB` and `MAX_GAIN_DB`. Only likely speech is measured, so noise never changes the
gain. No frame is amplified beyond `PEAK_LIMIT`, so that a click does not become louder.

The gain is constant within a frame and the context before it, so the detector's input never contains a step. From
frame to frame it changes by at most `RAMP_DB`, less than the level changes between syllables. Only the limit of a loud
frame acts immediately, on that frame. The recognizer's audio is not changed. contrib/docs/performance.md has the
measurements.
"""

import math
from collections import deque

START_GAIN_DB = 30.0
"""Gain while the level of speech is unknown. At peaks of -51 dBFS, 47 spoken commands lost 33 % of their words at a
constant 0 dB, 11 % at 12 dB, 6 % at 24 dB, 5 % at 30 dB and 36 dB; at peaks of -20 dBFS, between 1 % and 2 % at each
of these gains."""
MIN_GAIN_DB, MAX_GAIN_DB = 18.0, 36.0
"""Bounds of the gain. Even after the loudest speech, quiet speech must be clear enough to count as speech, or the gain
would not rise again. Of a voice at -51 dBFS that followed a loud one after 0.7 s, nothing was detected with a lower
bound of 0 dB and a hold of 30 s, 5.9 s of 7.2 s with 12 dB and 3 s, 6.9 s with 18 dB and 1.5 s."""
LIKELY = 0.5
"""Speech probability from which a frame's level counts as a level of speech: dictation's default threshold."""
WINDOW_FRAMES = 64
"""Number of the latest frames of likely speech, 2 s in total, whose levels determine the gain."""
KNOWN_FRAMES = 16
"""Number of frames of likely speech, 0.5 s, from which the level counts as known: a cough or a click has fewer."""
SHARE = 0.3
"""Percentile of the levels, as a fraction. Low, so that 0.6 s of a quieter voice raise the gain, while a shout must
last 1.4 s to lower it."""
TARGET_DB = -45.0
"""Target of that percentile, in dBFS of the frame's root mean square: its value in speech with peaks of -20 dBFS
(-44.7 dBFS on average of 47 commands, with a standard deviation of 3 dB)."""
PEAK_LIMIT = 0.5
"""Maximum absolute sample of a frame after amplification; full scale is 1."""
RAMP_DB = 1.0
"""Maximum change of the gain from one frame to the next: from one bound to the other in 0.6 s."""
HOLD_FRAMES = 2 * 16_000 // 512
"""After 2 s without likely speech the level is discarded: another person may speak next, or the same person at another
level."""


class Leveler:
    """Adapts the gain: call `gain` before each frame is scored, and `heard` afterwards. Stateful; one thread."""

    def __init__(self) -> None:
        self._levels_db: deque[float] = deque(maxlen=WINDOW_FRAMES)
        self._frames_without = 0
        self._target_gain_db = self._gain_db = START_GAIN_DB

    @property
    def gain_db(self) -> float:
        """The gain of a frame that stays below `PEAK_LIMIT`."""
        return self._gain_db

    def gain(self, peak: float) -> float:
        """Return the factor for a frame, at least 1. `peak` is its maximum absolute sample, 0..1, context included."""
        factor: float = 10 ** (self._gain_db / 20)
        return factor if peak * factor <= PEAK_LIMIT else max(1.0, PEAK_LIMIT / peak)

    def heard(self, probability: float, level_db: float) -> None:
        """Record a scored frame. `level_db` is its root mean square in dBFS before amplification."""
        if probability >= LIKELY:
            self._frames_without = 0
            self._levels_db.append(level_db)
            if len(self._levels_db) >= KNOWN_FRAMES:
                self._target_gain_db = min(max(TARGET_DB - percentile(self._levels_db), MIN_GAIN_DB), MAX_GAIN_DB)
        else:
            self._frames_without += 1
            if self._frames_without == HOLD_FRAMES:
                self._levels_db.clear()
                self._target_gain_db = START_GAIN_DB
        self._gain_db += min(max(self._target_gain_db - self._gain_db, -RAMP_DB), RAMP_DB)

    def forget(self) -> None:
        """Return to the initial state."""
        self._levels_db.clear()
        self._frames_without = 0
        self._target_gain_db = self._gain_db = START_GAIN_DB


def percentile(levels_db: "deque[float]") -> float:
    """Return the level in dBFS below which `SHARE` of the levels lie. There must be at least one level."""
    return sorted(levels_db)[math.floor(SHARE * len(levels_db))]
