"""Texts: what sessions say is recognized in order, and told."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from coldvoxd.core.errors import ColdvoxError, RecognitionFailed
from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.transcripts import transcript_of
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.dictation.session import Session
from coldvoxd.dictation.sinks import Sinks
from coldvoxd.dictation.speculation import Budget

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    session: Session
    utterance: Utterance
    decided_s: float | None = None
    """When it was cut; None while more may still be said."""
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    """It was cut, or is wanted no more."""
    dropped: bool = False
    recognition: "asyncio.Task[Hypothesis] | None" = None

    def cut(self, utterance: Utterance, now_s: float) -> None:
        """That is what was said, and all of it."""
        self.utterance, self.decided_s = utterance, now_s
        self.decided.set()

    def drop(self) -> None:
        """Nobody wants to know any more."""
        self.dropped = True
        self.decided.set()
        if self.recognition is not None:
            self.recognition.cancel()


class RecognitionQueue:
    """The queue before the recognizer. Event loop only.

    An utterance may be begun early, in a pause in which more may still be said: its text is told once it is cut, and its
    recognition stopped where it is dropped. `on_answered` is told of each utterance of a session that still runs, once
    its text was told or there is none. `recognize` is stopped by cancelling it.
    """

    def __init__(
        self,
        recognize: Callable[[Utterance], Coroutine[Any, Any, Hypothesis]],
        outlets: Sinks,
        on_answered: Callable[[Session], None],
    ) -> None:
        self.log_text = False
        self.share_in_vain = 0.0
        """How much of the recognition may be in vain for being begun early; 0 for beginning none early."""
        self._recognize = recognize
        self._outlets = outlets
        self._on_answered = on_answered
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._early: _Job | None = None
        """What was begun early, while more may still be said; the last one in the queue or in hand."""
        self._in_hand: _Job | None = None
        self._budget = Budget()
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        """Nothing is being recognized nor waits for it."""
        return self._jobs.empty() and self._in_hand is None

    def begin_early(self, session: Session, utterance: Utterance) -> None:
        """What was said may be over: recognize it, if the budget has room for that."""
        self.drop_early()
        if self._budget.allows(self.share_in_vain):
            self._early = _Job(session, utterance)
            self._jobs.put_nowait(self._early)

    def drop_early(self) -> None:
        """More is said."""
        early, self._early = self._early, None
        if early is not None:
            early.drop()

    def send(self, session: Session, utterance: Utterance) -> None:
        """An utterance that was cut just now."""
        self._outlets.metrics.count(Count.UTTERANCES)
        session.pending += 1
        session.backlog_s += utterance.duration_s
        now_s = self._loop.time()
        self._outlets.journal.cut(utterance, now_s, session.endpoint, session.audio)
        early, self._early = self._early, None
        if early is not None and _same_audio(early.utterance, utterance):
            early.cut(utterance, now_s)
            return
        if early is not None:
            early.drop()
        job = _Job(session, utterance)
        job.cut(utterance, now_s)
        self._jobs.put_nowait(job)

    def forget(self, session: Session) -> None:
        """The session is over: nobody wants to know what it said."""
        if self._early is not None and self._early.session is session:
            self.drop_early()
        if self._in_hand is not None and self._in_hand.session is session:
            self._in_hand.drop()

    async def run(self) -> None:
        """Recognize what sessions hear, in order; ends by cancellation."""
        while True:
            job = await self._jobs.get()
            if job.dropped or job.session.over:
                continue
            self._in_hand = job
            try:
                await self._answer(job)
            finally:
                self._in_hand = None
            if job.decided_s is None:
                continue
            job.session.pending -= 1
            job.session.backlog_s -= job.utterance.duration_s
            if not job.session.over:
                self._on_answered(job.session)

    async def _answer(self, job: _Job) -> None:
        """Recognize it, and tell its text once it is cut."""
        session, number, began_early = job.session, job.utterance.id, job.decided_s is None
        journal, metrics = self._outlets.journal, self._outlets.metrics
        journal.attempt(session.id, number)
        if began_early:
            metrics.count(Count.SPECULATIVE)
        began_s = self._loop.time()
        job.recognition = recognition = asyncio.create_task(self._recognize(job.utterance), name="utterance")
        try:
            await asyncio.wait({recognition})
            took_s = self._loop.time() - began_s
            await job.decided.wait()
        finally:
            recognition.cancel()
        fault = _fault_of(recognition)
        if fault is not None and not isinstance(fault, ColdvoxError):
            raise fault
        if job.dropped:
            if began_early and job.decided_s is None:
                self._in_vain(job, took_s)
        elif fault is not None:
            log.error("utterance %d is lost: %s", number, fault)
            session.failures.append(str(fault))
            metrics.count(Count.FAILED)
            journal.settled(session.id, number)
        else:
            if began_early:
                metrics.count(Count.SPECULATIVE_USED)
            hypothesis = recognition.result()
            self._budget = self._budget.used(hypothesis.inference_s)
            self._tell(job, hypothesis)

    def _in_vain(self, job: _Job, took_s: float) -> None:
        self._outlets.journal.survived(job.session.id, job.utterance.id)
        self._budget = self._budget.wasted(took_s)
        self._outlets.metrics.took(Stage.SPECULATION_DISCARDED, took_s)
        log.debug("utterance %d continues; %.3f s of speculative recognition discarded", job.utterance.id, took_s)

    def _tell(self, job: _Job, hypothesis: Hypothesis) -> None:
        session, utterance = job.session, job.utterance
        if self.log_text:
            log.debug("utterance %d: %r", utterance.id, hypothesis.text)
        log.debug(
            "utterance %d: %.2f s of audio, %.3f s on %s, confidence %.2f",
            utterance.id, utterance.duration_s, hypothesis.inference_s, hypothesis.provider, hypothesis.confidence,
        )  # fmt: skip
        now_s = self._loop.time()
        latency_s = now_s - (now_s if job.decided_s is None else job.decided_s)
        metrics, journal = self._outlets.metrics, self._outlets.journal
        metrics.recognized(hypothesis)
        metrics.took(Stage.QUEUE, latency_s - hypothesis.inference_s, hypothesis.provider)
        metrics.took(Stage.ENDPOINT_TO_TEXT, latency_s, hypothesis.provider)
        if not hypothesis.text:
            log.info("utterance %d has no words", utterance.id)
            metrics.count(Count.WITHOUT_WORDS)
            journal.settled(session.id, utterance.id)
            return
        session.texts.append(hypothesis.text)
        transcript = transcript_of(
            utterance,
            hypothesis,
            session_start_sample=session.start_sample,
            with_words=session.options.words,
            latency_s=latency_s,
        )
        self._outlets.announcer.transcribed(transcript, session.options.words, session.text_reader)
        self._outlets.announcer.when_accepted(partial(journal.settled, session.id, utterance.id))


def _fault_of(recognition: "asyncio.Task[Hypothesis]") -> BaseException | None:
    """Why a recognition that has ended gave no hypothesis; None where it gave one."""
    if recognition.cancelled():  # by what it waited for, unless its job was dropped: the queue itself goes on
        return RecognitionFailed("The recognizer was released while it was running.")
    return recognition.exception()


def _same_audio(one: Utterance, other: Utterance) -> bool:
    """Whether two utterances of one session hold the same samples."""
    return one.start_sample == other.start_sample and len(one.samples) == len(other.samples)
