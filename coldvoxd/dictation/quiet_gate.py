"""A gate in front of the voice activity detector: unchanged background noise is not scored frame by frame.

Between sessions, a microphone mostly picks up the same background noise for hours. Once the detector has found no
speech in it for ten seconds, frames at the level of that noise are withheld from the detector. The first louder or
quieter frame is scored after the last withheld frames, so that the detector's state is the same as without the gate.
Exact silence, as of a muted microphone, affects that state for longer: it does not count as background noise and is
always scored.

The detector adapts to the level of speech only during a session. Between sessions its gain is constant: frames that are
scored late get the gain that they would have had, and each session starts with the same gain.
"""

from collections import deque
from statistics import median

from coldvoxd.core.audio_values import Frame, ScoredFrame
from coldvoxd.core.levels import LOWEST_DB, level_db
from coldvoxd.core.ports import SpeechDetector

NO_SPEECH_PROBABILITY = 0.15
"""Speech probability below which a frame counts as background noise: under a third of the usual threshold."""
SETTLED_FRAMES = 312
"""Consecutive frames of background noise before the gate closes: 10 s. Earlier speech has no effect after that."""
LOUDER_DB, QUIETER_DB = 1.5, 3.0
"""A frame this far above or below the median noise level is scored. Levels of 32 ms of white noise stay within 1 dB."""
REPLAYED_FRAMES = 94
"""Withheld frames, 3 s, that are scored before the frame that opens the gate. Measured: after 0.5 s of them one frame
in 500 is still classified differently; after 2 s no score above 0.3 differs by 0.001."""
LEVELS = 64
"""Number of scored noise frames whose levels give the median: 2 s."""


class QuietGate:
    """Scores frames with a detector, or reuses its last score if that is enough. Has state; use from one thread."""

    def __init__(self, detector: SpeechDetector) -> None:
        self._detector = detector
        self._levels_db: deque[float] = deque(maxlen=LEVELS)
        self._withheld: deque[ScoredFrame] = deque(maxlen=REPLAYED_FRAMES)
        self._quiet_frames = 0
        self._median_db = 0.0
        self._probability = 0.0
        detector.follow_level(False)
        self.passed_over = 0
        """Number of frames that were not scored when they arrived."""

    def score(self, frame: Frame, *, at_rest: bool) -> ScoredFrame:
        """Return the frame with its level and its speech probability. Raises InputFault.

        While the gate is closed, the probability is that of the preceding noise. The gate closes only `at_rest`, while
        no session runs.
        """
        level = level_db(frame.samples)
        if at_rest and self._quiet_frames >= SETTLED_FRAMES and self._is_unchanged(level):
            withheld = ScoredFrame(frame, self._probability, level)
            self._withheld.append(withheld)
            self.passed_over += 1
            return withheld
        while self._withheld:
            earlier = self._withheld.popleft()
            self._run_detector(earlier.frame, earlier.level_db)
        self._detector.follow_level(not at_rest)
        return ScoredFrame(frame, self._run_detector(frame, level), level)

    def reset(self) -> None:
        """Discard all state: audio was lost, or another channel is used."""
        self._detector.reset()
        self._withheld.clear()
        self._levels_db.clear()
        self._quiet_frames = 0

    def _run_detector(self, frame: Frame, level: float) -> float:
        probability = self._detector.score(frame.samples)
        if level <= LOWEST_DB or probability >= NO_SPEECH_PROBABILITY:
            self._quiet_frames = 0
            self._levels_db.clear()
        else:
            self._quiet_frames += 1
            self._levels_db.append(level)
            self._median_db = median(self._levels_db)
        self._probability = probability
        return probability

    def _is_unchanged(self, level: float) -> bool:
        """Return whether a level is that of the noise. False for exact silence, which affects the detector longer."""
        return level > LOWEST_DB and self._median_db - QUIETER_DB <= level <= self._median_db + LOUDER_DB
