"""Frames in, transcripts out: the dictation session from its first sample to its last text. Event loop only."""

import asyncio
import contextlib
import itertools
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from coldvoxd.channelselector import ChannelSelector
from coldvoxd.core import dictation
from coldvoxd.core.carrying import unpacked
from coldvoxd.core.channels import MIX
from coldvoxd.core.dictation import DictationState
from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.endpointing import Phase as EndpointPhase
from coldvoxd.core.errors import ColdvoxError, NoMicrophone, NotOwner, NotReady, RecognitionFailed, TextTimeout
from coldvoxd.core.levels import level_db
from coldvoxd.core.metrics import Metrics, Stage
from coldvoxd.core.ports import Announcer, Journal, SpeechDetector
from coldvoxd.core.preroll import PreRoll
from coldvoxd.core.problems import Problem
from coldvoxd.core.quietgate import QuietGate
from coldvoxd.core.quietspeech import QuietSpeech
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.spooling import SpooledSession
from coldvoxd.core.values import (
    EngineStatus,
    Frame,
    Gap,
    Hypothesis,
    ScoredFrame,
    SessionOptions,
    State,
    StopReason,
    Utterance,
    samples_in,
)
from coldvoxd.core.wordless import Outcome, outcome_of
from coldvoxd.hearing import Hearing
from coldvoxd.outlets import Outlets
from coldvoxd.retry import LastUtterance
from coldvoxd.session import GoneSession, Session
from coldvoxd.texts import Texts

log = logging.getLogger(__name__)

STOP_LIMIT_S = 20.0
"""Bus callers wait 25 s by default, so StopDictation and RetryLast answer before."""
FRAMES_LATE_S = 1.0
"""How long after the stop the last frames are waited for."""
BACKLOG_LIMIT_S = 900.0
"""Audio that may wait for recognition; a session that gets this far behind stops listening."""


class RecognizerKeeper(Protocol):
    """What the pipeline needs of the switch."""

    @property
    def status(self) -> EngineStatus: ...

    @property
    def longest_s(self) -> float:
        """The greatest length of an utterance, for the recognizer's sake; infinity where it isn't known."""
        ...

    def check_ready(self) -> None: ...

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Stopped early where it is cancelled."""
        ...


class SampleClock(Protocol):
    """What the pipeline needs of the capture."""

    def sample_at(self, monotonic_s: float) -> int:
        """The number of the sample that was spoken at a moment."""
        ...


class Pipeline:
    """Implements DictationControl, and takes what the capture delivers.

    `first_number` is where session and utterance numbers begin: it must lie past all numbers that an earlier process
    of this login gave out. `on_hearing` is told when a session begins to need the microphone, and when it has heard all;
    `on_outcome` what a session came to that was not thrown away, and what a retry came to that found words;
    `catch_up` has all told by `on_item` that was heard up to now.
    """

    def __init__(
        self,
        detector: SpeechDetector,
        engine: RecognizerKeeper,
        clock: SampleClock,
        *,
        endpoint: EndpointSettings,
        settings: DictationSettings,
        pre_roll_ms: int,
        first_number: int = 1,
        log_text: bool = False,
        metrics: Metrics | None = None,
        on_hearing: Callable[[bool], None] = lambda _: None,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
        catch_up: Callable[[], None] = lambda: None,
        channels: ChannelSelector | None = None,
    ) -> None:
        self._on_hearing = on_hearing
        self._on_outcome = on_outcome
        self._catch_up = catch_up
        self._gate = QuietGate(detector)
        self._channels = channels or ChannelSelector(detector, MIX)
        self._quiet_speech = QuietSpeech()
        self._keeper = engine
        self._clock = clock
        self._outlets = Outlets(metrics=metrics or Metrics())
        self._texts = Texts(engine.recognize, self._outlets, self._conclude_if_drained)
        self._hearing = Hearing(self, self._outlets)
        self._last = LastUtterance(engine.recognize, self._outlets.metrics)
        self._battery = False
        self._pre_roll = PreRoll(endpoint, pre_roll_ms)
        self.use_settings(endpoint=endpoint, settings=settings, pre_roll_ms=pre_roll_ms, log_text=log_text)
        self._dictation = DictationState()
        self._session: Session | None = None
        self._session_numbers = itertools.count(first_number)
        self._utterance_numbers = itertools.count(first_number)
        self._loop = asyncio.get_running_loop()
        self._heard_sample = 0
        """End of what the last session heard: its words, private ones too, are no other session's."""
        self._asleep = self._closing = False
        self._busy_until_s = -math.inf
        self.microphone_problem = ""
        """Why there is no microphone, for NoMicrophone's message."""

    def announce_to(self, announcer: Announcer) -> None:
        """Whom to tell from now on. Until the first call nobody is told."""
        self._outlets.announcer = announcer

    def keep_in(self, journal: Journal) -> None:
        """Where sessions are kept from now on. Until the first call a crash loses what was being said."""
        self._outlets.journal = journal

    @property
    def busy_until_s(self) -> float:
        """Loop time at which a session ended, or speech was heard outside one, last; infinity while a session runs."""
        idle = self._session is None and self._texts.idle
        return self._busy_until_s if idle else math.inf

    def keep_for_retry(self, session: SpooledSession, utterance: Utterance) -> None:
        """An utterance of an earlier process that was given up: RetryLast may have it, unless there is a newer one."""
        reader = session.caller if session.options.private else None
        self._last.keep_unless_newer(utterance, GoneSession(session.id, reader))

    def last_carried(self) -> dict[str, Any] | None:
        """The last utterance, for the process that takes this one's place."""
        return self._last.carried()

    def resume_last(self, carried: dict[str, Any]) -> None:
        """What `last_carried` gave in an earlier process, on the same bus."""
        try:
            utterance, reader = unpacked(carried["utterance"]), carried["reader"]
        except (ValueError, TypeError, KeyError) as error:
            log.warning("the last utterance of the earlier process can't be read: %s", error)
            return
        self._last.keep_unless_newer(utterance, GoneSession(utterance.session_id, reader))

    @property
    def features_size(self) -> int:
        """Implements Hearer."""
        return self._keeper.status.features_size

    def next_utterance(self) -> int:
        """A number that no other utterance has."""
        return next(self._utterance_numbers)

    def use_settings(
        self, *, endpoint: EndpointSettings, settings: DictationSettings, pre_roll_ms: int, log_text: bool
    ) -> None:
        """From the next session on."""
        self._endpoint_settings = endpoint
        self._settings = settings
        self._pre_roll.use_settings(endpoint, pre_roll_ms)
        self._texts.log_text = log_text
        self.on_battery(self._battery)

    def on_battery(self, discharging: bool) -> None:
        """The machine runs on its battery now, or no longer: recognition may be in vain more or less often."""
        self._battery = discharging
        settings = self._settings
        share = settings.speculate_share_on_battery if discharging else settings.speculate_share
        self._texts.share_in_vain = share if settings.speculate else 0.0

    # What bus clients ask for.

    @property
    def state(self) -> State:
        if self._asleep:
            return State.SUSPENDED
        match self._dictation.phase:
            case dictation.Phase.LISTENING | dictation.Phase.BLIND:
                return State.LISTENING
            case dictation.Phase.DRAINING:
                return State.TRANSCRIBING
        if self.engine.loading:
            return State.LOADING
        if self._dictation.phase is dictation.Phase.UNAVAILABLE or not self.engine.ready:
            return State.UNAVAILABLE
        return State.IDLE

    @property
    def session(self) -> int:
        return self._session.id if self._session else 0

    @property
    def engine(self) -> EngineStatus:
        return self._keeper.status

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return (Problem.MICROPHONE_QUIET,) if self._quiet_speech.holds else ()

    def start(self, caller: str, options: SessionOptions, called_s: float) -> int:
        with self._pre_roll.held():
            return self._start(caller, options, called_s)

    def _start(self, caller: str, options: SessionOptions, called_s: float) -> int:
        self._catch_up()
        self._check_startable()
        try:
            state, effects = dictation.step(self._dictation, dictation.Event.START)
        except NoMicrophone as fault:
            raise NoMicrophone(f"{fault} {self.microphone_problem}".strip()) from None
        start_sample = self._clock.sample_at(called_s)
        settings = self._endpoint_settings
        settings = replace(settings, max_utterance_s=min(settings.max_utterance_s, self._keeper.longest_s))
        session = Session(
            id=next(self._session_numbers),
            caller=caller,
            options=options,
            endpoint_settings=settings,
            called_s=called_s,
            start_sample=start_sample,
            endpoint=EndpointState(floor_sample=max(self._heard_sample, self._pre_roll.reach_back(start_sample))),
            concluded=self._loop.create_future(),
        )
        session.concluded.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._session, self._dictation = session, state
        self._hearing.begin()
        self._outlets.journal.begin(
            SpooledSession(session.id, caller, "", options, start_sample, settings), session.endpoint
        )
        self._outlets.announcer.dictation_started(session.id)
        self._carry_out(state, effects)
        limit_s = options.max_seconds or self._settings.max_seconds
        if limit_s:
            self._call_later(session, limit_s, dictation.Event.TIME_UP)
        log.info("session %d started by %s%s", session.id, caller, " (private)" if options.private else "")
        for item in self._pre_roll:
            self._hearing.hear(session, item)
        # Only now: whoever hears of it catches up on the audio, and a later frame would shut the pre-roll out.
        if not session.flushed:
            self._on_hearing(True)
        return session.id

    @contextlib.contextmanager
    def start_pending(self) -> Iterator[None]:
        """Inside, what was heard is kept for a call of `start` that has arrived and still waits for something."""
        with self._pre_roll.held():
            yield

    async def stop(self, caller: str, called_s: float) -> str:
        session = self._owned_session(caller)
        if self._dictation.phase is not dictation.Phase.DRAINING:
            self._stop(session, called_s)
        try:
            return await asyncio.wait_for(asyncio.shield(session.concluded), STOP_LIMIT_S)
        except TimeoutError:
            raise TextTimeout(
                f"The text of session {session.id} takes longer than {STOP_LIMIT_S:.0f} s; "
                "it still comes by the signals Transcribed and DictationStopped."
            ) from None

    async def cancel(self, caller: str) -> None:
        self._owned_session(caller)
        self._tell(dictation.Event.CANCEL)

    def toggle(self, caller: str, called_s: float) -> bool:
        session = self._session
        if session is None or self._dictation.phase is dictation.Phase.DRAINING:
            self.start(caller, SessionOptions(), called_s)
            return True
        self._stop(self._owned_session(caller), called_s)
        return False

    async def retry_last(self, caller: str) -> str:
        text = await self._last.recognize_again(caller, STOP_LIMIT_S)
        if text:
            self._on_outcome(Outcome.WORDS)
            self._outlets.announcer.state_changed()
        return text

    def caller_left(self, caller: str) -> None:
        session = self._session
        if session and session.caller == caller and (session.options.bind_to_caller or session.options.private):
            self._tell(dictation.Event.CALLER_LEFT)

    # What the capture delivers.

    def on_capture(self, delivering: bool, problem: str = "") -> None:
        """The microphone began or ceased to deliver; `problem` says why, for people."""
        self.microphone_problem = problem
        if delivering and self._session and self._session.blind_timer:
            self._session.blind_timer.cancel()
        if delivering != self._dictation.capture or self._dictation.at_rest:
            self._tell(dictation.Event.RECOVERED if delivering else dictation.Event.CAPTURE_LOST)

    def on_release(self) -> None:
        """The microphone was closed by policy: a session can begin, and nothing that was heard before is kept for it."""
        self.microphone_problem = ""
        self._pre_roll.clear()
        if self._dictation.capture or not self._dictation.at_rest:
            self._tell(dictation.Event.RELEASED)

    def on_closed(self) -> None:
        """The microphone has been closed by policy, and nothing more comes of it: what came last is forgotten too."""
        self._pre_roll.clear()

    def on_screen_lock(self) -> None:
        """The microphone is about to be closed for the time of the lock: a session ends with what it has heard."""
        self._catch_up()
        if self._dictation.active:
            self._tell(dictation.Event.SCREEN_LOCKED)

    def on_suspend(self) -> None:
        """The machine is about to sleep: a session ends with what it has heard; nothing else of that is kept."""
        self._catch_up()
        self._asleep = True
        if self._dictation.active:
            self._tell(dictation.Event.SUSPENDING)
        self._pre_roll.clear()
        self._outlets.announcer.state_changed()

    def on_wake(self) -> None:
        """It woke up: a session can begin, and waits for the microphone where that isn't open yet."""
        self._asleep = False
        self.on_release()
        self._outlets.announcer.state_changed()

    async def drained(self) -> None:
        """Return once the session that ends, if one does, has all its texts."""
        if self._session is not None:
            await asyncio.wait({self._session.concluded})

    def on_item(self, item: Frame | Gap) -> None:
        """Score and remember a frame, and let the session hear it."""
        heard: ScoredFrame | Gap
        if isinstance(item, Gap):
            self._outlets.metrics.gap(item.reason)
            self._gate.reset()
            self._channels.reset()
            self._quiet_speech.interrupt()
            heard = item
        else:
            if self._channels.note(item, held=self._in_utterance):
                self._hear_again()
            frame = self._channels.heard(item)
            heard = ScoredFrame(frame, self._gate.score(frame.samples, at_rest=self._session is None))
            if heard.speech_probability >= self._endpoint_settings.threshold:
                self._busy_until_s = self._loop.time()
            if self._session is not None:
                self._note_level(heard)
        self._pre_roll.append(heard)
        if self._session is not None:
            self._hearing.hear(self._session, heard)

    def _note_level(self, heard: ScoredFrame) -> None:
        if self._quiet_speech.hear(heard.speech_probability, level_db(heard.frame.samples)):
            log.info("speech %s", "is very quiet" if self._quiet_speech.holds else "is loud enough again")
            self._outlets.announcer.state_changed()

    # The way to text.

    async def run(self) -> None:
        """Recognize what sessions hear, in order; ends by cancellation."""
        await self._texts.run()

    async def shutdown(self, limit_s: float) -> None:
        """End a session that runs, giving its texts so long to come; no session begins any more."""
        self._closing = True
        self._catch_up()
        self._tell(dictation.Event.SHUTDOWN)
        session = self._session
        if session is None:
            return
        self._flush(session)
        try:
            await asyncio.wait_for(asyncio.shield(session.concluded), limit_s)
        except (TimeoutError, ColdvoxError):
            if self._session is session:
                log.warning("session %d: text was still being recognized at shutdown", session.id)
                self._end(session, StopReason.SHUTDOWN, " ".join(session.texts))

    # What its parts tell.

    def on_utterance(self, session: Session, utterance: Utterance) -> None:
        """Send it to recognition."""
        self._last.keep(utterance, session)
        self._texts.send(session, utterance)
        if session.backlog_s > BACKLOG_LIMIT_S and self._dictation.phase is dictation.Phase.LISTENING:
            log.warning(
                "session %d: %.0f s of audio wait for recognition; no more is taken", session.id, BACKLOG_LIMIT_S
            )
            self._tell(dictation.Event.TIME_UP)

    def on_pause(self, session: Session, utterance: Utterance) -> None:
        """It may be over: have it recognized, if the recognizer is there."""
        if self.engine.ready:
            self._texts.begin_early(session, utterance)

    def on_resumed(self) -> None:
        """It is not over."""
        self._texts.drop_early()

    def on_endpoint(self, session: Session) -> None:
        """A session for a single utterance has had it."""
        if session.options.single_utterance and not session.flushed:
            session.flushed = True
            if self._dictation.phase is dictation.Phase.DRAINING:  # it was stopped, and the endpoint lies in the tail
                self._flush(session)
            else:
                self._tell(dictation.Event.ENDPOINT_OF_SINGLE)

    def on_frame(self, session: Session, first_after_call: bool, level_db: float | None) -> None:
        """Tell the level, and end the session where it has heard enough."""
        if first_after_call:
            self._outlets.metrics.took(Stage.KEY_TO_FIRST_SAMPLE, self._loop.time() - session.called_s)
        if level_db is not None and self._dictation.phase is dictation.Phase.LISTENING:
            self._outlets.announcer.level(level_db)
        if session.end_sample is not None and session.fed_sample >= session.end_sample:
            self._flush(session)

    # Inside.

    def _check_startable(self) -> None:
        """Raise NotReady where no session can begin for another reason than the microphone."""
        if self._closing:
            raise NotReady("The daemon is stopping and begins no session. Try again once it has been started again.")
        if not self._dictation.active:
            self._keeper.check_ready()

    @property
    def _in_utterance(self) -> bool:
        """Whether an utterance is open, whose channel must not change."""
        session = self._session
        return session is not None and session.endpoint.phase not in {EndpointPhase.SILENCE, EndpointPhase.ONSET}

    def _hear_again(self) -> None:
        """Another channel was chosen: what was heard last counts as it sounds there, so that no first word is lost."""
        self._gate.reset()
        again: list[ScoredFrame | Gap] = []
        for item in self._pre_roll:
            if isinstance(item, Gap):
                self._gate.reset()
                again.append(item)
                continue
            frame = self._channels.heard_again(item.frame)
            again.append(ScoredFrame(frame, self._gate.score(frame.samples, at_rest=False)))
        self._pre_roll.replace(again)
        if self._session is not None:
            self._hearing.hear_again(self._session, again)

    def _stop(self, session: Session, called_s: float) -> None:
        session.end_sample = self._clock.sample_at(called_s) + samples_in(self._settings.stop_tail_ms)
        self._tell(dictation.Event.STOP)

    def _flush(self, session: Session) -> None:
        """The session hears no more: close what is open."""
        if not session.flushed:
            self._hearing.finish(session)
        self._on_hearing(False)
        self._conclude_if_drained(session)

    def _conclude_if_drained(self, session: Session) -> None:
        if session.flushed and not session.pending and self._dictation.phase is dictation.Phase.DRAINING:
            self._tell(dictation.Event.DRAINED)

    def _tell(self, event: dictation.Event) -> None:
        self._carry_out(*dictation.step(self._dictation, event))

    def _carry_out(self, state: DictationState, effects: tuple[dictation.Effect, ...]) -> None:
        self._dictation = state
        session = self._session
        for effect in effects:
            if session is None or session.over:  # an effect may end it
                break
            match effect:
                case dictation.Effect.BEGIN:
                    pass
                case dictation.Effect.CLOSE_UTTERANCE:
                    self._hearing.interrupt(session)
                    if session.end_sample is not None:
                        self._flush(session)
                case dictation.Effect.AWAIT_CAPTURE:
                    session.blind_timer = self._call_later(
                        session, dictation.BLIND_LIMIT_S, dictation.Event.BLIND_TOO_LONG
                    )
                case dictation.Effect.DRAIN:
                    self._drain(session)
                case dictation.Effect.CONCLUDE:
                    self._end(session, state.reason or StopReason.STOPPED, " ".join(session.texts))
                case dictation.Effect.DISCARD:
                    self._end(session, state.reason or StopReason.CANCELLED, None)
        self._outlets.announcer.state_changed()

    def _drain(self, session: Session) -> None:
        """Wait for the frames up to the end where more are to come, and for the texts."""
        if session.flushed or session.end_sample is None or not self._dictation.capture:
            self._flush(session)
        else:
            late_s = FRAMES_LATE_S + self._settings.stop_tail_ms / 1000
            session.timers.append(self._loop.call_later(late_s, self._flush, session))

    def _end(self, session: Session, reason: StopReason, transcript: str | None) -> None:
        """The session is over; None for a transcript that nobody shall have."""
        self._session = None
        self._busy_until_s = self._loop.time()
        if self._dictation.active:  # only at shutdown, with texts missing
            phase = dictation.Phase.IDLE if self._dictation.capture else dictation.Phase.UNAVAILABLE
            self._dictation = replace(self._dictation, phase=phase)
        for timer in session.timers:
            timer.cancel()
        session.audio.clear()
        self._heard_sample = max(self._heard_sample, session.fed_sample)
        session.flushed = session.over = True
        self._texts.forget(session)
        self._outlets.metrics.session_ended(reason)
        session.texts.clear()
        session.thrown_away = transcript is None
        if session.thrown_away:
            self._last.throw_away(session)
        log.info("session %d ended: %s", session.id, reason)
        if transcript is None:
            self._outlets.journal.end(session.id)
        self._outlets.announcer.dictation_stopped(session.id, reason, transcript or "", session.text_reader)
        self._outlets.announcer.when_accepted(partial(self._outlets.journal.end, session.id))
        self._settle(session, reason, transcript)
        if transcript is not None and not session.pending:  # otherwise nobody knows what it would have come to
            least_samples = samples_in(session.endpoint_settings.min_speech_ms)
            self._on_outcome(
                outcome_of(transcript, session.speech_samples, least_samples, failed=bool(session.failures))
            )
        self._on_hearing(False)  # last: it catches up on the audio, and must find no session half ended

    def _settle(self, session: Session, reason: StopReason, transcript: str | None) -> None:
        """Answer those who wait for the session's text."""
        if session.concluded.done():
            return
        if transcript is None:
            session.concluded.set_exception(RecognitionFailed(f"Session {session.id} was thrown away ({reason})."))
        elif session.failures:
            session.concluded.set_exception(
                RecognitionFailed(
                    f"{len(session.failures)} utterance(s) of session {session.id} could not be recognized: "
                    f"{session.failures[0]} The texts of the others came by signal."
                )
            )
        else:
            session.concluded.set_result(transcript)

    def _owned_session(self, caller: str) -> Session:
        session = self._session
        if session is None:
            dictation.step(self._dictation, dictation.Event.STOP)  # raises NotActive
            raise AssertionError("a session is active and unknown")
        if session.options.private and session.caller != caller:
            raise NotOwner(f"Session {session.id} is private to another program; only that program can end it.")
        return session

    def _call_later(self, session: Session, delay_s: float, event: dictation.Event) -> asyncio.TimerHandle:
        """Tell an event later, if the session still runs and the event still means something to it."""

        def tell() -> None:
            self._catch_up()
            if session is self._session and event in dictation.TABLE[self._dictation.phase]:
                self._tell(event)

        timer = self._loop.call_later(delay_s, tell)
        session.timers.append(timer)
        return timer
