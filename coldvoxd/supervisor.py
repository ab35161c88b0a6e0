"""Owns the recognizers: loads them, hands them utterances, fails over from the accelerator to the CPU and back."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from coldvoxd.core import failover
from coldvoxd.core.errors import ColdvoxError, InputFault, ModelMissing, NotReady, ProviderFault, RecognitionFailed
from coldvoxd.core.failover import FailoverState, Fault, FaultClass, Reason, classify
from coldvoxd.core.ports import MissingModel, Recognizer
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Utterance
from coldvoxd.rung import ACCELERATOR_LIMIT_S, Rung

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 3.0
"""How soon a missing model is looked for again: it may be placed by hand at any time, one file after the other."""
LOOK_WHILE_FETCHING_S = 1.0
LOOK_AGAIN_AT_MOST_S = 60.0
"""A model whose files are all there and wrong is tried less and less often."""
ATTEMPTS = 2
"""On the CPU."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """What can recognize here, best first. Both functions block and open a recognizer."""

    cpu: Callable[[], Recognizer]
    accelerator: Callable[[], Recognizer] | None = None
    accelerator_name: str = ""
    """As the settings call it."""
    golden: npt.NDArray[np.float32] | None = None
    """Speech by which an accelerator is judged: it must say of it what the CPU says. float32 (n,), 16 kHz."""


class Supervisor:
    """The recognizers' keeper, on the event loop.

    The CPU is loaded first and serves while the accelerator loads; from then on every utterance goes to the
    accelerator, and to the CPU as well where that fails or takes too long. The utterance is held here until it is
    answered, so a swap loses no words.
    """

    def __init__(self, ladder: Ladder, status: EngineStatus, on_change: Callable[[], None] = lambda: None) -> None:
        self._ladder = ladder
        self._on_change = on_change
        self.look_for_missing: Callable[[ModelMissing], Awaitable[MissingModel]] | None = None
        """Asked each time that the model is found missing: it may be on its way."""
        self._cpu = Rung("cpu", ladder.cpu)
        self._accelerator = Rung(ladder.accelerator_name, ladder.accelerator) if ladder.accelerator else None
        self._settled = asyncio.Event()
        self._refusal: NotReady | None = None
        self._state = FailoverState()
        self._golden_text: str | None = None
        self._trial: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self.wants_new_process = False
        """Only a new process could use the accelerator again."""
        self.status = replace(status, loading=True)

    def check_ready(self) -> None:
        """Raise NotReady where no utterance could ever be recognized as things are."""
        if self._refusal is not None:
            raise type(self._refusal)(*self._refusal.args)

    async def load(self) -> None:
        """Load the model; where it is missing or not whole, wait until it is. Then try the accelerator."""
        told = ""
        again_s = LOOK_AGAIN_S
        while True:
            try:
                await self._cpu.open()
            except ColdvoxError as fault:
                missing = isinstance(fault, ModelMissing)
                found = await self._explained(fault)
                self._refuse(found, "model-missing" if missing else "model-invalid")
                if found.progress >= 0:  # LastError has what is waited for; it changes often
                    await asyncio.sleep(LOOK_WHILE_FETCHING_S)
                    continue
                if told != found.last_error:
                    told, again_s = found.last_error, LOOK_AGAIN_S
                    log.error("model %s can't be used: %s", self.status.model, told)  # noqa: TRY400 - it says all
                await asyncio.sleep(again_s)
                if not missing:
                    again_s = min(LOOK_AGAIN_AT_MOST_S, 2 * again_s)
            else:
                break
        self._refusal = None
        self._publish(provider=self._cpu.provider, loading=False, ready=True, degraded="", last_error="", progress=-1.0)
        log.info("model %s (%s) loaded, provider %s", self.status.model, self.status.precision, self._cpu.provider)
        self._settled.set()
        if self._accelerator is None:
            self._tell(failover.CpuWanted())
        else:
            self._begin_trial()

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Text of an utterance, after all that were asked for before it; waits while the model loads.

        Raises RecognitionFailed once the CPU failed twice on the same audio, InputFault, or NotReady.
        """
        await self.wait_loaded()
        if self._state.phase is not failover.Phase.ON_GPU or self._accelerator is None:
            return await self._on_cpu(utterance)
        return await self._on_accelerator(self._accelerator, utterance)

    async def wait_loaded(self) -> None:
        """Wait while the model loads. Raises NotReady where it can't be."""
        await self._settled.wait()
        self.check_ready()

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        """As `recognize`, and never on the accelerator: for what a process may have died of."""
        await self.wait_loaded()
        return await self._on_cpu(utterance)

    def tell_error(self, message: str) -> None:
        """Something else went wrong that people should know of; a sentence without spoken text."""
        log.warning("%s", message)
        self._publish(last_error=message)

    def promise_kept(self, now_s: float) -> bool:
        """Whether every current lane is within its time limit. For the watchdog."""
        accelerator = self._accelerator
        return self._cpu.promise_kept(now_s) and (accelerator is None or accelerator.promise_kept(now_s))

    def close(self) -> None:
        """Let go of the recognizers, as soon as their lanes are free. Doesn't wait."""
        if self._trial is not None:
            self._trial.cancel()
        if self._pause is not None:
            self._pause.cancel()
        for rung in (self._cpu, self._accelerator):
            if rung is not None:
                rung.close()

    # Recognition.

    async def _on_accelerator(self, accelerator: Rung, utterance: Utterance) -> Hypothesis:
        """On the accelerator; from `hedge_s` on on the CPU too, and the first valid answer wins."""
        hedge_s = accelerator.hedge_s
        running = accelerator.start(utterance)
        await asyncio.wait({running}, timeout=hedge_s)
        if running.done():
            try:
                return running.result()
            except ProviderFault as fault:
                self._failed(fault, utterance)
                return await self._on_cpu(utterance)
        log.info("utterance %d takes long on %s; the CPU has begun it too", utterance.id, accelerator.name)
        loop = asyncio.get_running_loop()
        give_up = loop.call_later(ACCELERATOR_LIMIT_S - hedge_s, self._left_behind, accelerator, running)
        running.add_done_callback(lambda _: give_up.cancel())
        return await self._first_valid(running, utterance)

    async def _first_valid(self, running: "asyncio.Future[Hypothesis]", utterance: Utterance) -> Hypothesis:
        """The answer of a run that is late, or the CPU's, whichever comes first and is one."""
        hedge = asyncio.create_task(self._on_cpu(utterance), name="hedge")
        racing: set[asyncio.Future[Hypothesis]] = {running, hedge}
        last: ColdvoxError = RecognitionFailed(f"Utterance {utterance.id} could not be recognized.")
        while racing:
            done, racing = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            for answered in done:
                if answered.cancelled():
                    continue  # left behind
                try:
                    hypothesis = answered.result()
                except ColdvoxError as fault:
                    last = fault
                    if answered is running and isinstance(fault, ProviderFault):
                        self._failed(fault, utterance)
                else:
                    if racing & {hedge}:
                        hedge.cancel()
                    return hypothesis
        raise last

    async def _on_cpu(self, utterance: Utterance) -> Hypothesis:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._cpu.start(utterance)
            except ProviderFault as fault:
                log.warning("recognition failed utterance=%d attempt=%d: %s", utterance.id, attempt, fault)
                self._publish(last_error=f"utterance {utterance.id}: {fault}")
                last = fault
            except InputFault:
                raise
            except Exception as bug:
                log.exception("recognition failed utterance=%d", utterance.id)
                self._publish(last_error=f"utterance {utterance.id}: {type(bug).__name__}")
                raise RecognitionFailed(
                    f"Utterance {utterance.id} met a fault of the daemon's own ({type(bug).__name__}); "
                    "please report it with `journalctl --user -u coldvoxd`."
                ) from bug
        raise RecognitionFailed(f"Utterance {utterance.id} could not be recognized: {last}") from last

    def _failed(self, fault: ProviderFault, utterance: Utterance) -> None:
        fault_class, reason = classify(str(fault))
        log.warning("utterance %d failed on %s (%s): %s", utterance.id, self._name, fault_class, fault)
        self._fault(fault_class, reason, str(fault))

    def _left_behind(self, accelerator: Rung, running: "asyncio.Future[Hypothesis]") -> None:
        """A run that exceeded its limit: its thread can't be killed, so its lane is left to it."""
        if running.done():
            return
        running.cancel()
        accelerator.abandon()
        self._fault(
            FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, f"a run on {self._name} exceeded {ACCELERATOR_LIMIT_S:g} s"
        )

    # Failover.

    @property
    def _name(self) -> str:
        return self._ladder.accelerator_name

    def _fault(self, fault_class: FaultClass, reason: Reason, message: str) -> None:
        self._publish(last_error=message)
        now_s = asyncio.get_running_loop().time()
        self._tell(Fault(fault_class, reason, now_s, random.uniform(-1, 1)))

    def _tell(self, event: failover.Event) -> None:
        before = self._state
        self._state, effects = failover.step(before, event)
        for effect in effects:
            match effect:
                case failover.UseGpu():
                    self._use(self._accelerator, "well")
                case failover.UseCpu():
                    self._use(self._cpu, self._state.reason.value or "requested")
                case failover.DropGpu():
                    if self._accelerator is not None:
                        self._accelerator.drop()
                case failover.Probe():
                    self._begin_trial()
                case failover.ProbeLater(pause_s):
                    log.info("%s will be tried again in %.0f s", self._name, pause_s)
                    loop = asyncio.get_running_loop()
                    self._pause = loop.call_later(pause_s, self._tell, failover.ProbeDue())
                case failover.ReplaceSelfWhenIdle():
                    self.wants_new_process = True

    def _use(self, rung: Rung | None, reason: str) -> None:
        assert rung is not None  # noqa: S101 - the table uses what was loaded
        before, provider = self.status.provider, rung.provider
        self._publish(provider=provider, degraded=self._state.reason.value)
        if before != provider:
            level = logging.INFO if rung is self._accelerator else logging.WARNING
            log.log(level, "provider %s->%s reason=%s", before, provider, reason)

    def _begin_trial(self) -> None:
        self._trial = asyncio.create_task(self._try_accelerator(), name="accelerator")

    async def _try_accelerator(self) -> None:
        """Load the accelerator and let it say what the CPU says of the golden clip."""
        accelerator = self._accelerator
        assert accelerator is not None  # noqa: S101 - only where there is one
        try:
            await accelerator.open()
            await self._judge(accelerator)
        except ColdvoxError as fault:
            fault_class, reason = self._class_of_failed_trial(fault)
            log.warning("%s can't be used (%s): %s", self._name, reason or fault_class, fault)
            accelerator.drop()
            self._fault(fault_class, reason, str(fault))
        else:
            self._tell(failover.Loaded(asyncio.get_running_loop().time()))

    async def _judge(self, accelerator: Rung) -> None:
        """Raise ProviderFault unless the golden clip comes out as on the CPU, within the limit."""
        if self._ladder.golden is None:
            return
        clip = Utterance(0, 0, 0, self._ladder.golden, EndReason.STOP)
        if self._golden_text is None:
            self._golden_text = (await self._cpu.start(clip)).text
        running = accelerator.start(clip)
        done, _ = await asyncio.wait({running}, timeout=2 * ACCELERATOR_LIMIT_S)
        if not done:
            running.cancel()
            accelerator.abandon()
            raise ProviderFault(f"the golden clip took longer than {2 * ACCELERATOR_LIMIT_S:g} s on {self._name}")
        if _words(running.result().text) != _words(self._golden_text):
            raise WrongOutput(f"{self._name} hears something else in the golden clip than the CPU does")

    def _class_of_failed_trial(self, fault: ColdvoxError) -> tuple[FaultClass, Reason]:
        if isinstance(fault, WrongOutput):
            return FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT
        fault_class, reason = classify(str(fault))
        if reason is Reason.GPU_FAULT and not isinstance(fault, ProviderFault | NotReady):
            return FaultClass.ABSENT, Reason.NO_GPU
        return fault_class, reason

    async def _explained(self, fault: ColdvoxError) -> MissingModel:
        """What callers are told of a model that can't be loaded."""
        if isinstance(fault, ModelMissing) and self.look_for_missing is not None:
            return await self.look_for_missing(fault)
        return MissingModel(fault if isinstance(fault, NotReady) else NotReady(str(fault)), str(fault))

    def _refuse(self, found: MissingModel, code: str) -> None:
        self._refusal = found.refusal
        self._publish(loading=False, ready=False, degraded=code, last_error=found.last_error, progress=found.progress)
        self._settled.set()

    def _publish(self, **changed: object) -> None:
        status = replace(self.status, **changed)  # type: ignore[arg-type] # fields by name
        if status != self.status:
            self.status = status
            self._on_change()


class WrongOutput(ProviderFault):
    """The accelerator's text differs from the CPU's."""


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
