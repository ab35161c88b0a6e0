"""Hedging: an utterance goes to the accelerator, to the CPU as well where that takes long, and the first valid answer wins."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from coldvoxd.core.errors import InputFault, RecognitionFailed, Stopped
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.recognition.race import first_valid
from coldvoxd.recognition.warmup import Warmup
from coldvoxd.recognition.worker import RecognizerWorker, Run, class_of

log = logging.getLogger(__name__)

LATE_IN_A_ROW = 3
"""An accelerator that the CPU overtakes so often without a break is of no use."""
LET_GO_AFTER_S = 1.0
"""First the CPU answers what the accelerator could not."""
REPEATED = (RecognitionFailed, InputFault)
"""What the CPU raises where it ran and failed on the same audio; anything else says nothing about the audio."""


class Hedging:
    """Utterances on the accelerator. Event loop only.

    `on_cpu` recognizes there; `serves` says whether utterances go to the accelerator; `tell_fault` is told of each of
    its faults.

    The CPU judges: a fault that it repeats on the same audio is the audio's, and is not reported as the accelerator's.
    Only a sticky fault is reported regardless, since the accelerator's context is broken whatever broke it.
    """

    def __init__(
        self,
        accelerator: RecognizerWorker,
        metrics: Metrics,
        *,
        on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
        serves: Callable[[], bool],
        tell_fault: Callable[[FaultClass, Reason, str], None],
        warming: Warmup,
    ) -> None:
        self._accelerator = accelerator
        self._limit_s = accelerator.limits.accelerator_run_s
        self._metrics = metrics
        self._on_cpu = on_cpu
        self._serves = serves
        self._tell_fault = tell_fault
        self._warming = warming
        self._late: set[Run] = set()
        """Runs that the CPU has overtaken and that have not ended."""
        self._late_in_a_row = 0

    @property
    def occupied(self) -> bool:
        """A late run has the accelerator's lane."""
        return bool(self._late)

    def begin(self) -> None:
        """The accelerator serves from now on."""
        self._late_in_a_row = 0
        self._warming.begin()

    def let_go(self, *, at_once: bool = False) -> None:
        """Close the accelerator's recognizer; where a late run still has its lane, leave both behind."""
        self._warming.end()
        if self._late:
            self._accelerator.abandon()
        else:
            self._accelerator.drop(0.0 if at_once else LET_GO_AFTER_S)

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """On the accelerator; from `hedge_s` on on the CPU too. Raises InputFault, or what the CPU raises."""
        accelerator = self._accelerator
        hedge_s = accelerator.hedge_s
        run: Run | None = None
        try:
            run = accelerator.start(utterance)
            with accelerator.awaiting(run, self._limit_s, self._left_behind):
                await asyncio.wait({run.answer}, timeout=hedge_s)
            if run.answer.done():
                hypothesis = run.answer.result()
                accelerator.learn(run)
                self._late_in_a_row = 0
                return hypothesis
        except asyncio.CancelledError:
            if run is not None:
                self._watch_dropped(run)
            raise
        except InputFault:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever an accelerator's driver makes of it, the CPU answers
            return await self._judged(fault, utterance, run)
        log.info(
            "utterance %d takes long on %s; also starting it on the CPU after %.3f s",
            utterance.id, accelerator.name, hedge_s,
        )  # fmt: skip
        self._metrics.count(Count.HEDGES)
        return await self._raced(run, hedge_s)

    async def _raced(self, run: Run, hedge_s: float) -> Hypothesis:
        """The first valid answer of a run that takes long and of the CPU."""
        loop = asyncio.get_running_loop()
        give_up = loop.call_later(self._limit_s - hedge_s, self._left_behind, run)
        run.answer.add_done_callback(lambda _: give_up.cancel())
        self._late.add(run)
        run.answer.add_done_callback(lambda _: self._late.discard(run))
        try:
            used = await first_valid(run, self._on_cpu(run.utterance))
        except asyncio.CancelledError:
            run.stop.ask()  # nobody waits for either any more, so neither has overtaken the other
            self._watch_dropped(run)
            raise
        except Exception as fault:
            self._settle(run, None, hedge_s, repeated=isinstance(fault, REPEATED))
            raise
        self._settle(run, used, hedge_s)
        return used

    async def _judged(self, fault: Exception, utterance: Utterance, run: Run | None) -> Hypothesis:
        """The CPU's answer to audio on which the accelerator failed, and its judgement of that fault."""
        fault_class, _ = class_of(fault)
        if fault_class is FaultClass.STICKY:
            self._failed(fault, utterance, run)
            return await self._on_cpu(utterance)
        try:
            hypothesis = await self._on_cpu(utterance)
        except REPEATED:
            self._acquit(fault, utterance)
            raise
        except BaseException:  # no judgement: the CPU could not run it, or nobody waits for the answer any more
            self._failed(fault, utterance, run)
            raise
        self._failed(fault, utterance, run)
        return hypothesis

    def _acquit(self, fault: Exception, utterance: Utterance) -> None:
        """The CPU failed on the same audio too."""
        self._metrics.count(Count.FAULTS_REPRODUCED)
        log.warning(
            "utterance %d failed on %s and on the CPU: the audio is the cause, the accelerator stays in use (%s)",
            utterance.id, self._accelerator.name, fault,
        )  # fmt: skip

    def _settle(self, run: Run, used: Hypothesis | None, hedge_s: float, *, repeated: bool = False) -> None:
        """One of the two has answered, or both have failed; `repeated` where the CPU failed on the audio itself."""
        if run.answer.done():
            self._late_answer(run, used, repeated=repeated)
            return
        run.answer.add_done_callback(lambda _: self._late_answer(run, used))
        if run.begun_s is not None and asyncio.get_running_loop().time() - run.begun_s >= hedge_s:
            self._overtaken()

    def _overtaken(self) -> None:
        """The CPU answered while the accelerator, though it had all the time that it needs, has not."""
        self._late_in_a_row += 1
        if self._late_in_a_row >= LATE_IN_A_ROW and self._serves():
            message = f"{self._accelerator.name} was slower than the CPU {LATE_IN_A_ROW} times in a row"
            log.warning(message)
            self._tell_fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, message)

    def _late_answer(self, run: Run, used: Hypothesis | None, *, repeated: bool = False) -> None:
        """A run that took long has ended. Unless its text was used it is nobody's; its fault is news."""
        if run.answer.cancelled():
            return
        fault = run.answer.exception()
        if fault is None and run.answer.result() is used:
            self._late_in_a_row = 0
            return
        self._metrics.count(Count.LATE_RESULTS)
        log.debug("late result of utterance=%d attempt=%d discarded", run.utterance.id, run.attempt)
        if not isinstance(fault, Exception) or isinstance(fault, InputFault):
            return
        if repeated and class_of(fault)[0] is not FaultClass.STICKY:
            self._acquit(fault, run.utterance)
        else:
            self._failed(fault, run.utterance, run)

    def _watch_dropped(self, run: Run) -> None:
        """Nothing waits for this run any more. A fault that it ends with is still the accelerator's."""

        def report(answer: "asyncio.Future[Hypothesis]") -> None:
            fault = None if answer.cancelled() else answer.exception()
            if isinstance(fault, Exception) and not isinstance(fault, InputFault | Stopped):
                self._failed(fault, run.utterance, run)

        run.answer.add_done_callback(report)

    def _failed(self, fault: Exception, utterance: Utterance, run: Run | None) -> None:
        """A run on the accelerator failed.

        That of a recognizer which was replaced since counts only where it tells that the accelerator is beyond use.
        """
        self._metrics.count(Count.ATTEMPTS_AGAIN)
        fault_class, reason = class_of(fault)
        log.warning("utterance %d failed on %s (%s): %s", utterance.id, self._accelerator.name, fault_class, fault)
        if run is None or run.generation == self._accelerator.generation or fault_class is FaultClass.STICKY:
            self._tell_fault(fault_class, reason, str(fault))

    def _left_behind(self, run: Run) -> None:
        """A run that exceeded its limit: its thread can't be killed, so its lane is left to it."""
        if run.answer.done():
            return
        if run.begun_s is None:
            run.answer.cancel()  # it waits behind another run, which has a limit of its own
            return
        loop = asyncio.get_running_loop()
        left_s = self._limit_s - (loop.time() - run.begun_s)
        if left_s > 0:
            loop.call_later(left_s, self._left_behind, run)
            return
        run.answer.cancel()
        if run.generation != self._accelerator.generation:
            return  # its lane was left behind already
        self._accelerator.abandon()
        message = f"a run on {self._accelerator.name} exceeded {self._limit_s:g} s"
        self._tell_fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, message)
