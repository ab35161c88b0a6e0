"""Texts: what sessions say is recognized in order, and told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.transcripts import transcript_of
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.outlets import Outlets
from coldvoxd.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    session: Session
    utterance: Utterance
    decided_s: float


class Texts:
    """The queue before the recognizer. Event loop only.

    `on_answered` is told of each utterance of a session that still runs, once its text was told or there is none.
    """

    def __init__(
        self,
        recognize: Callable[[Utterance], Awaitable[Hypothesis]],
        outlets: Outlets,
        on_answered: Callable[[Session], None],
    ) -> None:
        self.log_text = False
        self._recognize = recognize
        self._outlets = outlets
        self._on_answered = on_answered
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._recognizing = False

    @property
    def idle(self) -> bool:
        """Nothing is being recognized nor waits for it."""
        return self._jobs.empty() and not self._recognizing

    def send(self, session: Session, utterance: Utterance) -> None:
        """An utterance that was cut just now."""
        self._outlets.metrics.count(Count.UTTERANCES)
        session.pending += 1
        session.backlog_s += utterance.duration_s
        job = _Job(session, utterance, self._loop.time())
        self._outlets.journal.cut(utterance, job.decided_s, session.endpoint, session.audio)
        self._jobs.put_nowait(job)

    async def run(self) -> None:
        """Recognize what sessions hear, in order; ends by cancellation."""
        while True:
            job = await self._jobs.get()
            session = job.session
            if session.over:
                continue
            self._outlets.journal.attempt(session.id, job.utterance.id)
            self._recognizing = True
            try:
                hypothesis = await self._recognize(job.utterance)
            except ColdvoxError as fault:
                log.error("utterance %d is lost: %s", job.utterance.id, fault)  # noqa: TRY400 - the message says it
                session.failures.append(str(fault))
                self._outlets.metrics.count(Count.FAILED)
                self._outlets.journal.settled(session.id, job.utterance.id)
            else:
                if not session.over:
                    self._tell(job, hypothesis)
            self._recognizing = False
            session.pending -= 1
            session.backlog_s -= job.utterance.duration_s
            if not session.over:
                self._on_answered(session)

    def _tell(self, job: _Job, hypothesis: Hypothesis) -> None:
        session, utterance = job.session, job.utterance
        if self.log_text:
            log.debug("utterance %d: %r", utterance.id, hypothesis.text)
        log.debug(
            "utterance %d: %.2f s of audio, %.3f s on %s, confidence %.2f",
            utterance.id, utterance.duration_s, hypothesis.inference_s, hypothesis.provider, hypothesis.confidence,
        )  # fmt: skip
        latency_s = self._loop.time() - job.decided_s
        metrics, journal = self._outlets.metrics, self._outlets.journal
        metrics.recognized(hypothesis)
        metrics.took(Stage.QUEUE, latency_s - hypothesis.inference_s)
        metrics.took(Stage.ENDPOINT_TO_TEXT, latency_s)
        if not hypothesis.text:
            log.info("utterance %d held no words", utterance.id)
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
