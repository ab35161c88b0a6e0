"""Owns the recognizers: loads them, hands them utterances, fails over from the accelerator to the CPU and back."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from coldvoxd.core import failover
from coldvoxd.core.errors import (
    ColdvoxError,
    InputFault,
    ModelMissing,
    NotReady,
    ProviderFault,
    RecognitionFailed,
    Stopped,
)
from coldvoxd.core.failover import FailoverState, Fault, FaultClass, Phase, Reason, classify
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.pieces import joined, moved_back, split, varied
from coldvoxd.core.ports import MissingModel, Recognizer
from coldvoxd.core.values import SAMPLE_RATE, EndReason, EngineStatus, Hypothesis, Utterance
from coldvoxd.rung import ACCELERATOR_LIMIT_S, LoadTooLong, Run, Rung
from coldvoxd.standby import Readiness, Standby

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 3.0
"""How soon a missing model is looked for again: it may be placed by hand at any time, one file after the other."""
LOOK_WHILE_FETCHING_S = 1.0
LOOK_AGAIN_AT_MOST_S = 60.0
"""A model whose files are all there and wrong is tried less and less often."""
ATTEMPTS = 2
"""On the CPU."""
TRIAL_LIMIT_S = 120.0
"""An accelerator that is not loaded by then hangs; the watchdog's patience ends later."""
LATE_IN_A_ROW = 3
"""An accelerator that the CPU overtakes so often without a break is of no use."""
LET_GO_AFTER_S = 1.0
"""First the CPU answers what the accelerator could not."""
SURE_SPEECH_S = 0.5
"""With so much speech in it, an utterance without words was not understood."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """What can recognize here, best first. The functions block and open a recognizer."""

    cpu: Callable[[], Recognizer]
    accelerator: Callable[[], Recognizer] | None = None
    accelerator_name: str = ""
    """As the settings call it."""
    golden: npt.NDArray[np.float32] | None = None
    """Speech by which an accelerator is judged: it must say of it what the CPU says. float32 (n,), 16 kHz."""
    golden_text: str | None = None
    """What the CPU said of it in fp32 with these weights, if that was recorded; otherwise it is asked."""
    readiness: Readiness = Readiness.WARM
    """How the CPU stands by while the accelerator serves."""
    cpu_mapped: Callable[[], Recognizer] | None = None
    """Opens faster and in less memory, and is slower; for `mapped`."""


class Supervisor:
    """The recognizers' keeper, on the event loop.

    The CPU is loaded first and serves while the accelerator loads; from then on every utterance goes to the
    accelerator, and to the CPU as well where that fails or takes too long. The utterance is held here until it is
    answered, so a swap loses no words.
    """

    def __init__(
        self,
        ladder: Ladder,
        status: EngineStatus,
        on_change: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._ladder = ladder
        self._on_change = on_change
        self._metrics = metrics or Metrics()
        self.look_for_missing: Callable[[ModelMissing], Awaitable[MissingModel]] | None = None
        """Asked each time that the model is found missing: it may be on its way."""
        self._standby = Standby(ladder.cpu, ladder.cpu_mapped or ladder.cpu, ladder.readiness)
        self._accelerator = Rung(ladder.accelerator_name, ladder.accelerator) if ladder.accelerator else None
        self._settled = asyncio.Event()
        self._refusal: NotReady | None = None
        self._state = FailoverState()
        self._golden_text = ladder.golden_text
        self._trial: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._late: set[Run] = set()
        """Runs on the accelerator that the CPU has overtaken and that have not ended."""
        self._late_in_a_row = 0
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
                await self.open()
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

    async def open(self) -> None:
        """Load the model and begin to try the accelerator. Raises ModelMissing, ModelInvalid or NotReady."""
        began_s = asyncio.get_running_loop().time()
        await self._standby.packed.open()
        self._metrics.model_load_s = asyncio.get_running_loop().time() - began_s
        self._metrics.count(Count.MODEL_LOADS)
        self._refusal = None
        self._publish(
            provider=self._standby.provider, loading=False, ready=True, degraded="", last_error="", progress=-1.0
        )
        log.info("model %s (%s) loaded, provider %s", self.status.model, self.status.precision, self._standby.provider)
        self._settled.set()
        if self._accelerator is None:
            self._tell(failover.CpuWanted())
        else:
            self._begin_trial()

    async def tried(self) -> None:
        """Return once the trial of the accelerator is over, or at once where none runs; the status tells how it went."""
        if self._trial is not None:
            await asyncio.wait({self._trial})

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Text of an utterance, after all that were asked for before it; waits while the model loads.

        Raises RecognitionFailed once the CPU failed twice on the same audio, InputFault, or NotReady.
        """
        await self.wait_loaded()
        hypothesis = await self._recognize(utterance)
        if hypothesis.text or utterance.speech_samples < SURE_SPEECH_S * SAMPLE_RATE:
            return hypothesis
        return await self._hear_again(utterance, hypothesis)

    @property
    def on_accelerator(self) -> bool:
        """Whether utterances go to the accelerator."""
        return self._state.phase is Phase.ON_GPU

    @property
    def at_rest(self) -> bool:
        """Whether nothing is being loaded or let go of on the CPU."""
        return self._standby.at_rest

    async def wait_loaded(self) -> None:
        """Wait while the model loads. Raises NotReady where it can't be."""
        await self._settled.wait()
        self.check_ready()

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        """As `recognize`, and never on the accelerator: for what a process may have died of."""
        await self.wait_loaded()
        hypothesis = await self._on_cpu(utterance)
        if hypothesis.text or utterance.speech_samples < SURE_SPEECH_S * SAMPLE_RATE:
            return hypothesis
        again = await self._on_cpu(varied(utterance))
        return moved_back(again, utterance.duration_s) if again.text else hypothesis

    def tell_error(self, message: str) -> None:
        """Something else went wrong that people should know of; a sentence without spoken text."""
        log.warning("%s", message)
        self._publish(last_error=message)

    def promise_kept(self, now_s: float) -> bool:
        """Whether every current lane is within its time limit. For the watchdog."""
        accelerator = self._accelerator
        return self._standby.promise_kept(now_s) and (accelerator is None or accelerator.promise_kept(now_s))

    def close(self) -> None:
        """Let go of the recognizers, as soon as their lanes are free. Doesn't wait."""
        if self._trial is not None:
            self._trial.cancel()
        if self._pause is not None:
            self._pause.cancel()
        self._standby.close()
        if self._accelerator is not None:
            self._accelerator.close()

    # Recognition.

    async def _recognize(self, utterance: Utterance) -> Hypothesis:
        accelerator = self._accelerator
        if accelerator is None or self._state.phase is not Phase.ON_GPU or self._late:
            return await self._on_cpu(utterance)
        return await self._on_accelerator(accelerator, utterance)

    async def _hear_again(self, utterance: Utterance, nothing: Hypothesis) -> Hypothesis:
        """Another hypothesis of speech in which no words were heard: with dither and more room, then on the CPU."""
        self._metrics.count(Count.HEARD_AGAIN)
        log.info("utterance %d holds speech and no words were heard in it; trying again", utterance.id)
        again = await self._recognize(varied(utterance))
        if again.text:
            self._metrics.count(Count.MENDED)
            return moved_back(again, utterance.duration_s)
        if again.provider == self._standby.provider == nothing.provider:
            return nothing
        on_cpu = await self._on_cpu(utterance)
        if on_cpu.text:
            self._metrics.count(Count.MENDED)
            if self._state.phase is Phase.ON_GPU:
                message = f"{self._name} heard nothing in utterance {utterance.id}, in which the CPU hears words"
                log.warning(message)
                self._fault(FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT, message)
        return on_cpu

    async def _on_accelerator(self, accelerator: Rung, utterance: Utterance) -> Hypothesis:
        """On the accelerator; from `hedge_s` on on the CPU too, and the first valid answer wins."""
        hedge_s = accelerator.hedge_s
        run: Run | None = None
        try:
            run = accelerator.start(utterance)
            if await self._answered(run, accelerator, hedge_s):
                hypothesis = run.answer.result()
                accelerator.learn(run)
                self._late_in_a_row = 0
                return hypothesis
        except InputFault:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever an accelerator's driver makes of it, the CPU answers
            self._failed(fault, utterance, accelerator, run)
            return await self._on_cpu(utterance)
        log.info("utterance %d takes long on %s; the CPU begins it too after %.3f s", utterance.id, self._name, hedge_s)
        self._metrics.count(Count.HEDGES)
        loop = asyncio.get_running_loop()
        give_up = loop.call_later(ACCELERATOR_LIMIT_S - hedge_s, self._left_behind, accelerator, run)
        run.answer.add_done_callback(lambda _: give_up.cancel())
        self._late.add(run)
        run.answer.add_done_callback(lambda _: self._late.discard(run))
        used: Hypothesis | None = None
        try:
            used = await self._first_valid(run, accelerator, self._on_cpu(utterance))
        finally:
            if run.answer.done():
                self._late_answer(accelerator, run, used)
            else:
                run.answer.add_done_callback(lambda _: self._late_answer(accelerator, run, used))
                if run.begun_s is not None and loop.time() - run.begun_s >= hedge_s:
                    self._overtaken()
        return used

    def _overtaken(self) -> None:
        """The CPU answered while the accelerator, though it had all the time that it needs, has not."""
        self._late_in_a_row += 1
        if self._late_in_a_row >= LATE_IN_A_ROW and self._state.phase is Phase.ON_GPU:
            message = f"{self._name} was overtaken by the CPU {LATE_IN_A_ROW} times in a row"
            log.warning(message)
            self._fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, message)

    def _late_answer(self, accelerator: Rung, run: Run, used: Hypothesis | None) -> None:
        """A run that took long has ended. Unless its text was used it is nobody's; its fault is news."""
        if run.answer.cancelled():
            return
        fault = run.answer.exception()
        if isinstance(fault, Stopped):
            return
        if fault is None and run.answer.result() is used:
            self._late_in_a_row = 0
            return
        self._metrics.count(Count.LATE)
        log.debug("late answer of utterance=%d attempt=%d dropped", run.utterance.id, run.attempt)
        if isinstance(fault, Exception) and not isinstance(fault, InputFault):
            self._failed(fault, run.utterance, accelerator, run)

    async def _on_cpu(self, utterance: Utterance) -> Hypothesis:
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                self._metrics.count(Count.ATTEMPTS_AGAIN)
            try:
                return await self._within_limit(utterance)
            except ProviderFault as fault:
                log.warning("recognition failed on the CPU utterance=%d: %s", utterance.id, fault)
                self._publish(last_error=f"utterance {utterance.id}: {fault}")
                last: Exception = fault
            except ColdvoxError:
                raise
            except Exception as bug:
                log.exception("recognition failed utterance=%d", utterance.id)
                self._publish(last_error=f"utterance {utterance.id}: {type(bug).__name__}")
                raise RecognitionFailed(
                    f"Utterance {utterance.id} met a fault of the daemon's own ({type(bug).__name__}); "
                    "please report it with `journalctl --user -u coldvoxd`."
                ) from bug
        raise RecognitionFailed(f"Utterance {utterance.id} could not be recognized: {last}") from last

    async def _within_limit(self, utterance: Utterance) -> Hypothesis:
        """On the CPU; an utterance that takes too long is begun anew in two pieces, and what is whole first wins."""
        rung = await self._standby.rung()
        run = rung.start(utterance)
        limit_s = rung.split_s(utterance.duration_s)
        loop = asyncio.get_running_loop()
        left_s = limit_s
        while left_s > 0:
            if await self._answered(run, rung, left_s):
                hypothesis = run.answer.result()
                rung.learn(run)
                return hypothesis
            if run.begun_s is None and run.generation != rung.generation:
                run.answer.cancel()
                raise ProviderFault("the recognizer on the CPU was left behind before it took this up")
            left_s = limit_s - (loop.time() - run.begun_s) if run.begun_s is not None else limit_s
        log.warning("utterance %d takes longer than %.1f s on the CPU; trying it in pieces", utterance.id, limit_s)
        self._metrics.count(Count.SPLITS)
        if rung.generation == run.generation:
            rung.abandon()
        return await self._first_valid(run, rung, self._in_pieces(utterance))

    async def _answered(self, run: Run, rung: Rung, limit_s: float) -> bool:
        """Wait so long for a run; whether it has ended. Where nobody waits for this any more, it is stopped."""
        try:
            done, _ = await asyncio.wait({run.answer}, timeout=limit_s)
        except asyncio.CancelledError:
            self._unwanted(run, rung)
            raise
        return bool(done)

    def _unwanted(self, run: Run, rung: Rung) -> None:
        """Stop a run. One that doesn't end then hangs, and what comes after it must not wait for that."""
        if run.answer.done():
            return
        run.stop.ask()
        loop = asyncio.get_running_loop()
        if rung is self._accelerator:
            left_behind = loop.call_later(ACCELERATOR_LIMIT_S, self._left_behind, rung, run)
        else:
            left_behind = loop.call_later(rung.split_s(run.utterance.duration_s), rung.leave_if_hanging, run)
        run.answer.add_done_callback(lambda _: left_behind.cancel())

    async def _first_valid(self, run: Run, rung: Rung, other: Awaitable[Hypothesis]) -> Hypothesis:
        """The answer of a run that is late, or the other one, whichever comes first and is one.

        Raises the fault of `other` where neither is.
        """
        hedge = asyncio.ensure_future(other)
        racing: set[asyncio.Future[Hypothesis]] = {run.answer, hedge}
        try:
            while hedge in racing:
                done, racing = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
                if run.answer in done and not run.answer.cancelled() and run.answer.exception() is None:
                    return run.answer.result()
                if hedge in done and (hedge.exception() is None or not racing):
                    return hedge.result()
                if hedge in done:
                    break
            await asyncio.wait({run.answer})
            return hedge.result() if run.answer.cancelled() or run.answer.exception() else run.answer.result()
        except asyncio.CancelledError:
            self._unwanted(run, rung)
            raise
        finally:
            hedge.cancel()

    async def _in_pieces(self, utterance: Utterance) -> Hypothesis:
        pieces = split(utterance)
        if pieces is None:
            rung = await self._standby.rung()
            return await rung.start(utterance).answer
        first, second = pieces
        heard = await self._within_limit(first)
        return joined(heard, await self._within_limit(second), second.start_sample - first.start_sample)

    def _failed(self, fault: Exception, utterance: Utterance, accelerator: Rung, run: Run | None) -> None:
        """A run on the accelerator failed.

        That of a recognizer which was replaced since counts only where it tells that the accelerator is beyond use.
        """
        self._metrics.count(Count.ATTEMPTS_AGAIN)
        fault_class, reason = classify(str(fault)) if isinstance(fault, ColdvoxError) else _unknown(fault)
        log.warning("utterance %d failed on %s (%s): %s", utterance.id, self._name, fault_class, fault)
        if run is None or run.generation == accelerator.generation or fault_class is FaultClass.STICKY:
            self._fault(fault_class, reason, str(fault))

    def _left_behind(self, accelerator: Rung, run: Run) -> None:
        """A run that exceeded its limit: its thread can't be killed, so its lane is left to it."""
        if run.answer.done():
            return
        if run.begun_s is None:
            run.answer.cancel()  # it waits behind another run, which has a limit of its own
            return
        loop = asyncio.get_running_loop()
        left_s = ACCELERATOR_LIMIT_S - (loop.time() - run.begun_s)
        if left_s > 0:
            loop.call_later(left_s, self._left_behind, accelerator, run)
            return
        run.answer.cancel()
        if run.generation != accelerator.generation:
            return  # its lane was left behind already
        accelerator.abandon()
        self._fault(
            FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, f"a run on {self._name} exceeded {ACCELERATOR_LIMIT_S:g} s"
        )

    # Failover.

    @property
    def _name(self) -> str:
        return self._ladder.accelerator_name

    def _fault(self, fault_class: FaultClass, reason: Reason, message: str) -> None:
        self._metrics.count(Count.FAULTS)
        self._publish(last_error=message)
        now_s = asyncio.get_running_loop().time()
        self._tell(Fault(fault_class, reason, now_s, random.uniform(-1, 1)))

    def _tell(self, event: failover.Event) -> None:
        before = self._state
        self._state, effects = failover.step(before, event)
        for effect in effects:
            match effect:
                case failover.UseGpu():
                    self._late_in_a_row = 0
                    if self._accelerator is not None:
                        self._use(self._accelerator.provider, logging.INFO, "well")
                    self._standby.rest()
                case failover.UseCpu():
                    self._standby.wake()
                    self._use(self._standby.provider, logging.WARNING, self._state.reason.value or "requested")
                case failover.DropGpu():
                    if self._accelerator is not None:
                        self._let_go(self._accelerator)
                case failover.Probe():
                    self._begin_trial()
                case failover.ProbeLater(pause_s):
                    log.info("%s will be tried again in %.0f s", self._name, pause_s)
                    loop = asyncio.get_running_loop()
                    self._pause = loop.call_later(pause_s, self._tell, failover.ProbeDue())
                case failover.ReplaceSelfWhenIdle():
                    self.wants_new_process = True

    def _let_go(self, accelerator: Rung) -> None:
        """Close the accelerator's recognizer; where a late run still has its lane, leave both behind."""
        if self._late:
            accelerator.abandon()
        else:
            accelerator.drop(LET_GO_AFTER_S)

    def _use(self, provider: str, level: int, reason: str) -> None:
        before = self.status.provider
        self._publish(provider=provider, degraded=self._state.reason.value)
        if before != provider:
            log.log(level, "provider %s->%s reason=%s", before, provider, reason)

    def _begin_trial(self) -> None:
        self._trial = asyncio.create_task(self._try_accelerator(), name="accelerator")

    async def _try_accelerator(self) -> None:
        """Load the accelerator and let it say what the CPU says of the golden clip."""
        accelerator = self._accelerator
        assert accelerator is not None  # noqa: S101 - only where there is one
        try:
            await accelerator.open(TRIAL_LIMIT_S)
            await self._judge(accelerator)
        except Exception as fault:  # noqa: BLE001 - the trial ends here, and the table must learn how
            fault_class, reason = self._class_of_failed_trial(fault)
            log.warning("%s can't be used (%s): %s", self._name, reason or fault_class, fault)
            accelerator.drop()
            self._fault(fault_class, reason, str(fault))
        else:
            if self._state.phase in {Phase.STARTING, Phase.PROBING}:
                self._tell(failover.Loaded(asyncio.get_running_loop().time()))
            else:
                accelerator.drop()  # something was told of it meanwhile

    async def _judge(self, accelerator: Rung) -> None:
        """Raise ProviderFault unless the golden clip comes out as on the CPU, within the limit."""
        if self._ladder.golden is None:
            return
        clip = Utterance(0, 0, 0, self._ladder.golden, EndReason.STOP)
        if self._golden_text is None:
            self._golden_text = (await self._on_cpu(clip)).text
        run = accelerator.start(clip)
        done, _ = await asyncio.wait({run.answer}, timeout=2 * ACCELERATOR_LIMIT_S)
        if not done:
            run.answer.cancel()
            accelerator.abandon()
            raise RunTooLong(f"the golden clip took longer than {2 * ACCELERATOR_LIMIT_S:g} s on {self._name}")
        heard = run.answer.result()
        accelerator.learn(run)
        if _words(heard.text) != _words(self._golden_text):
            raise WrongOutput(f"{self._name} hears something else in the golden clip than the CPU does")

    def _class_of_failed_trial(self, fault: Exception) -> tuple[FaultClass, Reason]:
        match fault:
            case WrongOutput():
                return FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT
            case RunTooLong() | LoadTooLong():
                return FaultClass.TRANSIENT, Reason.GPU_TIMEOUT
        if not isinstance(fault, ColdvoxError):
            return _unknown(fault)
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


class RunTooLong(ProviderFault):
    """The accelerator did not come to an end with the golden clip."""


def _unknown(fault: Exception) -> tuple[FaultClass, Reason]:
    """The class of what no part of ours raises: a driver's or a library's own exception."""
    log.error("an exception that nobody translated", exc_info=fault)
    return FaultClass.TRANSIENT, Reason.GPU_FAULT


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
