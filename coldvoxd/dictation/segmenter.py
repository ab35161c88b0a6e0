"""Segmenter: turns the frames of a session into utterances.

Each call takes captured audio and returns the resulting events in order. The segmenter writes the audio part of the
journal itself, in the order that a replay needs: the next input of the endpointer, then the cut, then what may be
discarded. So a caller may handle the events at any pace, and may call the segmenter again while handling them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from coldvoxd.core import endpointing
from coldvoxd.core.audio_values import Frame, Gap, ScoredFrame
from coldvoxd.core.endpoint_effects import Cut, Dropped, Paused, Resumed, SpeechBegan, SpeechEnded, audio_span
from coldvoxd.core.endpointing import EndpointState, Finish, Lost, Phase, Scored
from coldvoxd.core.framing import joined
from coldvoxd.core.languages import AUTO
from coldvoxd.core.metrics import Count
from coldvoxd.core.speech_spans import speech_spans, still_speech
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import EndReason, Overlap, Utterance, samples_in
from coldvoxd.dictation.early_features import EarlyFeatures
from coldvoxd.dictation.sinks import Sinks

log = logging.getLogger(__name__)

LEVEL_EVERY_FRAMES = 3
"""The level of every third frame is published: one level per 96 ms."""


@dataclass(frozen=True, slots=True)
class UtterancePaused:
    """Speech paused. If no more follows, an `UtteranceCut` with the same number and samples comes next."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class UtteranceCut:
    """An utterance is complete."""

    utterance: Utterance
    decided_s: float
    """Loop time at which it was cut."""
    speech_continues: bool
    """Whether it was cut because of its length, so that the next utterance is already open."""


@dataclass(frozen=True, slots=True)
class FrameHeard:
    """A frame was processed; always the last event of its call."""

    is_first_after_call: bool
    """Whether the frame is the first to extend past the time of the call that started the session."""
    level_db: float | None
    """Level of the frame in dBFS if it is to be published."""


SegmenterEvent = SpeechBegan | SpeechEnded | UtterancePaused | Resumed | UtteranceCut | FrameHeard


class Segmenter:
    """Runs the endpointer of one session, and keeps the audio that an utterance may still need. Event loop only."""

    def __init__(
        self,
        session: SpooledSession,
        floor_sample: int,
        sinks: Sinks,
        *,
        numbers: Iterator[int],
        features_size: Callable[[], int],
    ) -> None:
        """`floor_sample` is the earliest sample of any utterance. `numbers` yields utterance numbers.

        `features_size` is as in EarlyFeatures.
        """
        self.session = session
        self.endpoint = EndpointState(floor_sample)
        self.fed_sample = 0
        """End of the last frame passed to the endpointer."""
        self.speech_samples = 0
        """Samples of speech in the session's utterances, and in speech that was dropped as too short for one."""
        self.finished = False
        """Whether further audio is ignored."""
        self._audio: deque[Frame] = deque()
        self._speech: deque[tuple[int, int, bool]] = deque()
        """First sample and end of each frame in `_audio`, and whether it is speech."""
        self._sinks = sinks
        self._numbers = numbers
        self._early = EarlyFeatures(features_size)
        self._next_number: int | None = None
        """Number of the open utterance, from its first pause or partial transcript on."""
        self._frames = 0

    @property
    def utterance_open(self) -> bool:
        """Whether the endpointer has confirmed the start of speech, but not its end."""
        return self.endpoint.phase not in {Phase.SILENCE, Phase.ONSET}

    @property
    def is_speech_possible(self) -> bool:
        """Whether the latest audio is speech, or may turn out to be."""
        return self.endpoint.phase is not Phase.SILENCE

    @property
    def held_frames(self) -> int:
        """Number of frames of audio that are kept."""
        return len(self._audio)

    @property
    def is_speaking(self) -> bool:
        """Whether the latest audio belongs to an open utterance that has enough speech to be recognized in any case."""
        endpoint = self.endpoint
        least_samples = samples_in(self.session.endpoint.min_speech_ms)
        return endpoint.phase is Phase.SPEECH and endpoint.speech_samples >= least_samples

    def utterance_so_far(self) -> Utterance:
        """Return the open utterance up to now, under the number that it will have. Call only while `is_speaking`.

        It does not say where its speech is, so that no holes are looked for.
        """
        endpoint = self.endpoint
        so_far = Paused(endpoint.start_sample, self.fed_sample, 0, (endpoint.overlap_samples, 0))
        return replace(self._utterance(so_far, EndReason.STOP), speech=())

    def begin(self) -> None:
        """Write the start of the session to the journal."""
        self._sinks.journal.begin(self.session, self.endpoint)

    def hear(self, item: ScoredFrame | Gap) -> tuple[SegmenterEvent, ...]:
        """Process a frame or a gap.

        Frames before the floor or out of order are ignored, and all audio once the segmenter is finished.
        """
        was_before_call = self.fed_sample <= self.session.start_sample
        events = self._take(item)
        if events is None or isinstance(item, Gap):
            return tuple(events or ())
        self._frames += 1
        level_db = item.level_db if self._frames % LEVEL_EVERY_FRAMES == 0 else None
        return (*events, FrameHeard(was_before_call and self.session.start_sample < self.fed_sample, level_db))

    def rewind(self, items: Sequence[ScoredFrame | Gap]) -> bool:
        """Discard the latest audio. `items` is the same audio on another channel, to be passed to `hear_again`.

        Call only while no utterance is open. Returns False if there is nothing to process again.
        """
        frames = [item.frame for item in items if isinstance(item, ScoredFrame)]
        if self.finished or not frames:
            return False
        first_sample = max(frames[0].start_sample, self.endpoint.floor_sample)
        while self._audio and self._audio[-1].end_sample > first_sample:
            self._audio.pop()
            self._speech.pop()
        self.fed_sample = min(self.fed_sample, frames[0].start_sample)
        self.endpoint = replace(self.endpoint, phase=Phase.SILENCE, speech_samples=0)
        self._sinks.journal.rewind(self.session.id, self.endpoint, self._audio)
        return True

    def hear_again(self, item: ScoredFrame | Gap) -> tuple[SegmenterEvent, ...]:
        """Process a frame or a gap after `rewind`. Returns no `FrameHeard`, because the frame was reported before."""
        return tuple(self._take(item) or ())

    def interrupt(self) -> tuple[SegmenterEvent, ...]:
        """End the open utterance, because the microphone was lost."""
        return self._step(Lost(self.fed_sample, self.fed_sample))

    def finish(self) -> tuple[SegmenterEvent, ...]:
        """Ignore further audio, and end the open utterance."""
        self.finished = True
        return self._step(Finish(self.fed_sample))

    def close(self) -> None:
        """Ignore further audio, and discard the kept audio."""
        self.finished = True
        self._audio.clear()
        self._speech.clear()

    def _take(self, item: ScoredFrame | Gap) -> tuple[SegmenterEvent, ...] | None:
        """Process a frame or a gap, and return its events; None if it was ignored."""
        if self.finished:
            return None
        if isinstance(item, Gap):
            if item.start_sample < self.endpoint.floor_sample:
                return None
            return self._step(Lost(item.start_sample, item.start_sample + item.samples))
        frame = item.frame
        if frame.end_sample <= self.endpoint.floor_sample:
            return None
        if frame.start_sample < self.fed_sample:
            self._sinks.metrics.count(Count.FRAMES_DROPPED)
            log.debug("session %d: a frame came out of order, at sample %d", self.session.id, frame.start_sample)
            return None
        self._audio.append(frame)
        is_speech = item.speech_probability >= still_speech(self.session.endpoint.threshold)
        self._speech.append((frame.start_sample, frame.end_sample, is_speech))
        self.fed_sample = frame.end_sample
        events = self._step(Scored(frame.start_sample, frame.end_sample, item.speech_probability, item.level_db))
        self._early.update(self.endpoint, self._audio, self.fed_sample)
        self._forget_old_audio()
        return events

    def _step(self, event: endpointing.Event) -> tuple[SegmenterEvent, ...]:
        """Pass an event to the endpointer, and return the resulting events."""
        self._sinks.journal.heard(self.session.id, event, self._audio[-1] if isinstance(event, Scored) else None)
        self.endpoint, effects = endpointing.step(self.endpoint, event, self.session.endpoint)
        events: list[SegmenterEvent] = []
        for effect in effects:
            match effect:
                case SpeechBegan() | SpeechEnded() | Resumed():
                    events.append(effect)
                case Paused():
                    events.append(UtterancePaused(self._utterance(effect, EndReason.ENDPOINT)))
                case Dropped():
                    self.speech_samples += effect.speech_samples
                    self._sinks.metrics.count(Count.SHORT_SPEECH)
                    log.debug(
                        "session %d: %d samples of speech discarded as noise", self.session.id, effect.speech_samples
                    )
                case Cut():
                    events.append(self._cut(effect))
        return tuple(events)

    def _cut(self, cut: Cut) -> UtteranceCut:
        self.speech_samples += cut.speech_samples
        utterance = self._utterance(cut, cut.reason)
        self._next_number = None
        decided_s = asyncio.get_running_loop().time()
        self._sinks.journal.cut(utterance, decided_s, self.endpoint, self._audio)
        return UtteranceCut(utterance, decided_s, speech_continues=self.endpoint.phase is not Phase.SILENCE)

    def _utterance(self, cut: Cut | Paused, reason: EndReason) -> Utterance:
        if self._next_number is None:
            self._next_number = next(self._numbers)
        first_sample, end_sample = audio_span(cut)
        return Utterance(
            id=self._next_number,
            session_id=self.session.id,
            start_sample=first_sample,
            early=self._early.of(first_sample),
            samples=joined(self._audio, first_sample, end_sample),
            end_reason=reason,
            speech_samples=cut.speech_samples,
            speech=speech_spans(self._speech, first_sample, end_sample),
            language=self.session.options.language or AUTO,
            overlap=Overlap(*cut.overlap),
        )

    def _forget_old_audio(self) -> None:
        """Discard frames that no utterance can reach back to."""
        keep = self.endpoint.keep_from_sample
        if self.endpoint.phase is Phase.SILENCE:
            lead = samples_in(self.session.endpoint.lead_ms)
            keep = max(keep, self.fed_sample - lead - 2 * len(self._audio[-1].samples))
        while self._audio and self._audio[0].end_sample <= keep:
            self._audio.popleft()
            self._speech.popleft()
        self._sinks.journal.forget(self.session.id, self.endpoint, self._audio)
