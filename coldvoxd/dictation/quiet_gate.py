"""A gate in front of the voice activity detector: unchanged background noise is not scored frame by frame.

While no session runs, most of what a microphone picks up is the same background noise for hours. Once the detector has found
no speech in it for ten seconds, frames at the level of that noise are withheld from the detector. The first louder or quieter
frame is scored, after the last frames before it, so that the detector's memory is what it would have been. Exact silence, as
of a muted microphone, affects that memory for longer: it does not count as background noise and is always scored.

The detector adapts to the level of speech during a session only. Between sessions its gain is constant: frames that are scored
late get the gain that they would have had, and each session begins with the same gain.
"""

from collections import deque
from statistics import median

from coldvoxd.core.levels import LOWEST_DB, level_db
from coldvoxd.core.ports import SpeechDetector
from coldvoxd.core.values import Frame, ScoredFrame

NO_SPEECH_PROBABILITY = 0.05
"""Speech probability under which a frame counts as background noise: a tenth of the usual threshold."""
SETTLED_FRAMES = 312
"""Consecutive frames of background noise before the gate closes: 10 s. The detector has forgotten earlier speech by then."""
LOUDER_DB, QUIETER_DB = 1.5, 3.0
"""A frame this far above or below the median level of the noise is scored. Levels of 32 ms of white noise stay within 1 dB."""
REPLAYED_FRAMES = 94
"""Withheld frames, 3 s, that are scored before the one that opens the gate. Measured: after 0.5 s of them one frame in 500 is
still decided differently; after 2 s no score above 0.3 differs by 0.001."""
LEVELS = 64
"""Scored frames of noise whose levels give the median: 2 s."""


class QuietGate:
    """Scores frames with a detector, or takes its last score where that is enough. Has memory; use from one thread."""

    def __init__(self, detector: SpeechDetector) -> None:
        self._detector = detector
        self._levels_db: deque[float] = deque(maxlen=LEVELS)
        self._withheld: deque[ScoredFrame] = deque(maxlen=REPLAYED_FRAMES)
        self._quiet_frames = 0
        self._median_db = 0.0
        self._probability = 0.0
        detector.follow_level(False)
        self.passed_over = 0
        """Frames that were not scored when they came."""

    def score(self, frame: Frame, *, at_rest: bool) -> ScoredFrame:
        """The frame with its level and its speech probability, which is that of the noise before it while the gate is closed.

        The gate closes only `at_rest`, while no session runs. Raises InputFault.
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
        """Forget everything: audio was lost, or another channel is heard."""
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
        """Whether a level is that of the noise. Exact silence never is: it affects the detector's memory for much longer."""
        return level > LOWEST_DB and self._median_db - QUIETER_DB <= level <= self._median_db + LOUDER_DB
