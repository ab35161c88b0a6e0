"""A gate before the voice activity detector: a room that goes on as it was is not scored frame by frame.

While nobody dictates, most of what a microphone hears is the same quiet for hours. Once the detector has found nothing in it for ten
seconds, frames just as loud as that quiet are not shown to it. The first one that is louder, or quieter, is, after the last frames
before it, so that the detector's memory is what it would be. Exact silence, as of a muted microphone, stays in that memory for longer:
it does not count as quiet, and is always scored.

The detector adapts to the level of speech during a session only. At rest its gain is constant: frames that are shown to it late get
the gain that they would have had, and each session begins the same, whatever was heard before it.
"""

from collections import deque
from statistics import median

import numpy as np
import numpy.typing as npt

from coldvoxd.core.levels import LOWEST_DB, level_db
from coldvoxd.core.ports import SpeechDetector

NOTHING = 0.05
"""Speech probability under which a frame counts as quiet: a tenth of the usual threshold."""
SETTLED_FRAMES = 312
"""10 s of quiet in a row, before the gate closes: what the detector remembers of speech is gone by then."""
LOUDER_DB, QUIETER_DB = 1.5, 3.0
"""A frame so far above or below the middle level of the quiet is scored. Levels of 32 ms of white noise lie within 1 dB of it."""
SHOWN_AGAIN = 94
"""So many frames, 3 s, are shown to the detector before the one that opens the gate: after 0.5 s a frame in five hundred is still
decided otherwise, after 2 s no score above 0.3 differs by 0.001."""
LEVELS = 64
"""Scored quiet frames whose levels are known: 2 s."""


class QuietGate:
    """Scores frames by a detector, or knows that it need not. Has memory; one thread."""

    def __init__(self, detector: SpeechDetector) -> None:
        self._detector = detector
        self._levels: deque[float] = deque(maxlen=LEVELS)
        self._unseen: deque[npt.NDArray[np.int16]] = deque(maxlen=SHOWN_AGAIN)
        self._quiet_frames = 0
        self._middle_db = 0.0
        self._probability = 0.0
        detector.follow_level(False)
        self.passed_over = 0
        """Frames that were not scored when they came."""

    def score(self, samples: npt.NDArray[np.int16], *, at_rest: bool) -> float:
        """Speech probability 0..1 of int16 (512,); where the gate is closed, of the quiet before it. Raises InputFault.

        Closed only `at_rest`, while nobody dictates.
        """
        if at_rest and self._quiet_frames >= SETTLED_FRAMES and self._is_the_same(level_db(samples)):
            self._unseen.append(samples)
            self.passed_over += 1
            return self._probability
        while self._unseen:
            self._see(self._unseen.popleft())
        self._detector.follow_level(not at_rest)
        return self._see(samples)

    def reset(self) -> None:
        """Audio was lost: what comes is not what went on."""
        self._detector.reset()
        self._unseen.clear()
        self._levels.clear()
        self._quiet_frames = 0

    def _see(self, samples: npt.NDArray[np.int16]) -> float:
        probability = self._detector.score(samples)
        level = level_db(samples)
        if level <= LOWEST_DB or probability >= NOTHING:
            self._quiet_frames = 0
            self._levels.clear()
        else:
            self._quiet_frames += 1
            self._levels.append(level)
            self._middle_db = median(self._levels)
        self._probability = probability
        return probability

    def _is_the_same(self, level: float) -> bool:
        """Exact silence never is: the detector's memory is much longer in it."""
        return level > LOWEST_DB and self._middle_db - QUIETER_DB <= level <= self._middle_db + LOUDER_DB
