"""Hedging: an utterance goes to the accelerator and, if that is slow, also to the CPU. The first valid answer wins."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from coldvoxd.core.errors import InputFault, ProviderFault, RecognitionFailed, Stopped
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.recognition.warmup import Warmup
from coldvoxd.recognition.worker import RecognizerWorker, Run, class_of, first_valid

log = logging.getLogger(__name__)
T = TypeVar("T")

LATE_IN_A_ROW = 3
"""Number of consecutive utterances in which the CPU overtakes the accelerator before it is taken out of use."""
CLOSE_AFTER_S = 1.0
"""Seconds before a model is closed, so that the CPU first recognizes what the accelerator could not."""
REPEATED = (RecognitionFailed, InputFault)
"""Errors that the CPU raises if it ran and failed on the same audio. Other errors say nothing about the audio."""


class Hedging:
    """Runs utterances on the accelerator. Event loop only.

    `in_use` returns whether utterances go to the accelerator; `report_fault` is called for each of its faults.

    If the CPU fails on the same audio as the accelerator, the audio is the cause, and no fault of the accelerator is
    reported. Only a sticky fault is always reported, because the accelerator's context is broken in any case.
    """

    def __init__(
        self,
        accelerator: RecognizerWorker,
        metrics: Metrics,
        *,
        recognize_on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
        in_use: Callable[[], bool],
        report_fault: Callable[[FaultClass, Reason, str], None],
        warmup: Warmup,
    ) -> None:
        self._accelerator = accelerator
        self._limit_s = accelerator.limits.accelerator_run_s
        self._metrics = metrics
        self._recognize_on_cpu = recognize_on_cpu
        self._in_use = in_use
        self._report_fault = report_fault
        self._warmup = warmup
        self._late: set[Run[Hypothesis]] = set()
        """Runs that exceeded the hedge limit and have not ended."""
        self._late_in_a_row = 0

    @property
    def occupied(self) -> bool:
        """Whether a late run occupies the accelerator's call thread."""
        return bool(self._late)

    def begin(self) -> None:
        """Start to use the accelerator."""
        self._late_in_a_row = 0
        self._warmup.begin()

    def close_accelerator(self, *, at_once: bool = False) -> None:
        """Close the accelerator's recognizer. If a late run still occupies its call thread, abandon both."""
        self._warmup.end()
        if self._late:
            self._accelerator.abandon()
        else:
            self._accelerator.drop(0.0 if at_once else CLOSE_AFTER_S)

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Recognize on the accelerator, and after `hedge_s` also on the CPU. Raises InputFault and the CPU's errors."""
        accelerator = self._accelerator
        hedge_s = accelerator.times.hedge_s
        run: Run[Hypothesis] | None = None
        try:
            run = accelerator.start(utterance)
            with accelerator.awaiting(run, self._limit_s, self._abandon_if_over_limit):
                await asyncio.wait({run.answer}, timeout=hedge_s)
            if run.answer.done():
                hypothesis = run.answer.result()
                accelerator.learn(run)
                self._late_in_a_row = 0
                return hypothesis
        except asyncio.CancelledError:
            if run is not None:
                self._report_fault_of_dropped(run)
            raise
        except InputFault:
            raise
        except Exception as error:  # noqa: BLE001 - the CPU recognizes after any error of a driver
            return await self._judge(error, utterance, run)
        log.info(
            "utterance %d takes long on %s; also starting it on the CPU after %.3f s",
            utterance.id, accelerator.name, hedge_s,
        )  # fmt: skip
        self._metrics.count(Count.HEDGES)
        return await self._race(run, hedge_s)

    async def recognize_partial(self, utterance: Utterance) -> Hypothesis:
        """Recognize on the accelerator alone, and learn nothing. Raises ColdvoxError.

        Faults that only concern this run are not reported: the utterance itself will show them, with the CPU's result to
        judge them by. A sticky fault and a run that hangs affect that utterance, so they are reported.
        """
        return await self._answer_of_minor(self._accelerator.start(utterance))

    async def encode_ahead(self, utterances: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
        """Encode utterances ahead, as `RecognizerWorker.start_ahead` does. Faults are treated as in `recognize_partial`."""
        return await self._answer_of_minor(self._accelerator.start_ahead(utterances))

    async def _answer_of_minor(self, run: Run[T]) -> T:
        """Wait for a run that no text depends on. Raises ColdvoxError."""
        self._report_fault_of_dropped(run, only_sticky=True)
        try:
            return await self._accelerator.answer_within(run, self._limit_s, self._abandon_if_over_limit)
        except TimeoutError:
            self._abandon_if_over_limit(run)
            raise ProviderFault(f"a run on {self._accelerator.name} exceeded {self._limit_s:g} s") from None

    async def _race(self, run: Run[Hypothesis], hedge_s: float) -> Hypothesis:
        """Return the first valid answer of a late run and the CPU."""
        loop = asyncio.get_running_loop()
        give_up = loop.call_later(self._limit_s - hedge_s, self._abandon_if_over_limit, run)
        run.answer.add_done_callback(lambda _: give_up.cancel())
        self._late.add(run)
        run.answer.add_done_callback(lambda _: self._late.discard(run))
        try:
            used = await first_valid(run, self._recognize_on_cpu(run.utterance))
        except asyncio.CancelledError:
            run.stop.ask()  # neither answer is needed any more, so neither run has overtaken the other
            self._report_fault_of_dropped(run)
            raise
        except Exception as error:
            self._settle(run, None, hedge_s, repeated=isinstance(error, REPEATED))
            raise
        self._settle(run, used, hedge_s)
        return used

    async def _judge(self, error: Exception, utterance: Utterance, run: Run[Hypothesis] | None) -> Hypothesis:
        """Recognize on the CPU after the accelerator failed; the result shows whether the audio was the cause."""
        fault_class, _ = class_of(error)
        if fault_class is FaultClass.STICKY:
            self._failed(error, utterance, run)
            return await self._recognize_on_cpu(utterance)
        try:
            hypothesis = await self._recognize_on_cpu(utterance)
        except REPEATED:
            self._acquit(error, utterance)
            raise
        except BaseException:  # undecided: the CPU could not run it, or the answer is no longer needed
            self._failed(error, utterance, run)
            raise
        self._failed(error, utterance, run)
        return hypothesis

    def _acquit(self, error: Exception, utterance: Utterance) -> None:
        """Log that the CPU failed on the same audio, so that the accelerator stays in use."""
        self._metrics.count(Count.FAULTS_REPRODUCED)
        log.warning(
            "utterance %d failed on %s and on the CPU: the audio is the cause, the accelerator stays in use (%s)",
            utterance.id, self._accelerator.name, error,
        )  # fmt: skip

    def _settle(self, run: Run[Hypothesis], used: Hypothesis | None, hedge_s: float, *, repeated: bool = False) -> None:
        """End a race that `used` won, or in which both failed. `repeated`: the CPU failed on the audio itself."""
        if run.answer.done():
            self._late_answer(run, used, repeated=repeated)
            return
        run.answer.add_done_callback(lambda _: self._late_answer(run, used))
        if run.begun_s is not None and asyncio.get_running_loop().time() - run.begun_s >= hedge_s:
            self._overtaken()

    def _overtaken(self) -> None:
        """Count that the CPU answered first although the accelerator had enough time for a usual run."""
        self._late_in_a_row += 1
        if self._late_in_a_row >= LATE_IN_A_ROW and self._in_use():
            message = f"{self._accelerator.name} was slower than the CPU {LATE_IN_A_ROW} times in a row"
            log.warning(message)
            self._report_fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, message)

    def _late_answer(self, run: Run[Hypothesis], used: Hypothesis | None, *, repeated: bool = False) -> None:
        """Handle the end of a late run. Its text is discarded unless it was used; its fault is reported."""
        if run.answer.cancelled():
            return
        error = run.answer.exception()
        if error is None and run.answer.result() is used:
            self._late_in_a_row = 0
            return
        self._metrics.count(Count.LATE_RESULTS)
        log.debug("late result of utterance=%d attempt=%d discarded", run.utterance.id, run.attempt)
        if not isinstance(error, Exception) or isinstance(error, InputFault):
            return
        if repeated and class_of(error)[0] is not FaultClass.STICKY:
            self._acquit(error, run.utterance)
        else:
            self._failed(error, run.utterance, run)

    def _report_fault_of_dropped(self, run: Run[T], *, only_sticky: bool = False) -> None:
        """Report a later fault of a run whose answer is no longer needed."""

        def report(answer: "asyncio.Future[T]") -> None:
            error = None if answer.cancelled() else answer.exception()
            if not isinstance(error, Exception) or isinstance(error, InputFault | Stopped):
                return
            if not only_sticky or class_of(error)[0] is FaultClass.STICKY:
                self._failed(error, run.utterance, run)

        run.answer.add_done_callback(report)

    def _failed(self, error: Exception, utterance: Utterance, run: Run[T] | None) -> None:
        """Report the fault of a run on the accelerator.

        If the run's recognizer has been replaced since, only a sticky fault counts.
        """
        self._metrics.count(Count.ATTEMPTS_AGAIN)
        fault_class, reason = class_of(error)
        log.warning("utterance %d failed on %s (%s): %s", utterance.id, self._accelerator.name, fault_class, error)
        if run is None or run.generation == self._accelerator.generation or fault_class is FaultClass.STICKY:
            self._report_fault(fault_class, reason, str(error))

    def _abandon_if_over_limit(self, run: Run[T]) -> None:
        """Abandon the call thread of a run that exceeded its limit, because the run can't be killed."""
        if run.answer.done():
            return
        if run.begun_s is None:
            run.answer.cancel()  # it is queued behind another run, which has its own limit
            return
        loop = asyncio.get_running_loop()
        left_s = self._limit_s - (loop.time() - run.begun_s)
        if left_s > 0:
            loop.call_later(left_s, self._abandon_if_over_limit, run)
            return
        run.answer.cancel()
        if run.generation != self._accelerator.generation:
            return  # its call thread has been abandoned already
        self._accelerator.abandon()
        message = f"a run on {self._accelerator.name} exceeded {self._limit_s:g} s"
        self._report_fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, message)
