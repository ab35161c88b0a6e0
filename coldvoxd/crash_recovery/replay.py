"""Recovery: finishes the sessions that an earlier process left in the spool."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol

from coldvoxd.core.errors import BusUnavailable, ColdvoxError, NotReady
from coldvoxd.core.ports import Announcer
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.transcripts import transcript_of
from coldvoxd.core.values import Hypothesis, StopReason, Utterance
from coldvoxd.crash_recovery.interrupted_session import InterruptedSession, PendingUtterance

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""Recognitions of one utterance that a process may die of, the one in the first process included."""
LOOK_AGAIN_S = 3.0
"""For a model that is missing."""


class CpuRecognizer(Protocol):
    """What recovery needs of the supervisor."""

    async def wait_loaded(self) -> None: ...

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis: ...

    def tell_error(self, message: str) -> None: ...


class Replay:
    """Recognizes on the CPU what is owed and tells it with the numbers it had, session by session. Event loop only.

    `is_here` says whether the one who began a session is still there to get what belongs to nobody else.
    """

    def __init__(
        self,
        leftovers: Iterable[InterruptedSession],
        engine: CpuRecognizer,
        announcer: Announcer,
        *,
        is_here: Callable[[SpooledSession], Awaitable[bool]],
        next_number: Callable[[], int],
        keep: Callable[[SpooledSession, Utterance], None],
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        """`keep` gets what was given up, for RetryLast."""
        self._leftovers = list(leftovers)
        self._engine = engine
        self._announcer = announcer
        self._is_here = is_here
        self._next_number = next_number
        self._keep = keep
        self._look_again_s = look_again_s

    @property
    def idle(self) -> bool:
        """Nothing is owed any more."""
        return not self._leftovers

    async def run(self) -> None:
        """Finish them all; ends when that is done. Raises BusUnavailable."""
        while self._leftovers:
            leftover = self._leftovers[0]
            try:
                await self._finish(leftover)
            except BusUnavailable:
                raise  # the next process finds them as they are
            except Exception as error:
                log.exception("session %d can't be finished", leftover.number)
                leftover.discard()
                self._engine.tell_error(
                    f"Session {leftover.number}, which the daemon's end interrupted, could not be finished "
                    f"({type(error).__name__}); what was said in it last is lost."
                )
            del self._leftovers[0]

    async def _finish(self, leftover: InterruptedSession) -> None:
        session = leftover.session
        owed = leftover.owed(self._next_number)
        log.info("session %d was interrupted; %d utterance(s) of it are still owed", session.id, len(owed))
        reader = session.recipient
        texts: list[str] = []
        for one in owed:
            if not await self._may_go_on(session):
                break
            hypothesis = await self._recognize(leftover, one)
            if not await self._may_go_on(session):
                break
            if hypothesis is not None:
                self._tell(leftover, one, hypothesis, reader)
                texts.append(hypothesis.text)
        if await self._may_go_on(session):
            self._end(leftover, StopReason.RESTARTED, " ".join(filter(None, texts)), reader)
        else:
            leftover.discard_all()
            self._end(leftover, StopReason.CALLER_LEFT, "", None)

    async def _may_go_on(self, session: SpooledSession) -> bool:
        return not session.bound or await self._is_here(session)

    async def _recognize(self, leftover: InterruptedSession, one: PendingUtterance) -> Hypothesis | None:
        """What was said; None where that is given up."""
        utterance = one.utterance
        if one.attempts >= ATTEMPTS:
            self._give_up(leftover, utterance, f"the daemon died of it {one.attempts} times")
            return None
        while True:
            try:
                await self._engine.wait_loaded()
            except NotReady:
                await asyncio.sleep(self._look_again_s)
            else:
                break
        leftover.attempt(utterance)
        try:
            return await self._engine.recognize_on_cpu(utterance)
        except ColdvoxError as fault:
            self._give_up(leftover, utterance, str(fault))
            return None

    def _give_up(self, leftover: InterruptedSession, utterance: Utterance, why: str) -> None:
        leftover.quarantine(utterance)
        leftover.settled(utterance)
        self._keep(leftover.session, utterance)
        self._engine.tell_error(
            f"Utterance {utterance.id} of session {utterance.session_id} was given up: {why}. "
            "RetryLast has it until there is a newer one or the daemon is stopped."
        )

    def _tell(
        self, leftover: InterruptedSession, one: PendingUtterance, hypothesis: Hypothesis, reader: str | None
    ) -> None:
        settled = partial(leftover.settled, one.utterance)
        if not hypothesis.text:
            log.info("utterance %d held no words", one.utterance.id)
            settled()
            return
        now_s = asyncio.get_running_loop().time()
        transcript = transcript_of(
            one.utterance,
            hypothesis,
            session_start_sample=leftover.session.start_sample,
            with_words=leftover.session.options.words,
            latency_s=now_s - one.decided_s if one.decided_s is not None else hypothesis.inference_s,
            retried=True,
        )
        self._announcer.transcribed(transcript, leftover.session.options.words, reader)
        self._announcer.when_accepted(settled)

    def _end(self, leftover: InterruptedSession, reason: StopReason, transcript: str, reader: str | None) -> None:
        log.info("session %d ended: %s", leftover.number, reason)
        self._announcer.dictation_stopped(leftover.number, reason, transcript, reader)
        self._announcer.when_accepted(leftover.discard)
