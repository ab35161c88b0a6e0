"""Quiet speech: whether dictated speech has been too quiet for a long time to be recognized well."""

from collections import deque

from coldvoxd.core.leveling import KNOWN_FRAMES, LIKELY, WINDOW_FRAMES, percentile

TOO_QUIET_DB = -70.0
"""Level of likely speech, as the leveler measures it, below which words are missed: peaks of about -45 dBFS. Measured
on 139 spoken commands: the bundled recognizer misses 0.7 % of the words at peaks of -20 dBFS, 2.6 % at -46, 3.0 % at
-51, 4.8 % at -56."""
FINE_DB = -66.0
"""Level at which the problem ends: peaks of about -41 dBFS."""
LONG_FRAMES = 10 * 16_000 // 512
"""Number of frames of quiet speech before it is a problem: 10 s without pauses."""


class QuietSpeech:
    """Judges the level of the frames of sessions. Has state; use from one thread."""

    def __init__(self) -> None:
        self._levels_db: deque[float] = deque(maxlen=WINDOW_FRAMES)
        self._quiet_frames = 0
        self.holds = False
        """Whether speech has been too quiet for `LONG_FRAMES`, and not loud enough since."""

    def hear(self, probability: float, level_db: float) -> bool:
        """Take a scored frame; `level_db` is its root mean square in dBFS. Returns whether `holds` has changed."""
        if probability < LIKELY:
            return False
        self._levels_db.append(level_db)
        if len(self._levels_db) < KNOWN_FRAMES:
            return False
        before, level = self.holds, percentile(self._levels_db)
        if level >= FINE_DB:
            self._quiet_frames = 0
            self.holds = False
        elif level < TOO_QUIET_DB:
            self._quiet_frames += 1
            self.holds = self.holds or self._quiet_frames >= LONG_FRAMES
        return self.holds != before

    def interrupt(self) -> None:
        """Discard earlier levels: audio was lost, or another microphone is open.

        A problem holds until speech is loud enough.
        """
        self._levels_db.clear()
        self._quiet_frames = 0
