"""Hearing: how a session's frames become utterances."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from coldvoxd.core import endpointing
from coldvoxd.core.endpointing import Cut, Dropped, Finish, Lost, Paused, Resumed, Scored, SpeechBegan, SpeechEnded
from coldvoxd.core.features import BLOCK_SAMPLES, EarlyColumns
from coldvoxd.core.framing import joined
from coldvoxd.core.metrics import Count
from coldvoxd.core.values import EndReason, Gap, ScoredFrame, Utterance, samples_in
from coldvoxd.dictation.session import Session
from coldvoxd.dictation.sinks import Sinks

log = logging.getLogger(__name__)

LEVEL_EVERY_FRAMES = 3
"""One level in 96 ms: about ten a second."""


class SegmenterListener(Protocol):
    """Who makes something of what a session hears."""

    @property
    def features_size(self) -> int:
        """Mel bins that the recognizer takes; 0 where that isn't known."""
        ...

    def next_utterance(self) -> int:
        """A number that no other utterance has."""
        ...

    def on_utterance(self, session: Session, utterance: Utterance) -> None:
        """It is complete."""
        ...

    def on_pause(self, session: Session, utterance: Utterance) -> None:
        """If no more is said, that is the utterance: one with the same number and samples will then be told as complete."""
        ...

    def on_resumed(self) -> None:
        """More is said."""
        ...

    def on_endpoint(self, session: Session) -> None:
        """What was said has come to an end by itself."""
        ...

    def on_frame(self, session: Session, first_after_call: bool, level_db: float | None) -> None:
        """A frame was heard; with its level where that is to be told."""
        ...


class Segmenter:
    """Runs a session's endpointer, and keeps the audio that it may still ask for. Event loop only."""

    def __init__(self, hearer: SegmenterListener, outlets: Sinks) -> None:
        self._hearer = hearer
        self._outlets = outlets
        self._next_number: int | None = None
        """Of the utterance that is open, once it was told of."""
        self._early: EarlyColumns | None = None
        self._early_start_sample = 0
        """Of the utterance that is open, or was last."""

    def begin(self) -> None:
        """A session begins: nothing of the one before is left, however that ended."""
        self._next_number = self._early = None

    def hear(self, session: Session, item: ScoredFrame | Gap) -> None:
        """A frame or a gap, unless the session hears no more."""
        first_after_call = session.fed_sample <= session.start_sample
        loudness_db = self._hear(session, item)
        if loudness_db is None:
            return
        session.frames += 1
        told = session.frames % LEVEL_EVERY_FRAMES == 0
        first_after_call = first_after_call and session.start_sample < session.fed_sample
        self._hearer.on_frame(session, first_after_call, loudness_db if told else None)

    def _hear(self, session: Session, item: ScoredFrame | Gap) -> float | None:
        """The level of a frame that was heard, in dBFS; None where nothing was."""
        if session.flushed:
            return None
        if isinstance(item, Gap):
            if item.start_sample >= session.endpoint.floor_sample:
                self._step(session, Lost(item.start_sample, item.start_sample + item.samples))
            return None
        frame = item.frame
        if frame.end_sample <= session.endpoint.floor_sample:
            return None
        if frame.start_sample < session.fed_sample:
            self._outlets.metrics.count(Count.FRAMES_DROPPED)
            log.debug("session %d: a frame came out of order, at sample %d", session.id, frame.start_sample)
            return None
        session.audio.append(frame)
        session.fed_sample = frame.end_sample
        self._step(session, Scored(frame.start_sample, frame.end_sample, item.speech_probability, item.level_db))
        self._compute_early(session)
        self._forget_old_audio(session)
        return item.level_db

    def hear_again(self, session: Session, items: Sequence[ScoredFrame | Gap]) -> None:
        """What was heard last, as it sounds on another channel. Only while no utterance is open."""
        frames = [item.frame for item in items if isinstance(item, ScoredFrame)]
        if session.flushed or not frames:
            return
        first_sample = max(frames[0].start_sample, session.endpoint.floor_sample)
        while session.audio and session.audio[-1].end_sample > first_sample:
            session.audio.pop()
        session.fed_sample = min(session.fed_sample, frames[0].start_sample)
        session.endpoint = replace(session.endpoint, phase=endpointing.Phase.SILENCE, speech_samples=0)
        self._outlets.journal.rewind(session.id, session.endpoint, session.audio)
        for item in items:
            self._hear(session, item)

    def interrupt(self, session: Session) -> None:
        """The microphone is away: close what is open."""
        self._step(session, Lost(session.fed_sample, session.fed_sample))

    def finish(self, session: Session) -> None:
        """The session hears no more: close what is open."""
        session.flushed = True
        self._step(session, Finish(session.fed_sample))

    def _step(self, session: Session, event: endpointing.Event) -> None:
        self._outlets.journal.heard(session.id, event, session.audio[-1] if isinstance(event, Scored) else None)
        session.endpoint, effects = endpointing.step(session.endpoint, event, session.endpoint_settings)
        for effect in effects:
            match effect:
                case SpeechBegan():
                    self._outlets.announcer.speech_started(session.id)
                case SpeechEnded():
                    self._outlets.announcer.speech_ended(session.id)
                case Dropped():
                    session.speech_samples += effect.speech_samples
                    self._outlets.metrics.count(Count.SHORT_SPEECH)
                    log.debug("session %d: %d samples of speech dropped as noise", session.id, effect.speech_samples)
                case Paused():
                    self._hearer.on_pause(session, self._utterance(session, effect, EndReason.ENDPOINT))
                case Resumed():
                    self._hearer.on_resumed()
                case Cut():
                    session.speech_samples += effect.speech_samples
                    utterance = self._utterance(session, effect, effect.reason)
                    self._next_number = None
                    self._hearer.on_utterance(session, utterance)
                    if session.endpoint.phase is endpointing.Phase.SILENCE:
                        self._hearer.on_endpoint(session)

    def _utterance(self, session: Session, cut: Cut | Paused, reason: EndReason) -> Utterance:
        if self._next_number is None:
            self._next_number = self._hearer.next_utterance()
        known = self._early is not None and self._early_start_sample == cut.start_sample
        return Utterance(
            id=self._next_number,
            session_id=session.id,
            start_sample=cut.start_sample,
            early=self._early.columns if self._early is not None and known else None,
            samples=joined(session.audio, cut.start_sample, cut.end_sample),
            end_reason=reason,
            speech_samples=cut.speech_samples,
        )

    def _compute_early(self, session: Session) -> None:
        """Features of an utterance that is open, each time that a block of them can be had: at its end little is left to do."""
        state = session.endpoint
        if state.phase is endpointing.Phase.SILENCE or not self._hearer.features_size:
            self._early = None
            return
        if self._early is None or self._early_start_sample != state.start_sample:
            self._early, self._early_start_sample = EarlyColumns(self._hearer.features_size), state.start_sample
        known_sample = state.start_sample + self._early.samples
        if session.fed_sample - known_sample >= BLOCK_SAMPLES:
            self._early.extend(joined(session.audio, known_sample, session.fed_sample))

    def _forget_old_audio(self, session: Session) -> None:
        lead = samples_in(session.endpoint_settings.lead_ms)
        keep = session.endpoint.keep_from_sample
        if session.endpoint.phase is endpointing.Phase.SILENCE:
            keep = max(keep, session.fed_sample - lead - 2 * len(session.audio[-1].samples))
        while session.audio and session.audio[0].end_sample <= keep:
            session.audio.popleft()
        self._outlets.journal.forget(session.id, session.endpoint, session.audio)
