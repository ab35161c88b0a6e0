"""Replay: finishes the sessions that an earlier process left in the spool."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol

from coldvoxd.core.errors import BusUnavailable, ColdvoxError, NotReady
from coldvoxd.core.ports import Announcer
from coldvoxd.core.seams import NO_SEAMS, SeamRules
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.transcripts import transcript_of
from coldvoxd.core.values import Hypothesis, StopReason, Utterance
from coldvoxd.crash_recovery.interrupted_session import InterruptedSession, PendingUtterance

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 2
"""Maximum number of recognitions of one utterance that may crash a process, including the first process."""
MODEL_RETRY_S = 3.0
"""Seconds between two checks for a missing model."""


class CpuRecognizer(Protocol):
    """Interface of the recognition engine that the replay requires."""

    async def wait_loaded(self) -> None:
        """Return once the model is loaded. Raises NotReady if it is missing."""
        ...

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        """Recognize without the accelerator, which may have crashed the earlier process. Raises ColdvoxError."""
        ...

    def report_error(self, message: str) -> None:
        """Publish a message in LastError."""
        ...


class Replay:
    """Recognizes pending utterances on the CPU and publishes them under their original numbers. Event loop only.

    Sessions are finished one after another. `is_here` returns whether the client that started a session is still on
    the bus; without that client a bound session is discarded.
    """

    def __init__(
        self,
        sessions: Iterable[InterruptedSession],
        engine: CpuRecognizer,
        announcer: Announcer,
        *,
        is_here: Callable[[SpooledSession], Awaitable[bool]],
        next_number: Callable[[], int],
        keep: Callable[[SpooledSession, Utterance], None],
        seam_rules: SeamRules = NO_SEAMS,
        model_retry_s: float = MODEL_RETRY_S,
    ) -> None:
        """`next_number` returns an unused utterance number. `keep` receives what RetryLast may recognize again.

        That is the last utterance of a session, or those that were given up. `seam_rules` apply to all sessions.
        """
        self._sessions = list(sessions)
        self._engine = engine
        self._announcer = announcer
        self._is_here = is_here
        self._next_number = next_number
        self._keep = keep
        self._seam_rules = seam_rules
        self._model_retry_s = model_retry_s

    @property
    def idle(self) -> bool:
        """Whether every interrupted session is finished."""
        return not self._sessions

    async def run(self) -> None:
        """Finish all interrupted sessions, then return. Raises BusUnavailable."""
        while self._sessions:
            interrupted = self._sessions[0]
            try:
                await self._finish(interrupted)
            except BusUnavailable:
                raise  # the next process finds the sessions unchanged
            except Exception as error:
                log.exception("session %d cannot be completed", interrupted.number)
                interrupted.discard()
                self._engine.report_error(
                    f"Session {interrupted.number}, interrupted by the exit of the daemon, could not be completed "
                    f"({type(error).__name__}); its last audio is lost."
                )
            del self._sessions[0]

    async def _finish(self, interrupted: InterruptedSession) -> None:
        session = interrupted.session
        pending = interrupted.pending(self._next_number)
        log.info("session %d was interrupted; %d utterance(s) of it are pending", session.id, len(pending))
        text = SessionText(self._seam_rules, interrupted.pending_mark(pending))
        given_up = False
        for one in pending:
            if not await self._may_continue(session):
                break
            if not (session.bound or given_up):
                self._keep(session, one.utterance)
            one = replace(one, utterance=text.following(one.utterance))  # noqa: PLW2901
            hypothesis = await self._recognize(interrupted, one)
            given_up = given_up or hypothesis is None
            if not await self._may_continue(session):
                break
            if hypothesis is not None:
                self._publish(interrupted, one, hypothesis, text)
            else:
                text.fail()
        if await self._may_continue(session):
            if pending and not given_up:
                self._keep(session, pending[-1].utterance)
            self._end(interrupted, StopReason.RESTARTED, text.text, session.recipient)
        else:
            interrupted.discard_all()
            self._end(interrupted, StopReason.CALLER_LEFT, "", None)

    async def _may_continue(self, session: SpooledSession) -> bool:
        return not session.bound or await self._is_here(session)

    async def _recognize(self, interrupted: InterruptedSession, one: PendingUtterance) -> Hypothesis | None:
        """Return the recognizer's answer; None if the utterance was given up."""
        utterance = one.utterance
        if one.attempts >= MAX_ATTEMPTS:
            self._give_up(interrupted, utterance, f"the daemon crashed {one.attempts} times while recognizing it")
            return None
        await self._wait_loaded()
        interrupted.attempt(utterance)
        try:
            return await self._engine.recognize_on_cpu(utterance)
        except ColdvoxError as error:
            self._give_up(interrupted, utterance, str(error))
            return None

    async def _wait_loaded(self) -> None:
        """Return once the model is loaded, however long that takes."""
        while True:
            try:
                await self._engine.wait_loaded()
            except NotReady:
                await asyncio.sleep(self._model_retry_s)
            else:
                return

    def _give_up(self, interrupted: InterruptedSession, utterance: Utterance, why: str) -> None:
        interrupted.quarantine(utterance)
        interrupted.settled(utterance)
        self._keep(interrupted.session, utterance)
        self._engine.report_error(
            f"Utterance {utterance.id} of session {utterance.session_id} was given up: {why}. "
            "`coldvoxctl retry` can recognize it until the next utterance, or until the daemon is stopped."
        )

    def _publish(
        self, interrupted: InterruptedSession, one: PendingUtterance, hypothesis: Hypothesis, text: SessionText
    ) -> None:
        session = interrupted.session
        settled = partial(interrupted.settled, one.utterance)
        if not hypothesis.text:
            log.info("utterance %d has no words", one.utterance.id)
            settled()
            return
        seamed = text.add(one.utterance, hypothesis)
        interrupted.pending_mark_of(one.utterance, seamed.pending)
        now_s = asyncio.get_running_loop().time()
        transcript = transcript_of(
            one.utterance,
            hypothesis,
            session_start_sample=session.start_sample,
            with_words=session.options.words,
            latency_s=now_s - one.decided_s if one.decided_s is not None else hypothesis.inference_s,
            retried=True,
            seamed=seamed,
        )
        self._announcer.transcribed(transcript, session.options.words, session.recipient)
        self._announcer.when_accepted(settled)

    def _end(self, interrupted: InterruptedSession, reason: StopReason, transcript: str, recipient: str | None) -> None:
        log.info("session %d ended: %s", interrupted.number, reason)
        self._announcer.dictation_stopped(interrupted.number, reason, transcript, recipient)
        self._announcer.when_accepted(interrupted.discard)
