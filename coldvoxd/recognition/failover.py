"""Carries out the failover table: probes the accelerator, and moves recognition between it and the CPU."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from coldvoxd.core import failover_state
from coldvoxd.core.failover_state import (
    FailoverState,
    Fault,
    FaultClass,
    IdleTimeout,
    Phase,
    Reason,
    RecognitionNeeded,
)
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.recognition_state import (
    AcceleratorControl,
    ChangeReason,
    StartReleased,
    SystemResumed,
    SystemSuspending,
)
from coldvoxd.core.values import Hypothesis, ProviderChoice, Utterance
from coldvoxd.gpu import health
from coldvoxd.recognition.accelerator import CONTEXT_PROVIDERS, NEEDS_FREE_PROVIDER, Accelerator, make_accelerator
from coldvoxd.recognition.auto_trial import NotChosen
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.cpu_standby import CpuStandby
from coldvoxd.recognition.provider_probe import class_of_failure
from coldvoxd.recognition.state_publisher import StatePublisher
from coldvoxd.recognition.worker import RecognizerWorker

log = logging.getLogger(__name__)

CHECK_AT_START_S = 2.0
"""Seconds that the first probe waits for a GPU check. A GPU in a low-power state responds slowly."""
CHECK_BEFORE_RUN_S = 0.03
"""Seconds that a run waits for a GPU check. The check of a healthy GPU takes a millisecond."""

AcceleratorEvent = AcceleratorControl | health.Effect
Utterances = tuple[Utterance, ...]


class Failover:
    """Decides for each utterance whether the accelerator or the CPU recognizes it. Event loop only.

    If `backends` has no accelerator, every utterance goes to `recognize_on_cpu`.
    """

    def __init__(
        self,
        backends: Backends,
        cpu: CpuStandby,
        recognize_on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
        publisher: StatePublisher,
        *,
        metrics: Metrics,
        watch: health.GpuWatch | None,
    ) -> None:
        self._cpu = cpu
        self._recognize_on_cpu = recognize_on_cpu
        self._publisher = publisher
        self._metrics = metrics
        self._watch = watch
        self._accelerator = self._made(backends)
        self._probing: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._touched = False
        """Whether this process has used the accelerator, with or without success, or is loading it."""
        self._start_released = False

    async def start(self) -> None:
        """Start to probe the accelerator while the CPU serves; if the model was loaded again, publish what recognizes.

        There is no probe during suspend, after an idle release, or while the GPU is unhealthy.
        """
        if self._accelerator is None:
            self._step(failover_state.CpuWanted())
            return
        if self._state.phase is not Phase.STARTING:
            if self._publisher.state.on_accelerator:  # the model was loaded again
                self._use_accelerator()
            self._publish_reason()
            return
        if self._start_released:
            self._step(IdleTimeout())
            return
        if self._watch is not None:
            await self._watch.fresh(CHECK_AT_START_S)
            if (verdict := self._watch.condition) is not None:
                self._stop_using(verdict)
                return
        if self._state.phase is Phase.STARTING:
            self._begin_probe()

    async def probe_ended(self) -> None:
        """Return once the probe in progress has ended, immediately if there is none. The state has the result."""
        if self._probing is not None:
            await asyncio.wait({self._probing})

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Recognize on the accelerator if it is in use and free, otherwise on the CPU. Raises the errors of the CPU."""
        self.handle(RecognitionNeeded())
        if self._watch is not None and self._publisher.state.on_accelerator:
            await self._watch.fresh(CHECK_BEFORE_RUN_S)
        accelerator = self._accelerator
        if accelerator is None or not self._publisher.state.on_accelerator or accelerator.hedging.occupied:
            return await self._recognize_on_cpu(utterance)
        return await accelerator.hedging.recognize(utterance)

    async def recognize_partial(
        self, utterance: Utterance, on_cpu: Callable[[Utterance], Awaitable[Hypothesis | None]]
    ) -> Hypothesis | None:
        """Recognize once, on the accelerator or with `on_cpu`; None if no recognizer is free. Raises ColdvoxError."""
        if self._watch is not None and self._publisher.state.on_accelerator:
            await self._watch.fresh(CHECK_BEFORE_RUN_S)
        accelerator = self._accelerator
        if accelerator is None or not self._publisher.state.on_accelerator:
            return await on_cpu(utterance)
        return None if accelerator.hedging.occupied else await accelerator.hedging.recognize_partial(utterance)

    async def encode_ahead(
        self, utterances: Utterances, on_cpu: Callable[[Utterances], Awaitable[Utterances]]
    ) -> Utterances:
        """Encode utterances ahead where they would be recognized now. Raises ColdvoxError."""
        accelerator = self._accelerator
        if accelerator is None or not self._publisher.state.on_accelerator:
            return await on_cpu(utterances)
        return utterances if accelerator.hedging.occupied else await accelerator.hedging.encode_ahead(utterances)

    def handle(self, event: AcceleratorEvent) -> None:
        match event:
            case IdleTimeout():
                self._step(event)
            case RecognitionNeeded():
                self._start_released = False
                self._step(event)
            case StartReleased():
                self._start_released = True
            case SystemSuspending():
                self._publisher.update(suspended=True)
                self._suspend()
            case SystemResumed():
                self._publisher.update(suspended=False)
                self._resume()
            case _:
                self._on_health(event)

    def consult_watch(self) -> None:
        """Act on the current condition of the GPU, which the watch has reported to an earlier supervisor only."""
        if self._watch is not None and (verdict := self._watch.condition) is not None:
            self._on_health(health.Unwell(verdict))

    def report_fault(self, fault_class: FaultClass, reason: Reason, message: str) -> None:
        """Handle a fault of the accelerator; `message` contains no spoken text."""
        if self._watch is not None:
            fault_class, reason = self._watch.refined(fault_class, reason)
        self._metrics.fault(fault_class, reason)
        self._publisher.note_error(message)
        self._note_unusable(fault_class, reason)
        self._step(Fault(fault_class, reason, asyncio.get_running_loop().time(), random.uniform(-1, 1)))

    async def accelerator_freed(self) -> None:
        """Return once the accelerator's call thread has finished its calls, including closing a dropped model."""
        if self._accelerator is not None:
            await self._accelerator.worker.drained()

    def promise_kept(self, now_s: float) -> bool:
        """Whether the accelerator's call thread is within its time limit. For the watchdog."""
        return self._accelerator is None or self._accelerator.worker.promise_kept(now_s)

    def close(self) -> None:
        """Close the accelerator's recognizer as soon as its call thread is free. Doesn't wait."""
        if self._probing is not None:
            self._probing.cancel()
        if self._pause is not None:
            self._pause.cancel()
        if self._accelerator is not None:
            self._accelerator.worker.close()

    @property
    def _state(self) -> FailoverState:
        return self._publisher.state.failover

    @property
    def _name(self) -> str:
        return self._publisher.state.accelerator_name

    def _made(self, backends: Backends) -> Accelerator | None:
        return make_accelerator(
            backends,
            self._metrics,
            recognize_on_cpu=self._recognize_on_cpu,
            in_use=lambda: self._publisher.state.on_accelerator,
            report_fault=self.report_fault,
        )

    def _on_health(self, event: health.Effect) -> None:
        match event:
            case health.Unwell(verdict):
                if self._state.phase is not Phase.STARTING or self._probing is not None:  # otherwise `start` checks
                    self._stop_using(verdict)
            case health.WellAgain():
                self._step(failover_state.GpuHealthy(random.uniform(-1, 1)))
            case health.Struck(verdict):
                log.warning("%s", verdict.message)
                if self._touched:
                    self.report_fault(verdict.fault_class, verdict.reason, verdict.message)
            case health.Noted():
                pass  # the monitor has logged it

    def _step(self, event: failover_state.Event) -> None:
        """Enter the next state of the table, and carry out its effects."""
        state, effects = failover_state.step(self._state, event)
        self._publisher.stage_failover(state)
        for effect in effects:
            self._carry_out(effect)
        self._publish_reason()

    def _publish_reason(self) -> None:
        engine = self._publisher.state.engine
        if engine.ready and not engine.is_fallback:  # otherwise the model is the problem
            self._publisher.update_engine(degraded=self._state.reason.value, covered=self._state.covered.value)

    def _carry_out(self, effect: failover_state.Effect) -> None:
        match effect:
            case failover_state.UseAccelerator():
                self._use_accelerator()
            case failover_state.UseCpu():
                self._cpu.load()
                level = logging.INFO if self._state.reason is Reason.SLEEP else logging.WARNING
                self._use(self._cpu, level, self._state.reason.value or ChangeReason.REQUESTED)
            case failover_state.ReleaseAccelerator():
                self._use(self._cpu, logging.INFO, ChangeReason.IDLE)
            case failover_state.CloseAccelerator(at_once):
                if self._accelerator is not None:
                    self._accelerator.hedging.close_accelerator(at_once=at_once)
            case failover_state.Probe():
                self._begin_probe()
            case failover_state.ProbeLater(pause_s):
                self._probe_after(pause_s)
            case failover_state.ReplaceProcessWhenIdle():
                self._publisher.update(accelerator_unusable=True)

    def _use_accelerator(self) -> None:
        if self._accelerator is not None:
            self._accelerator.hedging.begin()
            self._use(self._accelerator.worker, logging.INFO, ChangeReason.ACCELERATOR_READY, self._accelerator.choice)
        self._cpu.stand_by()

    def _use(
        self, worker: RecognizerWorker | CpuStandby, level: int, reason: str, choice: ProviderChoice | None = None
    ) -> None:
        engine = self._publisher.state.engine
        if engine.is_fallback:
            return  # `worker` has no model yet
        before = engine.provider
        self._publisher.update_engine(
            provider=worker.provider,
            precision=worker.precision,
            choice=choice or replace(engine.choice, device=""),
            degraded=self._state.reason.value,
        )
        if before != worker.provider:
            log.log(level, "provider %s->%s reason=%s", before, worker.provider, reason)

    def _stop_using(self, verdict: health.Verdict) -> None:
        """Take the GPU out of use until `health.WellAgain`, because of its condition."""
        self._metrics.fault(verdict.fault_class, verdict.reason)
        self._publisher.note_error(verdict.message)
        # A GPU that this process never used does not require a new process.
        fault_class = verdict.fault_class if self._touched else FaultClass.UNHEALTHY
        self._step(failover_state.GpuUnhealthy(fault_class, verdict.reason, asyncio.get_running_loop().time()))

    def _suspend(self) -> None:
        if self._accelerator is None:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._step(failover_state.Suspending())

    def _resume(self) -> None:
        if self._accelerator is not None:
            self._step(failover_state.Resumed(stale=self._touched and short_name(self._name) in CONTEXT_PROVIDERS))

    def _probe_after(self, pause_s: float) -> None:
        log.info("%s will be retried in %.0f s", self._name, pause_s)
        if self._pause is not None:
            self._pause.cancel()
        self._pause = asyncio.get_running_loop().call_later(pause_s, self._step, failover_state.ProbeDue())

    def _begin_probe(self) -> None:
        assert self._accelerator is not None  # noqa: S101 - the table probes only if there is one
        self._probing = asyncio.create_task(self._probe(self._accelerator), name="accelerator")

    async def _probe(self, accelerator: Accelerator) -> None:
        before, self._touched = self._touched, True
        occupied = accelerator.worker.has_hanging_run
        began_s = asyncio.get_running_loop().time()
        try:
            await accelerator.probe.run()
        except NotChosen as error:
            accelerator.worker.drop()
            self._try_following(accelerator, str(error))
            return
        except Exception as error:  # noqa: BLE001 - any failure becomes an event of the table
            fault_class, reason = class_of_failure(error)
            if occupied and reason in NEEDS_FREE_PROVIDER:
                fault_class = FaultClass.STICKY
            self._touched = before or fault_class is not FaultClass.ABSENT
            log.warning("%s cannot be used (%s): %s", self._name, reason or fault_class, error)
            accelerator.worker.drop()
            self._note_unusable(fault_class, reason)
            if accelerator.following is not None and fault_class in {FaultClass.ABSENT, FaultClass.UNHEALTHY}:
                self._publisher.note_error(str(error))
                self._try_following(accelerator, f"auto does not use {accelerator.worker.name}: {error}.")
            elif self._state.phase in {Phase.STARTING, Phase.PROBING} or fault_class is FaultClass.STICKY:
                self.report_fault(fault_class, reason, str(error))
            return
        self._metrics.accelerator_load_s = asyncio.get_running_loop().time() - began_s
        self._publisher.note_usable(self._name, usable=True)
        if self._state.phase in {Phase.STARTING, Phase.PROBING}:
            self._step(failover_state.Loaded(asyncio.get_running_loop().time()))
        else:
            accelerator.worker.drop()  # an event during the probe took the accelerator out of use

    def _try_following(self, declined: Accelerator, note: str) -> None:
        """Probe what `auto` tries after an accelerator that it does not use; without one, use the CPU and say why."""
        if self._state.phase not in {Phase.STARTING, Phase.PROBING}:
            return  # an event during the probe took the accelerator out of use
        choice = self._publisher.state.engine.choice
        self._publisher.update_engine(choice=replace(choice, note=f"{choice.note} {note}".strip()))
        declined.worker.close()
        following = declined.following
        self._accelerator = None if following is None else self._made(following)
        self._publisher.update(accelerator_name="" if following is None else following.accelerator_name)
        if self._accelerator is None:
            self._step(failover_state.CpuWanted())
        else:
            self._begin_probe()

    def _note_unusable(self, fault_class: FaultClass, reason: Reason) -> None:
        """Mark the accelerator unusable after a fault that time does not clear, until a probe succeeds."""
        if fault_class is FaultClass.ABSENT or reason is Reason.GPU_WRONG_OUTPUT:
            self._publisher.note_usable(self._name, usable=False)
