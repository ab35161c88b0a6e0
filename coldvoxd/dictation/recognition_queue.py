"""Recognition queue: recognizes utterances in order, and publishes their texts."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from coldvoxd.core.errors import ColdvoxError, RecognitionFailed
from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.seams import SeamContext
from coldvoxd.core.settings import DictationSettings
from coldvoxd.core.transcripts import transcript_of
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.dictation.partials import Partials
from coldvoxd.dictation.session import Session
from coldvoxd.dictation.sinks import Sinks
from coldvoxd.dictation.speculation import Budget

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    session: Session
    utterance: Utterance
    decided_s: float | None = None
    """Loop time at which the utterance was cut; None while speech may still continue."""
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the utterance was cut or dropped."""
    dropped: bool = False
    recognition: "asyncio.Task[Hypothesis] | None" = None
    context: SeamContext | None = None
    """The context with which it is recognized."""

    def cut(self, utterance: Utterance, decided_s: float) -> None:
        """Set the complete utterance, and the loop time at which it was cut."""
        self.utterance, self.decided_s = utterance, decided_s
        self.decided.set()

    def drop(self) -> None:
        """Stop the recognition, because its result is no longer needed."""
        self.dropped = True
        self.decided.set()
        if self.recognition is not None:
            self.recognition.cancel()


class RecognitionQueue:
    """Recognizes one utterance at a time. Event loop only.

    Recognition of an utterance may start speculatively, in a pause after which speech may still continue. The text is
    published once the utterance is cut; if speech continues, the run is dropped.
    """

    def __init__(
        self,
        recognize: Callable[[Utterance], Coroutine[Any, Any, Hypothesis]],
        sinks: Sinks,
        partials: Partials,
        on_answered: Callable[[Session], None],
        settings: DictationSettings,
        *,
        log_text: bool,
    ) -> None:
        """`recognize` stops when cancelled. `on_answered` is called after each result of a session that is not over."""
        self.log_text = log_text
        self._recognize = recognize
        self._partials = partials
        self._sinks = sinks
        self._on_answered = on_answered
        self._settings = settings
        self._on_battery = False
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._early: _Job | None = None
        """The speculative job that is not decided: the last in the queue, or the one in progress."""
        self._in_hand: _Job | None = None
        self._budget = Budget()
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        """Whether no utterance is being recognized or is queued."""
        return self._jobs.empty() and self._in_hand is None

    def use_settings(self, settings: DictationSettings, *, log_text: bool) -> None:
        """Use settings from the next utterance on."""
        self._settings, self.log_text = settings, log_text

    def on_battery(self, discharging: bool) -> None:
        """Apply the speculation share for battery power, or for mains power."""
        self._on_battery = discharging

    def begin_early(self, session: Session, utterance: Utterance) -> None:
        """Start to recognize an utterance speculatively in a pause of speech, if the budget allows it."""
        self.drop_early()
        if self._budget.allows(self._speculation_share):
            self._early = _Job(session, utterance)
            self._jobs.put_nowait(self._early)

    def drop_early(self) -> None:
        """Drop the speculative run, because speech continues."""
        early, self._early = self._early, None
        if early is not None:
            early.drop()

    def send(self, session: Session, utterance: Utterance, decided_s: float) -> None:
        """Recognize an utterance that was cut at this loop time, or use a speculative run of the same audio."""
        self._sinks.metrics.count(Count.UTTERANCES)
        session.results.pending += 1
        session.results.backlog_s += utterance.duration_s
        early, self._early = self._early, None
        if early is not None and _same_audio(early.utterance, utterance):
            early.cut(utterance, decided_s)
            return
        if early is not None:
            early.drop()
        job = _Job(session, utterance)
        job.cut(utterance, decided_s)
        self._jobs.put_nowait(job)

    def forget(self, session: Session) -> None:
        """Drop the runs of a session that is over, speculative or in progress. Queued jobs are skipped later."""
        if self._early is not None and self._early.session is session:
            self.drop_early()
        if self._in_hand is not None and self._in_hand.session is session:
            self._in_hand.drop()

    def close_sentence(self, session: Session, sample: int, *, has_ended: bool = False) -> None:
        """Publish that the session's last sentence is over, if no speech before this sample continues it.

        Not while an utterance has no result yet, unless that has just `has_ended`: it may continue the sentence.
        """
        if session.results.pending and not has_ended:
            return
        if utterance := session.results.text.close(sample):
            self._sinks.announcer.sentence_closed(session.id, utterance, session.text_recipient)

    async def run(self) -> None:
        """Recognize utterances in order until cancelled."""
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
            job.session.results.pending -= 1
            job.session.results.backlog_s -= job.utterance.duration_s
            if not job.session.over:
                self._on_answered(job.session)

    @property
    def _speculation_share(self) -> float:
        """Recognition time that may be wasted, as a share of the useful recognition time; 0 for no speculation."""
        if not self._settings.speculate:
            return 0.0
        return self._settings.speculate_share_on_battery if self._on_battery else self._settings.speculate_share

    async def _answer(self, job: _Job) -> None:
        """Recognize an utterance, and publish its text once the utterance is cut."""
        session, number, began_early = job.session, job.utterance.id, job.decided_s is None
        journal, metrics = self._sinks.journal, self._sinks.metrics
        journal.attempt(session.id, number)
        if began_early:
            metrics.count(Count.SPECULATIVE)
        began_s = self._loop.time()
        # All earlier utterances of the session have a result: the queue is in order.
        utterance = replace(session.results.text.following(job.utterance), alternatives=session.options.alternatives)
        job.context = utterance.context
        job.recognition = recognition = asyncio.create_task(self._recognize(utterance), name="utterance")
        try:
            await asyncio.wait({recognition})
            took_s = self._loop.time() - began_s
            if not job.decided.is_set() and _fault_of(recognition) is None:
                self._partials.note(session, utterance, recognition.result().text)
            await job.decided.wait()
        finally:
            recognition.cancel()
            recognition.add_done_callback(_fault_of)  # marks its error as retrieved in case this task is cancelled
        self._sinks.last_utterance.note_words_before(utterance)
        fault = _fault_of(recognition)
        if fault is not None and not isinstance(fault, ColdvoxError):
            raise fault
        if job.dropped:
            if began_early and job.decided_s is None:
                self._note_wasted(job, took_s)
        elif fault is not None:
            log.error("recognition of utterance %d failed: %s", number, fault)
            self._partials.withdraw(session, number)
            session.results.failures.append(str(fault))
            session.results.text.fail()
            metrics.count(Count.FAILED)
            journal.settled(session.id, number)
        else:
            if began_early:
                metrics.count(Count.SPECULATIVE_USED)
            hypothesis = recognition.result()
            self._budget = self._budget.used(hypothesis.inference_s)
            self._publish(job, hypothesis)

    def _note_wasted(self, job: _Job, took_s: float) -> None:
        self._sinks.journal.survived(job.session.id, job.utterance.id)
        self._budget = self._budget.wasted(took_s)
        self._sinks.metrics.took(Stage.SPECULATION_DISCARDED, took_s)
        log.debug("utterance %d continues; %.3f s of speculative recognition discarded", job.utterance.id, took_s)

    def _publish(self, job: _Job, hypothesis: Hypothesis) -> None:
        session, utterance = job.session, job.utterance
        if self.log_text:
            log.debug("utterance %d: %r", utterance.id, hypothesis.text)
        log.debug(
            "utterance %d: %.2f s of audio, %.3f s on %s, confidence %.2f",
            utterance.id, utterance.duration_s, hypothesis.inference_s, hypothesis.provider, hypothesis.confidence,
        )  # fmt: skip
        now_s = self._loop.time()
        latency_s = now_s - (now_s if job.decided_s is None else job.decided_s)
        metrics, journal = self._sinks.metrics, self._sinks.journal
        metrics.recognized(hypothesis)
        metrics.took(Stage.QUEUE, latency_s - hypothesis.inference_s, hypothesis.provider)
        metrics.took(Stage.ENDPOINT_TO_TEXT, latency_s, hypothesis.provider)
        if not hypothesis.text:
            log.info("utterance %d has no words", utterance.id)
            self._partials.withdraw(session, utterance.id)
            metrics.count(Count.WITHOUT_WORDS)
            journal.settled(session.id, utterance.id)
            return
        self._partials.forget(utterance.id)
        self.close_sentence(session, utterance.speech_start_sample, has_ended=True)
        seamed = session.results.text.add(replace(utterance, context=job.context), hypothesis)
        transcript = transcript_of(
            utterance,
            hypothesis,
            session_start_sample=session.start_sample,
            with_words=session.options.words,
            latency_s=latency_s,
            seamed=seamed,
        )
        journal.pending_mark(session.id, utterance.id, seamed.pending)
        self._sinks.announcer.transcribed(transcript, session.options.words, session.text_recipient)
        self._sinks.announcer.when_accepted(partial(journal.settled, session.id, utterance.id))


def _fault_of(recognition: "asyncio.Task[Hypothesis]") -> BaseException | None:
    """Return the error of a recognition that has ended; None if it returned a hypothesis."""
    if recognition.cancelled():  # by the recognizer, unless the job was dropped: the queue itself was not cancelled
        return RecognitionFailed("The recognizer was released while it was running.")
    return recognition.exception()


def _same_audio(one: Utterance, other: Utterance) -> bool:
    """Return whether two utterances of one session hold the same samples."""
    spans = {(each.start_sample, len(each.samples), each.overlap.lead, each.overlap.tail) for each in (one, other)}
    return len(spans) == 1
