"""Session runner: takes one session at a time through its phases, from its first frame to its published end."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from coldvoxd.core.audio_values import Frame, Gap
from coldvoxd.core.endpoint_effects import Resumed, SpeechBegan, SpeechEnded
from coldvoxd.core.languages import in_force, is_ignored
from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.problems import Problem
from coldvoxd.core.seams import SeamRules
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.values import SAMPLE_RATE, SessionOptions, StopReason, samples_in
from coldvoxd.dictation import state as dictation
from coldvoxd.dictation.listening import Listening
from coldvoxd.dictation.no_words_notice import outcome_of
from coldvoxd.dictation.partials import Partials
from coldvoxd.dictation.ports import Capture, RecognitionEngine
from coldvoxd.dictation.recognition_queue import RecognitionQueue
from coldvoxd.dictation.segmenter import FrameHeard, SegmenterEvent, UtteranceCut, UtterancePaused
from coldvoxd.dictation.session import Session
from coldvoxd.dictation.sinks import Sinks
from coldvoxd.dictation.state import DictationState, Effect, Event, Phase
from coldvoxd.dictation.stop import Stop

log = logging.getLogger(__name__)

LATE_FRAMES_S = 1.0
"""Seconds to wait for the last frames after the end of a session."""
REPORTED_GAP_MS = 100.0
"""Minimum length of lost audio, in milliseconds, that is reported at the end of a session: less is no word."""
MAX_BACKLOG_S = 900.0
"""Seconds of audio that may be queued for recognition; a session with more stops listening."""


class SessionRunner:
    """Owns the state machine and the running session. Event loop only.

    `on_hearing`, and every call that makes the capture catch up, may deliver frames before it returns. So each of these
    calls is made only after the preceding change of state is complete.
    """

    def __init__(
        self,
        engine: RecognitionEngine,
        capture: Capture,
        listening: Listening,
        sinks: Sinks,
        *,
        settings: DictationSettings,
        log_text: bool,
        on_hearing: Callable[[bool], None],
    ) -> None:
        self.state = DictationState()
        self.session: Session | None = None
        self.partials = Partials(engine, sinks, settings)
        self.queue = RecognitionQueue(
            engine.recognize, sinks, self.partials, self._conclude_if_drained, settings, log_text=log_text
        )
        self._engine = engine
        self._capture = capture
        self._listening = listening
        self._sinks = sinks
        self._settings = settings
        self._on_hearing = on_hearing

    def use_settings(self, settings: DictationSettings, *, log_text: bool) -> None:
        """Use settings from the next session on."""
        self._settings = settings
        self.partials.use_settings(settings)
        self.queue.use_settings(settings, log_text=log_text)

    def on_battery(self, discharging: bool) -> None:
        """Apply the shares of extra recognition time for battery power, or for mains power."""
        self.partials.on_battery(discharging)
        self.queue.on_battery(discharging)

    @property
    def seam_rules(self) -> SeamRules:
        """The rules for the seams of a session that starts now."""
        return SeamRules.of(self._settings.seam, self._engine.seam_method, self._settings.seam_s)

    def endpoint_of(self, options: SessionOptions) -> EndpointSettings:
        """The endpoint settings of a session that starts now with these options."""
        endpoint = self._listening.endpoint
        hangover_ms = endpoint.hangover_ms
        if options.single_utterance:
            hangover_ms = max(hangover_ms, self._settings.single_utterance_pause_ms)
        longest_s = min(endpoint.max_utterance_s, self._engine.longest_s)
        return replace(endpoint, hangover_ms=hangover_ms, max_utterance_s=longest_s)

    def language_of(self, options: SessionOptions) -> str:
        """Return the language of a session that starts now: `auto` or a code."""
        return in_force(options.language, self._settings.language, self._engine.status)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return (Problem.LANGUAGE,) if is_ignored(self._settings.language, self._engine.status) else ()

    def begin(self, session: Session, state: DictationState, effects: tuple[Effect, ...]) -> None:
        """Start a session; `state` and `effects` are those of the event START."""
        self.session, self.state = session, state
        session.segmenter.begin()
        self.partials.begin(session)
        self._sinks.announcer.dictation_started(session.id)
        self._carry_out(effects)
        if limit_s := session.options.max_seconds or self._settings.max_seconds:
            self._advance_later(session, limit_s, Event.TIME_UP)
        private = " (private)" if session.options.private else ""
        log.info("session %d started by %s%s", session.id, session.caller, private)
        for item in self._listening.pre_roll:
            self._handle(session, session.segmenter.hear(item))
        # After the pre-roll: the daemon makes the capture catch up, and a newer frame would exclude the pre-roll.
        if not session.segmenter.finished:
            self._on_hearing(True)

    def hear(self, item: Frame | Gap) -> None:
        """Process a captured frame or gap, with or without a running session."""
        session = self.session
        heard = self._listening.hear(
            item,
            in_session=session is not None,
            utterance_open=session is not None and session.segmenter.utterance_open,
        )
        if session is None:
            return
        if isinstance(item, Gap):
            session.note_gap(item)
        else:
            session.awaits_microphone = False
        if heard.again and session.segmenter.rewind(heard.again):
            for again in heard.again:
                self._handle(session, session.segmenter.hear_again(again))
        if heard.is_level_problem_changed:
            self._sinks.announcer.state_changed()
        self._handle(session, session.segmenter.hear(heard.item))

    def stop(self, session: Session, called_s: float) -> None:
        """End a listening session with the audio up to this monotonic time, and with the word that is being spoken."""
        captured_sample, spoken_sample = self._capture.captured_at(called_s), self._capture.sample_at(called_s)
        session.stop = Stop.at(captured_sample, spoken_sample, self._settings, session.segmenter.session.endpoint)
        self.advance(Event.STOP)

    def finish_listening(self, session: Session) -> None:
        """Stop listening: end the open utterance, and conclude the session once it has all its texts."""
        if not session.segmenter.finished:
            session.note_end(is_heard=self.state.capture)
            self._handle(session, session.segmenter.finish())
        self._on_hearing(False)
        self._conclude_if_drained(session)

    def advance(self, event: Event) -> None:
        """Pass an event to the state machine, and carry out its effects. Raises the errors of `state.step`."""
        self.state, effects = dictation.step(self.state, event)
        self._carry_out(effects)

    def end(self, session: Session, reason: StopReason, transcript: str | None) -> None:
        """Publish the end of the session; `transcript` is None if it is discarded."""
        self.session = None
        if self.state.active:  # only at shutdown, with texts missing
            phase = Phase.IDLE if self.state.capture else Phase.UNAVAILABLE
            self.state = replace(self.state, phase=phase)
        session.close(discarded=transcript is None)
        self.partials.end()
        self._listening.end_session(session.segmenter.fed_sample)
        self.queue.forget(session)
        self._sinks.metrics.session_ended(reason)
        log.info("session %d ended: %s", session.id, reason)
        if transcript is not None and session.lost_samples >= samples_in(REPORTED_GAP_MS):
            self._sinks.metrics.count(Count.SESSIONS_WITH_GAPS)
            log.warning("session %d: %.1f s of audio were lost", session.id, session.lost_samples / SAMPLE_RATE)
        if transcript is None:
            self._sinks.last_utterance.discard(session)
            self._sinks.journal.end(session.id)
        self._sinks.announcer.dictation_stopped(session.id, reason, transcript or "", session.text_recipient)
        self._sinks.announcer.when_accepted(partial(self._sinks.journal.end, session.id))
        session.answer(reason, transcript)
        if transcript is not None and not session.results.pending:  # otherwise its outcome is unknown
            least_samples = samples_in(session.segmenter.session.endpoint.min_speech_ms)
            spoken, failed = session.segmenter.speech_samples, bool(session.results.failures)
            self._sinks.on_outcome(outcome_of(transcript, spoken, least_samples, failed=failed))
        self._on_hearing(False)  # last: frames that it delivers must find no session

    def _handle(self, session: Session, events: tuple[SegmenterEvent, ...]) -> None:
        """Act on events of the segmenter; all of them are handled here."""
        for event in events:
            match event:
                case SpeechBegan():
                    self._sinks.announcer.speech_started(session.id)
                case SpeechEnded():
                    self._sinks.announcer.speech_ended(session.id)
                case UtterancePaused():
                    self.partials.stop()
                    if self._engine.status.ready:
                        self.queue.begin_early(session, event.utterance)
                case Resumed():
                    self.queue.drop_early()
                case UtteranceCut():
                    self._recognize(session, event)
                case FrameHeard():
                    self._note_frame(session, event)

    def _recognize(self, session: Session, cut: UtteranceCut) -> None:
        self.partials.stop()
        self._sinks.last_utterance.keep(cut.utterance, session)
        self.queue.send(session, cut.utterance, cut.decided_s)
        if session.results.backlog_s > MAX_BACKLOG_S and self.state.phase is Phase.LISTENING:
            log.warning(
                "session %d: %.0f s of audio are queued for recognition; stopping the session",
                session.id,
                MAX_BACKLOG_S,
            )
            self.advance(Event.TIME_UP)
        if not cut.speech_continues and session.options.single_utterance and not session.segmenter.finished:
            self._handle(session, session.segmenter.finish())
            if self.state.phase is Phase.DRAINING:  # it was stopped before, and the endpoint lies in the tail
                self.finish_listening(session)
            else:
                self.advance(Event.ENDPOINT_OF_SINGLE)

    def _note_frame(self, session: Session, heard: FrameHeard) -> None:
        """Publish the level, words so far, a sentence that is over, and finish listening at the end of the session."""
        if heard.is_first_after_call:
            took_s = asyncio.get_running_loop().time() - session.called_s
            self._sinks.metrics.took(Stage.KEY_TO_FIRST_SAMPLE, took_s)
        if heard.level_db is not None and self.state.phase is Phase.LISTENING:
            self._sinks.announcer.level(heard.level_db)
        if self.state.phase is Phase.LISTENING:
            self.partials.hear(session)
        if not session.segmenter.is_speech_possible:
            self.queue.close_sentence(session, session.segmenter.fed_sample)
        if session.is_heard_out:
            self.finish_listening(session)

    def _advance_later(self, session: Session, delay_s: float, event: Event) -> asyncio.TimerHandle:
        """Pass an event to the state machine later, if the session still runs and the event is valid in its phase."""

        def advance() -> None:
            self._capture.catch_up()
            if session is self.session and event in dictation.TABLE[self.state.phase]:
                self.advance(event)

        timer = asyncio.get_running_loop().call_later(delay_s, advance)
        session.timers.append(timer)
        return timer

    def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        session, reason = self.session, self.state.reason
        for effect in effects:
            if session is None or session.over:  # an effect may end it
                break
            match effect:
                case Effect.BEGIN:
                    pass
                case Effect.CLOSE_UTTERANCE:
                    self._handle(session, session.segmenter.interrupt())
                    if session.stop is not None:
                        self.finish_listening(session)
                case Effect.AWAIT_CAPTURE:
                    session.blind_timer = self._advance_later(session, dictation.BLIND_LIMIT_S, Event.BLIND_TOO_LONG)
                case Effect.DRAIN:
                    self._drain(session)
                case Effect.CONCLUDE:
                    self.end(session, reason or StopReason.STOPPED, session.results.text.text)
                case Effect.DISCARD:
                    self.end(session, reason or StopReason.CANCELLED, None)
        self._sinks.announcer.state_changed()

    def _drain(self, session: Session) -> None:
        """Wait for the remaining frames up to the end of the session, if any, and for the texts."""
        if session.segmenter.finished or session.stop is None or session.is_heard_out or not self.state.capture:
            self.finish_listening(session)
        else:
            late_s = LATE_FRAMES_S + self._settings.stop_tail_ms / 1000
            session.timers.append(asyncio.get_running_loop().call_later(late_s, self.finish_listening, session))

    def _conclude_if_drained(self, session: Session) -> None:
        if session.segmenter.finished and not session.results.pending and self.state.phase is Phase.DRAINING:
            self.advance(Event.DRAINED)
