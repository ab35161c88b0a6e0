"""Dictation controller: handles requests of clients, and events of the capture and the machine."""

import asyncio
import contextlib
import itertools
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from coldvoxd.core.audio_values import Frame, Gap
from coldvoxd.core.errors import ColdvoxError, NoMicrophone, NotActive, NotOwner, NotReady, TextTimeout
from coldvoxd.core.ports import Announcer, Journal, SpeechDetector
from coldvoxd.core.problems import Problem
from coldvoxd.core.recipients import ends_with_caller, may_read
from coldvoxd.core.seams import SeamRules
from coldvoxd.core.sentences import sentences
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import EngineStatus, SessionOptions, State, StopReason
from coldvoxd.dictation import state as dictation
from coldvoxd.dictation.channel_selector import ChannelSelector
from coldvoxd.dictation.listening import Listening
from coldvoxd.dictation.partials import Partials
from coldvoxd.dictation.ports import Capture, RecognitionEngine
from coldvoxd.dictation.public_state import public_state
from coldvoxd.dictation.segmenter import Segmenter
from coldvoxd.dictation.session import Results, Session
from coldvoxd.dictation.session_runner import SessionRunner
from coldvoxd.dictation.sinks import Sinks
from coldvoxd.dictation.state import Event, Phase

log = logging.getLogger(__name__)

STOP_LIMIT_S = 20.0
"""Bus callers time out after 25 s by default; StopDictation answers before that."""


class DictationController:
    """Implements DictationControl, and processes the captured audio. Event loop only."""

    def __init__(
        self,
        detector: SpeechDetector,
        channels: ChannelSelector,
        engine: RecognitionEngine,
        capture: Capture,
        sinks: Sinks,
        *,
        endpoint: EndpointSettings,
        settings: DictationSettings,
        pre_roll_ms: int,
        first_number: int = 1,
        log_text: bool = False,
        on_hearing: Callable[[bool], None] = lambda _: None,
        stop_limit_s: float = STOP_LIMIT_S,
    ) -> None:
        """`first_number` must be greater than all session and utterance numbers of earlier processes of this login.

        `on_hearing` is called with True when a session starts to need the microphone, and with False when it stops.
        """
        self._engine = engine
        self._capture = capture
        self._sinks = sinks
        self._listening = Listening(detector, channels, sinks.metrics, endpoint, pre_roll_ms)
        self._runner = SessionRunner(
            engine, capture, self._listening, sinks, settings=settings, log_text=log_text, on_hearing=on_hearing
        )
        self._session_numbers = itertools.count(first_number)
        self._utterance_numbers = itertools.count(first_number)
        self._asleep = self._closing = self._is_reopening = False
        self._stop_limit_s = stop_limit_s
        self._microphone = ""
        self._interrupted = 0
        """The session that an earlier process did not complete; 0 if none, or if there is a newer one."""
        self.microphone_problem = ""
        """Why there is no microphone, as a sentence for the message of NoMicrophone."""

    def announce_to(self, announcer: Announcer) -> None:
        """Publish events to this announcer from now on."""
        self._sinks.announcer = announcer

    def keep_in(self, journal: Journal) -> None:
        """Store the audio of sessions in this journal from now on."""
        self._sinks.journal = journal

    def use_settings(
        self, *, endpoint: EndpointSettings, settings: DictationSettings, pre_roll_ms: int, log_text: bool
    ) -> None:
        """Use settings from the next session on."""
        self._listening.use_settings(endpoint, pre_roll_ms)
        self._runner.use_settings(settings, log_text=log_text)

    def on_battery(self, discharging: bool) -> None:
        """Handle a change to battery power, or back."""
        self._runner.on_battery(discharging)

    @property
    def partials(self) -> Partials:
        """Publishes words while they are spoken."""
        return self._runner.partials

    def next_utterance(self) -> int:
        """Return an unused utterance number."""
        return next(self._utterance_numbers)

    @property
    def seam_rules(self) -> SeamRules:
        """The rules for the seams of a session that starts now."""
        return self._runner.seam_rules

    @property
    def busy_until_s(self) -> float:
        """Loop time at which a session last ended or speech was last detected; infinity while a session runs."""
        idle = self._runner.session is None and self._runner.queue.idle
        return self._listening.busy_until_s if idle else math.inf

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return (*self._listening.problems, *self._runner.problems)

    # DictationControl: requests of bus clients.

    @property
    def state(self) -> State:
        return public_state(self._runner.state.phase, self.engine, is_asleep=self._asleep)

    @property
    def session(self) -> int:
        return self._runner.session.id if self._runner.session else 0

    @property
    def engine(self) -> EngineStatus:
        return self._engine.status

    @property
    def language(self) -> str:
        return self._runner.language_of(SessionOptions())

    def start(self, caller: str, options: SessionOptions, called_s: float) -> int:
        with self._listening.held():
            self._capture.catch_up()
            self._check_startable()
            try:
                state, effects = dictation.step(self._runner.state, Event.START)
            except NoMicrophone as error:
                if not self.microphone_problem:
                    raise
                raise NoMicrophone(sentences("No microphone delivers audio.", self.microphone_problem)) from error
            session = self._new_session(caller, options, called_s)
            self._interrupted = 0
            session.awaits_microphone = self._runner.state.at_rest and not self._is_reopening
            self._runner.begin(session, state, effects)
            return session.id

    def note_interrupted(self, session: int) -> None:
        """Name this session of an earlier process in the error of a call that wants to end it."""
        self._interrupted = session

    @contextlib.contextmanager
    def start_pending(self) -> Iterator[None]:
        with self._listening.held():
            yield

    async def stop(self, caller: str, called_s: float, session: int = 0) -> str:
        if session:
            self._check_active(session)
        return await self._stop(self._owned_session(caller), called_s)

    async def _stop(self, session: Session, called_s: float) -> str:
        if self._runner.state.phase is not Phase.DRAINING:
            self._runner.stop(session, called_s)
        try:
            async with asyncio.timeout(self._stop_limit_s):
                return await asyncio.shield(session.concluded)
        except TimeoutError:
            raise TextTimeout(
                f"The text of session {session.id} takes longer than {self._stop_limit_s:.0f} s; "
                "it is still sent to all listeners, such as `coldvoxctl listen`."
            ) from None

    async def cancel(self, caller: str) -> None:
        self._owned_session(caller)
        self._runner.advance(Event.CANCEL)

    def toggle(self, caller: str, called_s: float, options: SessionOptions | None = None) -> bool:
        session = self._runner.session
        if session is None or self._runner.state.phase is Phase.DRAINING:
            self.start(caller, options or SessionOptions(), called_s)
            return True
        self._runner.stop(self._owned_session(caller), called_s)
        return False

    def options_of(self, caller: str, session: int) -> SessionOptions:
        self._check_active(session)
        running = self._runner.session
        assert running is not None  # noqa: S101 - the active session
        if not may_read(caller, running.text_recipient):
            raise NotOwner(f"Session {session} is private to another program; only that program can read its options.")
        return running.options

    def caller_left(self, caller: str) -> None:
        session = self._runner.session
        if session and session.caller == caller and ends_with_caller(session.options):
            self._runner.advance(Event.CALLER_LEFT)

    # Events of the capture and the machine.

    def on_item(self, item: Frame | Gap) -> None:
        """Process a captured frame, or a gap of lost audio."""
        self._runner.hear(item)

    def on_capture(self, delivering: bool, problem: str = "", *, microphone: str = "") -> None:
        """Handle that the microphone starts or stops delivering. `problem` is the reason, a sentence for the user.

        `microphone` is the name of the one that delivers now.
        """
        if microphone != self._microphone and delivering:
            self._microphone = microphone
            self._listening.microphone_changed()
        self.microphone_problem = problem
        self._is_reopening = False
        session, state = self._runner.session, self._runner.state
        if delivering and session and session.blind_timer:
            session.blind_timer.cancel()
        if delivering != state.capture or state.at_rest:
            self._runner.advance(Event.RECOVERED if delivering else Event.CAPTURE_LOST)

    def on_reopening(self) -> None:
        """Handle that the microphone was closed to open another one: a session can start, and waits for that one."""
        if self._runner.state.capture:
            self._is_reopening = True
            self._runner.advance(Event.RELEASED)

    def on_release(self) -> None:
        """Handle that the microphone is being closed by policy: a session can still start, without a pre-roll."""
        self.microphone_problem = ""
        self._is_reopening = False
        self._listening.forget()
        if self._runner.state.capture or not self._runner.state.at_rest:
            self._runner.advance(Event.RELEASED)

    def on_closed(self) -> None:
        """Discard what the microphone has delivered since `on_release`: it is now closed by policy."""
        self._listening.forget()

    def on_screen_lock(self) -> None:
        """End the session with the audio so far: the microphone is about to be closed for a screen lock."""
        self._capture.catch_up()
        if self._runner.state.active:
            self._runner.advance(Event.SCREEN_LOCKED)

    def on_suspend(self) -> None:
        """End the session with the audio so far, and discard all other audio: the machine is about to sleep."""
        self._capture.catch_up()
        self._asleep = True
        if self._runner.state.active:
            self._runner.advance(Event.SUSPENDING)
        self._listening.forget()
        self._sinks.announcer.state_changed()

    def on_wake(self) -> None:
        """Allow sessions after the machine woke up. They wait for the microphone if it is not open yet."""
        self._asleep = False
        self.on_release()
        self._sinks.announcer.state_changed()

    async def drained(self) -> None:
        """Return once the running session, if any, has all its texts."""
        if self._runner.session is not None:
            await asyncio.wait({self._runner.session.concluded})

    async def run(self) -> None:
        """Recognize utterances in order until cancelled."""
        await self._runner.queue.run()

    async def shutdown(self, limit_s: float) -> None:
        """End the running session, waiting up to `limit_s` seconds for its texts. No session starts afterwards."""
        self._closing = True
        self._capture.catch_up()
        self._runner.advance(Event.SHUTDOWN)
        session = self._runner.session
        if session is None:
            return
        self._runner.finish_listening(session)
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.shield(session.concluded)
        except (TimeoutError, ColdvoxError):
            if self._runner.session is session:
                log.warning("session %d: text was still being recognized at shutdown", session.id)
                self._runner.end(session, StopReason.SHUTDOWN, session.results.text.text)

    # Internal.

    def _check_active(self, session: int) -> None:
        """Raise NotActive if this is not the number of the active session."""
        if session != self.session or not session:
            raise NotActive(f"Session {session} is not active. It may have ended by itself; see DictationStopped.")

    def _check_startable(self) -> None:
        """Raise NotReady if no session can start for a reason other than the microphone."""
        if self._closing:
            raise NotReady(
                "The daemon is stopping and does not start a session. Try again after it has been restarted."
            )
        if not self._runner.state.active:
            self._engine.check_ready()

    def _new_session(self, caller: str, options: SessionOptions, called_s: float) -> Session:
        options = replace(options, language=self._runner.language_of(options))
        start_sample = self._capture.sample_at(called_s)
        endpoint = self._runner.endpoint_of(options)
        head = SpooledSession(next(self._session_numbers), caller, "", options, start_sample, endpoint)
        segmenter = Segmenter(
            head,
            self._listening.floor_of(start_sample),
            self._sinks,
            numbers=self._utterance_numbers,
            features_size=lambda: self.engine.running.features_size,
        )
        concluded: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        concluded.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # retrieve the error in case no caller waits
        results = Results(SessionText(self.seam_rules))
        return Session(head.id, caller, options, called_s, start_sample, segmenter, concluded, results)

    def _owned_session(self, caller: str) -> Session:
        """Return the running session if the caller may end it. Raises NotActive or NotOwner."""
        session = self._runner.session
        if session is None and self._interrupted:
            raise NotActive(
                f"Session {self._interrupted} ended when the daemon was started again; its text is sent in signals. "
                "`coldvoxctl retry` recognizes its last utterance again."
            )
        if session is None:
            dictation.step(self._runner.state, Event.STOP)  # raises NotActive
            raise AssertionError("a session is active and unknown")
        if not may_read(caller, session.text_recipient):
            raise NotOwner(f"Session {session.id} is private to another program; only that program can end it.")
        return session
