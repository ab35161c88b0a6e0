"""Frames in, transcripts out: the dictation session from its first sample to its last text. Event loop only."""

import asyncio
import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from coldvoxd.core import dictation, endpointing
from coldvoxd.core.dictation import DictationState
from coldvoxd.core.endpointing import Cut, Dropped, EndpointState, Finish, Lost, Scored, SpeechBegan, SpeechEnded
from coldvoxd.core.errors import ColdvoxError, NoMicrophone, NotActive, NotOwner, RecognitionFailed, TextTimeout
from coldvoxd.core.metrics import Count, Metrics, Stage
from coldvoxd.core.ports import Announcer, Journal, SpeechDetector
from coldvoxd.core.reframe import joined
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.spooling import SpooledSession
from coldvoxd.core.transcripts import transcript_of
from coldvoxd.core.values import (
    SAMPLE_RATE,
    EngineStatus,
    Frame,
    Gap,
    Hypothesis,
    ScoredFrame,
    SessionOptions,
    State,
    StopReason,
    Transcript,
    Utterance,
)

log = logging.getLogger(__name__)

STOP_LIMIT_S = 20.0
"""Bus callers wait 25 s by default, so StopDictation and RetryLast answer before."""
SOFT_PAUSE_MS = 200
"""Pauses up to this belong to the speech in which a session's start reaches back."""
FRAMES_LATE_S = 1.0
"""How long after the stop the last frames are waited for."""
LEVEL_EVERY_FRAMES = 3
"""One Level signal in 96 ms: about ten a second."""
BACKLOG_LIMIT_S = 900.0
"""Audio that may wait for recognition; a session that gets this far behind stops listening."""


class RecognizerKeeper(Protocol):
    """What the pipeline needs of the switch."""

    @property
    def status(self) -> EngineStatus: ...

    def check_ready(self) -> None: ...

    async def recognize(self, utterance: Utterance) -> Hypothesis: ...


class SampleClock(Protocol):
    """What the pipeline needs of the capture."""

    def sample_at(self, monotonic_s: float) -> int:
        """The number of the sample that was spoken at a moment."""
        ...


class Unattended:
    """An Announcer without clients, for the time before the bus is there."""

    def dictation_started(self, session: int) -> None: ...

    def dictation_stopped(self, session: int, reason: StopReason, transcript: str, to: str | None) -> None: ...

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None: ...

    def speech_started(self, session: int) -> None: ...

    def speech_ended(self, session: int) -> None: ...

    def level(self, dbfs: float) -> None: ...

    def state_changed(self) -> None: ...

    def when_accepted(self, then: Callable[[], None]) -> None:
        then()


class Forgetful:
    """A Journal that keeps nothing: a crash loses what was being said."""

    def begin(self, session: SpooledSession, state: EndpointState) -> None: ...

    def heard(self, session: int, event: endpointing.Event, frame: Frame | None) -> None: ...

    def forget(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None: ...

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None: ...

    def attempt(self, session: int, utterance: int) -> None: ...

    def settled(self, session: int, utterance: int) -> None: ...

    def end(self, session: int) -> None: ...


@dataclass(slots=True)
class _Session:
    """One session from Start to its last text."""

    id: int
    caller: str
    options: SessionOptions
    endpoint_settings: EndpointSettings
    """Those of its beginning: settings that change meanwhile count from the next session on."""
    called_s: float
    start_sample: int
    endpoint: EndpointState
    concluded: "asyncio.Future[str]"
    audio: deque[Frame] = field(default_factory=deque)
    fed_sample: int = 0
    """End of the last frame that the endpointer has seen."""
    end_sample: int | None = None
    """Once the session drains: where it stops listening."""
    flushed: bool = False
    thrown_away: bool = False
    """It was cancelled, or its caller left: nothing of it is kept."""
    pending: int = 0
    """Utterances sent to recognition and not yet answered."""
    backlog_s: float = 0.0
    texts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    frames: int = 0
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    blind_timer: asyncio.TimerHandle | None = None

    @property
    def text_reader(self) -> str | None:
        """The one client that may read texts, None for everyone."""
        return self.caller if self.options.private else None


@dataclass(frozen=True, slots=True)
class _Gone:
    """A session of an earlier process, as far as RetryLast asks for it."""

    id: int
    text_reader: str | None
    thrown_away: bool = False


@dataclass(frozen=True, slots=True)
class _Last:
    """The last utterance, kept for RetryLast: in memory, until the next one or until its session is thrown away."""

    utterance: Utterance
    session: _Session | _Gone


@dataclass(frozen=True, slots=True)
class _Job:
    session: _Session
    utterance: Utterance
    decided_s: float


class Pipeline:
    """Implements DictationControl, and takes what the capture delivers.

    `first_number` is where session and utterance numbers begin: it must lie past all numbers that an earlier process
    of this login gave out. `on_hearing` is told when a session begins to need the microphone, and when it has heard all.
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
    ) -> None:
        self._on_hearing = on_hearing
        self._detector = detector
        self._journal: Journal = Forgetful()
        self._keeper = engine
        self._clock = clock
        self._announcer: Announcer = Unattended()
        self._metrics = metrics or Metrics()
        self._ring: deque[ScoredFrame | Gap] = deque()
        self.use_settings(endpoint=endpoint, settings=settings, pre_roll_ms=pre_roll_ms, log_text=log_text)
        self._dictation = DictationState()
        self._session: _Session | None = None
        self._session_numbers = itertools.count(first_number)
        self._utterance_numbers = itertools.count(first_number)
        self._last: _Last | None = None
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._recognizing = self._asleep = False
        self._busy_until_s = -math.inf
        self.microphone_problem = ""
        """Why there is no microphone, for NoMicrophone's message."""

    def announce_to(self, announcer: Announcer) -> None:
        """Whom to tell from now on. Until the first call nobody is told."""
        self._announcer = announcer

    def keep_in(self, journal: Journal) -> None:
        """Where sessions are kept from now on. Until the first call a crash loses what was being said."""
        self._journal = journal

    @property
    def busy_until_s(self) -> float:
        """Loop time at which a session ended, or speech was heard outside one, last; infinity while a session runs."""
        idle = self._session is None and self._jobs.empty() and not self._recognizing
        return self._busy_until_s if idle else math.inf

    def keep_for_retry(self, session: SpooledSession, utterance: Utterance) -> None:
        """An utterance of an earlier process that was given up: RetryLast may have it, unless there is a newer one."""
        if self._last is None or self._last.utterance.id < utterance.id:
            self._last = _Last(utterance, _Gone(session.id, session.caller if session.options.private else None))

    def next_utterance(self) -> int:
        """A number that no other utterance has."""
        return next(self._utterance_numbers)

    def use_settings(
        self, *, endpoint: EndpointSettings, settings: DictationSettings, pre_roll_ms: int, log_text: bool
    ) -> None:
        """From the next session on."""
        self._endpoint_settings = endpoint
        self._settings = settings
        self._pre_roll_samples = _samples(pre_roll_ms)
        self._log_text = log_text
        ring_ms = pre_roll_ms + endpoint.lead_ms + 1000
        self._ring = deque(self._ring, maxlen=math.ceil(ring_ms / 32) + 1)

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

    def start(self, caller: str, options: SessionOptions, called_s: float) -> int:
        if not self._dictation.active:
            self._keeper.check_ready()
        try:
            state, effects = dictation.step(self._dictation, dictation.Event.START)
        except NoMicrophone as fault:
            raise NoMicrophone(f"{fault} {self.microphone_problem}".strip()) from None
        start_sample = self._clock.sample_at(called_s)
        session = _Session(
            id=next(self._session_numbers),
            caller=caller,
            options=options,
            endpoint_settings=self._endpoint_settings,
            called_s=called_s,
            start_sample=start_sample,
            endpoint=EndpointState(floor_sample=self._reach_back(start_sample)),
            concluded=self._loop.create_future(),
        )
        session.concluded.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._session = session
        self._journal.begin(
            SpooledSession(session.id, caller, "", options, start_sample, self._endpoint_settings), session.endpoint
        )
        self._on_hearing(True)
        self._announcer.dictation_started(session.id)
        self._carry_out(state, effects)
        limit_s = options.max_seconds or self._settings.max_seconds
        if limit_s:
            self._call_later(session, limit_s, dictation.Event.TIME_UP)
        log.info("session %d started by %s%s", session.id, caller, " (private)" if options.private else "")
        for item in tuple(self._ring):
            self._hear(session, item)
        return session.id

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
        last = self._last
        if last is None:
            raise NotActive("There is no utterance to recognize again: none was heard, or its session was cancelled.")
        if last.session.text_reader not in {None, caller}:
            raise NotOwner("The last utterance is private to another program; only that program can have it again.")
        self._metrics.count(Count.RETRIES)
        try:
            hypothesis = await asyncio.wait_for(self._keeper.recognize(last.utterance), STOP_LIMIT_S)
        except TimeoutError:
            raise TextTimeout(
                f"Recognizing utterance {last.utterance.id} again takes longer than {STOP_LIMIT_S:.0f} s; "
                "try again when less is waiting."
            ) from None
        self._metrics.recognized(hypothesis)
        if last.session.thrown_away:
            raise NotActive(f"Session {last.session.id} was thrown away meanwhile, and its utterances with it.")
        return hypothesis.text

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
        self._ring.clear()
        if self._dictation.capture or not self._dictation.at_rest:
            self._tell(dictation.Event.RELEASED)

    def on_screen_lock(self) -> None:
        """The microphone is about to be closed for the time of the lock: a session ends with what it has heard."""
        if self._dictation.active:
            self._tell(dictation.Event.SCREEN_LOCKED)

    def on_suspend(self) -> None:
        """The machine is about to sleep: a session ends with what it has heard; nothing else of that is kept."""
        self._asleep = True
        if self._dictation.active:
            self._tell(dictation.Event.SUSPENDING)
        self._ring.clear()
        self._announcer.state_changed()

    def on_wake(self) -> None:
        """It woke up: a session can begin, and waits for the microphone where that isn't open yet."""
        self._asleep = False
        self.on_release()
        self._announcer.state_changed()

    async def drained(self) -> None:
        """Return once the session that ends, if one does, has all its texts."""
        if self._session is not None:
            await asyncio.wait({self._session.concluded})

    def on_item(self, item: Frame | Gap) -> None:
        """Score and remember a frame, and let the session hear it."""
        heard: ScoredFrame | Gap
        if isinstance(item, Gap):
            self._metrics.gap(item.reason)
            self._detector.reset()
            heard = item
        else:
            heard = ScoredFrame(item, self._detector.score(item.samples))
            if heard.speech_probability >= self._endpoint_settings.threshold:
                self._busy_until_s = self._loop.time()
        self._ring.append(heard)
        if self._session is not None:
            self._hear(self._session, heard)

    # The way to text.

    async def run(self) -> None:
        """Recognize what sessions hear, in order; ends by cancellation."""
        while True:
            job = await self._jobs.get()
            session = job.session
            if session is not self._session:
                continue
            self._journal.attempt(session.id, job.utterance.id)
            self._recognizing = True
            try:
                hypothesis = await self._keeper.recognize(job.utterance)
            except ColdvoxError as fault:
                log.error("utterance %d is lost: %s", job.utterance.id, fault)  # noqa: TRY400 - the message says it
                session.failures.append(str(fault))
                self._metrics.count(Count.FAILED)
                self._journal.settled(session.id, job.utterance.id)
            else:
                if session is self._session:
                    self._publish(job, hypothesis)
            self._recognizing = False
            session.pending -= 1
            session.backlog_s -= job.utterance.duration_s
            if session is self._session:
                self._conclude_if_drained(session)

    async def shutdown(self, limit_s: float) -> None:
        """End a session that runs, giving its texts so long to come."""
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

    # Inside.

    def _reach_back(self, start_sample: int) -> int:
        """The earliest sample that a session may use.

        Where speech had already begun, that is its beginning, at most the pre-roll away; the lead comes on top of it
        for first consonants, within the pre-roll.
        """
        earliest = start_sample - self._pre_roll_samples
        begin = start_sample
        exit_threshold = self._endpoint_settings.threshold - endpointing.HYSTERESIS
        for item in reversed(self._ring):
            if isinstance(item, Gap):
                earliest = max(earliest, item.start_sample + item.samples)
                break
            if item.frame.start_sample >= start_sample:
                continue
            if item.speech_probability >= exit_threshold:
                begin = item.frame.start_sample
            elif begin - item.frame.start_sample > _samples(SOFT_PAUSE_MS):
                break
        return max(earliest, begin - _samples(self._endpoint_settings.lead_ms))

    def _hear(self, session: _Session, item: ScoredFrame | Gap) -> None:
        """Let a session's endpointer see a frame or a gap."""
        if session.flushed:
            return
        if isinstance(item, Gap):
            if item.start_sample >= session.endpoint.floor_sample:
                self._step(session, Lost(item.start_sample, item.start_sample + item.samples))
            return
        frame = item.frame
        if frame.end_sample <= session.endpoint.floor_sample or frame.start_sample < session.fed_sample:
            return
        session.audio.append(frame)
        if session.fed_sample <= session.start_sample < frame.end_sample:
            self._metrics.took(Stage.KEY_TO_FIRST_SAMPLE, self._loop.time() - session.called_s)
        session.fed_sample = frame.end_sample
        level_db = _level_db(frame.samples)
        self._step(session, Scored(frame.start_sample, frame.end_sample, item.speech_probability, level_db))
        self._forget_old_audio(session)
        session.frames += 1
        if session.frames % LEVEL_EVERY_FRAMES == 0 and self._dictation.phase is dictation.Phase.LISTENING:
            self._announcer.level(level_db)
        if session.end_sample is not None and frame.end_sample >= session.end_sample:
            self._flush(session)

    def _step(self, session: _Session, event: endpointing.Event) -> None:
        self._journal.heard(session.id, event, session.audio[-1] if isinstance(event, Scored) else None)
        session.endpoint, effects = endpointing.step(session.endpoint, event, session.endpoint_settings)
        for effect in effects:
            match effect:
                case SpeechBegan():
                    self._announcer.speech_started(session.id)
                case SpeechEnded():
                    self._announcer.speech_ended(session.id)
                case Dropped():
                    log.debug("session %d: %d samples of speech dropped as noise", session.id, effect.speech_samples)
                case Cut():
                    self._send(session, effect)
                    silent = session.endpoint.phase is endpointing.Phase.SILENCE
                    if silent and session.options.single_utterance and not session.flushed:
                        session.flushed = True
                        self._tell(dictation.Event.ENDPOINT_OF_SINGLE)

    def _send(self, session: _Session, cut: Cut) -> None:
        """Send the utterance that was cut to recognition."""
        utterance = Utterance(
            id=next(self._utterance_numbers),
            session_id=session.id,
            start_sample=cut.start_sample,
            samples=joined(session.audio, cut.start_sample, cut.end_sample),
            end_reason=cut.reason,
            speech_samples=cut.speech_samples,
        )
        self._last = _Last(utterance, session)
        self._metrics.count(Count.UTTERANCES)
        session.pending += 1
        session.backlog_s += utterance.duration_s
        job = _Job(session, utterance, self._loop.time())
        self._journal.cut(utterance, job.decided_s, session.endpoint, session.audio)
        self._jobs.put_nowait(job)
        if session.backlog_s > BACKLOG_LIMIT_S and self._dictation.phase is dictation.Phase.LISTENING:
            log.warning(
                "session %d: %.0f s of audio wait for recognition; no more is taken", session.id, BACKLOG_LIMIT_S
            )
            self._tell(dictation.Event.TIME_UP)

    def _forget_old_audio(self, session: _Session) -> None:
        lead = _samples(session.endpoint_settings.lead_ms)
        keep = session.endpoint.keep_from_sample
        if session.endpoint.phase is endpointing.Phase.SILENCE:
            keep = max(keep, session.fed_sample - lead - 2 * len(session.audio[-1].samples))
        while session.audio and session.audio[0].end_sample <= keep:
            session.audio.popleft()
        self._journal.forget(session.id, session.endpoint, session.audio)

    def _publish(self, job: _Job, hypothesis: Hypothesis) -> None:
        session, utterance = job.session, job.utterance
        if self._log_text:
            log.debug("utterance %d: %r", utterance.id, hypothesis.text)
        log.debug(
            "utterance %d: %.2f s of audio, %.3f s on %s, confidence %.2f",
            utterance.id, utterance.duration_s, hypothesis.inference_s, hypothesis.provider, hypothesis.confidence,
        )  # fmt: skip
        latency_s = self._loop.time() - job.decided_s
        self._metrics.recognized(hypothesis)
        self._metrics.took(Stage.QUEUE, latency_s - hypothesis.inference_s)
        self._metrics.took(Stage.ENDPOINT_TO_TEXT, latency_s)
        if not hypothesis.text:
            log.info("utterance %d held no words", utterance.id)
            self._metrics.count(Count.WITHOUT_WORDS)
            self._journal.settled(session.id, utterance.id)
            return
        session.texts.append(hypothesis.text)
        transcript = transcript_of(
            utterance,
            hypothesis,
            session_start_sample=session.start_sample,
            with_words=session.options.words,
            latency_s=latency_s,
        )
        self._announcer.transcribed(transcript, session.options.words, session.text_reader)
        self._announcer.when_accepted(partial(self._journal.settled, session.id, utterance.id))

    def _stop(self, session: _Session, called_s: float) -> None:
        session.end_sample = self._clock.sample_at(called_s) + _samples(self._settings.stop_tail_ms)
        self._tell(dictation.Event.STOP)

    def _flush(self, session: _Session) -> None:
        """The session hears no more: close what is open."""
        if not session.flushed:
            session.flushed = True
            self._step(session, Finish(session.fed_sample))
        self._on_hearing(False)
        self._conclude_if_drained(session)

    def _conclude_if_drained(self, session: _Session) -> None:
        if session.flushed and not session.pending and self._dictation.phase is dictation.Phase.DRAINING:
            self._tell(dictation.Event.DRAINED)

    def _tell(self, event: dictation.Event) -> None:
        self._carry_out(*dictation.step(self._dictation, event))

    def _carry_out(self, state: DictationState, effects: tuple[dictation.Effect, ...]) -> None:
        self._dictation = state
        session = self._session
        for effect in effects:
            if session is None:
                break
            match effect:
                case dictation.Effect.BEGIN:
                    pass
                case dictation.Effect.CLOSE_UTTERANCE:
                    self._step(session, Lost(session.fed_sample, session.fed_sample))
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
        self._announcer.state_changed()

    def _drain(self, session: _Session) -> None:
        """Wait for the frames up to the end where more are to come, and for the texts."""
        if session.flushed or session.end_sample is None or not self._dictation.capture:
            self._flush(session)
        else:
            late_s = FRAMES_LATE_S + self._settings.stop_tail_ms / 1000
            session.timers.append(self._loop.call_later(late_s, self._flush, session))

    def _end(self, session: _Session, reason: StopReason, transcript: str | None) -> None:
        """The session is over; None for a transcript that nobody shall have."""
        self._session = None
        self._busy_until_s = self._loop.time()
        if self._dictation.active:  # only at shutdown, with texts missing
            phase = dictation.Phase.IDLE if self._dictation.capture else dictation.Phase.UNAVAILABLE
            self._dictation = replace(self._dictation, phase=phase)
        for timer in session.timers:
            timer.cancel()
        session.audio.clear()
        session.flushed = True
        self._metrics.session_ended(reason)
        session.texts.clear()
        session.thrown_away = transcript is None
        if session.thrown_away and self._last is not None and self._last.session is session:
            self._last = None
        self._on_hearing(False)
        log.info("session %d ended: %s", session.id, reason)
        if transcript is None:
            self._journal.end(session.id)
        self._announcer.dictation_stopped(session.id, reason, transcript or "", session.text_reader)
        self._announcer.when_accepted(partial(self._journal.end, session.id))
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

    def _owned_session(self, caller: str) -> _Session:
        session = self._session
        if session is None:
            dictation.step(self._dictation, dictation.Event.STOP)  # raises NotActive
            raise AssertionError("a session is active and unknown")
        if session.options.private and session.caller != caller:
            raise NotOwner(f"Session {session.id} is private to another program; only that program can end it.")
        return session

    def _call_later(self, session: _Session, delay_s: float, event: dictation.Event) -> asyncio.TimerHandle:
        """Tell an event later, if the session still runs and the event still means something to it."""

        def tell() -> None:
            if session is self._session and event in dictation.TABLE[self._dictation.phase]:
                self._tell(event)

        timer = self._loop.call_later(delay_s, tell)
        session.timers.append(timer)
        return timer


def _samples(milliseconds: float) -> int:
    return round(milliseconds * SAMPLE_RATE / 1000)


def _level_db(samples: npt.NDArray[np.int16]) -> float:
    """Root mean square of int16 samples in dBFS, -96 at the lowest."""
    wide = samples.astype(np.float32)
    power = float(np.dot(wide, wide)) / len(samples)
    return max(-96.0, 10 * math.log10(power + 1e-9) - 20 * math.log10(32768))
