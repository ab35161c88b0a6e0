"""Listening: the processing of captured audio that does not depend on a running session."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

from coldvoxd.core.audio_values import Frame, Gap, ScoredFrame
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.ports import SpeechDetector
from coldvoxd.core.problems import Problem
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.dictation.channel_selector import ChannelSelector
from coldvoxd.dictation.preroll import PreRoll
from coldvoxd.dictation.quiet_gate import QuietGate
from coldvoxd.dictation.quiet_speech import QuietSpeech

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """Result of processing a captured frame or gap, for the session."""

    item: ScoredFrame | Gap
    again: tuple[ScoredFrame | Gap, ...] = ()
    """The pre-roll on another channel that was chosen now, to be processed again before `item`; usually empty."""
    is_level_problem_changed: bool = False
    """Whether dictated speech has become too quiet, or loud enough again."""


class Listening:
    """Chooses the channel, scores frames, and keeps the last seconds for the pre-roll of a session. Event loop only.

    Frames that a session has used are not used again: the next session starts after them.
    """

    def __init__(
        self,
        detector: SpeechDetector,
        channels: ChannelSelector,
        metrics: Metrics,
        endpoint: EndpointSettings,
        pre_roll_ms: int,
    ) -> None:
        self.endpoint = endpoint
        """Settings for the next session."""
        self.busy_until_s = -math.inf
        """Loop time at which speech was last detected, or a session ended."""
        self._gate = QuietGate(detector)
        self._channels = channels
        self._quiet_speech = QuietSpeech()
        self._metrics = metrics
        self._pre_roll = PreRoll(endpoint, pre_roll_ms)
        self._session_end_sample = 0
        """End of the audio that earlier sessions have used."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return (Problem.MICROPHONE_QUIET,) if self._quiet_speech.holds else ()

    @property
    def pre_roll(self) -> tuple[ScoredFrame | Gap, ...]:
        """The last frames and gaps, in order."""
        return tuple(self._pre_roll)

    def use_settings(self, endpoint: EndpointSettings, pre_roll_ms: int) -> None:
        """Use settings from the next session on."""
        self.endpoint = endpoint
        self._pre_roll.use_settings(endpoint, pre_roll_ms)

    def floor_of(self, start_sample: int) -> int:
        """Return the earliest sample that may belong to a session that starts at `start_sample`."""
        return max(self._session_end_sample, self._pre_roll.reach_back(start_sample))

    def end_session(self, end_sample: int) -> None:
        """Record the end of a session that has used the audio up to `end_sample`."""
        self._session_end_sample = max(self._session_end_sample, end_sample)
        self.busy_until_s = asyncio.get_running_loop().time()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep a longer pre-roll inside the context: a call of `start` has arrived and cannot be served yet."""
        with self._pre_roll.held():
            yield

    def forget(self) -> None:
        """Discard the pre-roll: no later session may use this audio."""
        self._pre_roll.clear()

    def microphone_changed(self) -> None:
        """Discard the levels of the previous microphone."""
        self._channels.reset()
        self._quiet_speech.interrupt()

    def hear(self, item: Frame | Gap, *, in_session: bool, utterance_open: bool) -> Heard:
        """Score a frame or handle a gap, and add it to the pre-roll. An open utterance keeps its channel."""
        if isinstance(item, Gap):
            self._metrics.gap(item.reason)
            self._gate.reset()
            self._channels.reset()
            self._quiet_speech.interrupt()
            self._pre_roll.append(item)
            return Heard(item)
        again = self._score_again() if self._channels.note(item, held=utterance_open) else ()
        scored = self._gate.score(self._channels.heard(item), at_rest=not in_session)
        if scored.speech_probability >= self.endpoint.threshold:
            self.busy_until_s = asyncio.get_running_loop().time()
        changed = in_session and self._quiet_speech.hear(scored.speech_probability, scored.level_db)
        if changed:
            log.info("speech %s", "is very quiet" if self._quiet_speech.holds else "is loud enough again")
        self._pre_roll.append(scored)
        return Heard(scored, again, changed)

    def _score_again(self) -> tuple[ScoredFrame | Gap, ...]:
        """Replace the pre-roll with the same audio on the chosen channel, so that no first word is lost."""
        self._gate.reset()
        again: list[ScoredFrame | Gap] = []
        for item in self._pre_roll:
            if isinstance(item, Gap):
                self._gate.reset()
                again.append(item)
            else:
                again.append(self._gate.score(self._channels.heard_again(item.frame), at_rest=False))
        self._pre_roll.replace(again)
        return tuple(again)
