"""Owns the recognizers: loads them, hands them utterances, fails over from the accelerator to the CPU and back."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from coldvoxd.core import failover_state
from coldvoxd.core.errors import ColdvoxError, ModelMissing, NotReady, ResourcesExhausted
from coldvoxd.core.failover_state import FailoverState, Fault, FaultClass, Phase, Reason
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.ports import MissingModel
from coldvoxd.core.problems import Problem
from coldvoxd.core.values import SAMPLE_RATE, ChangeReason, EngineStatus, Hypothesis, Utterance
from coldvoxd.gpu.health import GpuWatch, Verdict
from coldvoxd.native.providers import short_name
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.cpu_fallback import CpuFallback
from coldvoxd.recognition.cpu_standby import CpuStandby
from coldvoxd.recognition.hedging import Hedging
from coldvoxd.recognition.provider_probe import ProviderProbe, class_of_failure
from coldvoxd.recognition.utterance_split import moved_back, varied
from coldvoxd.recognition.warmup import Warmup
from coldvoxd.recognition.worker import RecognizerWorker

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 3.0
"""How soon a missing model is looked for again: it may be placed by hand at any time, one file after the other."""
LOOK_WHILE_FETCHING_S = 1.0
LOOK_AGAIN_AT_MOST_S = 60.0
"""A model whose files are all there and wrong is tried less and less often."""
CONTEXTS = frozenset({"cuda", "tensorrt", "nvtensorrtrtx", "rocm", "migraphx", "virtual"})
"""Accelerators that keep a context for the life of the process, whose memory a sleep of the machine may take away."""
SURE_SPEECH_S = 0.5
"""With so much speech in it, an utterance without words was not understood."""
FIRST_LOOK_S = 2.0
"""How long the first trial waits for a look at the card: one that sleeps takes its time."""
LOOK_BEFORE_RUN_S = 0.03
"""How long a run waits for a look at the card. It takes a millisecond where nothing is wrong."""


class Supervisor:
    """The recognizers' keeper, on the event loop.

    The CPU is loaded first and serves while the accelerator loads; from then on every utterance goes to the
    accelerator, and to the CPU as well where that fails or takes too long. The utterance is held here until it is
    answered, so a swap loses no words.
    """

    def __init__(
        self,
        ladder: Backends,
        status: EngineStatus,
        on_change: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
        watch: GpuWatch | None = None,
    ) -> None:
        self._ladder = ladder
        self._on_change = on_change
        self._metrics = metrics or Metrics()
        self._watch = watch
        self.look_for_missing: Callable[[ModelMissing], Awaitable[MissingModel]] | None = None
        """Asked each time that the model is found missing: it may be on its way."""
        self._standby = CpuStandby(ladder.cpu, ladder.cpu_mapped or ladder.cpu, ladder.readiness, ladder.limits)
        self._ground = CpuFallback(self._standby, self._metrics, self._note_error)
        self._accelerator: RecognizerWorker | None = None
        if ladder.accelerator is not None:
            self._accelerator = RecognizerWorker(ladder.accelerator_name, ladder.accelerator, ladder.limits)
        self._hedging: Hedging | None = None
        self._trial: ProviderProbe | None = None
        if self._accelerator is not None:
            self._hedging = Hedging(
                self._accelerator,
                self._metrics,
                on_cpu=self._ground.recognize,
                serves=lambda: self.on_accelerator,
                tell_fault=self._fault,
                warming=Warmup(self._accelerator, ladder.lengths_s),
            )
            self._trial = ProviderProbe(self._accelerator, ladder.golden, self._ground.recognize)
        self._settled = asyncio.Event()
        self._refusal: NotReady | None = None
        self._state = FailoverState()
        self._trying: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._touched = False
        """The accelerator was used, with or without success, or is being loaded."""
        self._renewing = False
        self.begins_at_rest = False
        """Leave the accelerator alone until somebody dictates."""
        self.status = replace(status, loading=True)

    @property
    def longest_s(self) -> float:
        """The greatest length of an utterance that the CPU, should it have to, recognizes in good time."""
        return self._standby.packed.longest_s

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
                self._refuse(found, _code(fault))
                if found.progress >= 0:  # LastError has what is waited for; it changes often
                    await asyncio.sleep(LOOK_WHILE_FETCHING_S)
                    continue
                if told != found.last_error:
                    told, again_s = found.last_error, LOOK_AGAIN_S
                    log.error("model %s cannot be used: %s", self.status.model, told)  # noqa: TRY400 - it says all
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
            provider=self._standby.provider,
            precision=self._standby.precision,
            features_size=self._standby.packed.features_size,
            loading=False,
            ready=True,
            degraded="",
            covered="",
            last_error="",
            progress=-1.0,
        )
        self._found(self._standby.provider, usable=True)
        log.info("model %s (%s) loaded, provider %s", self.status.model, self.status.precision, self._standby.provider)
        self._settled.set()
        await self._begin()

    async def tried(self) -> None:
        """Return once the trial of the accelerator is over, or at once where none runs; the status tells how it went."""
        if self._trying is not None:
            await asyncio.wait({self._trying})

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
    def accelerator_name(self) -> str:
        """As the settings call it; empty where nothing but the CPU is wanted."""
        return self._name

    @property
    def reason(self) -> str:
        """Why recognition is where it is: a code of Degraded, `accelerator-ready` or `idle`."""
        return self._state.reason.value or (ChangeReason.IDLE if self.resting else ChangeReason.ACCELERATOR_READY)

    @property
    def on_accelerator_since_s(self) -> float:
        """When it last came into use."""
        return self._state.on_gpu_since_s

    @property
    def resting(self) -> bool:
        """The accelerator was let go of because nobody dictates."""
        return self._state.phase is Phase.RESTING

    @property
    def wants_new_process(self) -> bool:
        """Only a new process could use the accelerator again, and it would be well there."""
        return self._renewing and not self._state.held

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
        hypothesis = await self._ground.recognize(utterance)
        if hypothesis.text or utterance.speech_samples < SURE_SPEECH_S * SAMPLE_RATE:
            return hypothesis
        self._metrics.count(Count.NO_WORDS_RETRIES)
        again = await self._ground.recognize(varied(utterance))
        if not again.text:
            return hypothesis
        self._metrics.count(Count.NO_WORDS_RETRIES_RECOVERED)
        return moved_back(again, utterance.duration_s)

    def use_findings(self, usable_providers: Iterable[str]) -> None:
        """Providers, by their short names, that another supervisor or process found usable; replaces what was known."""
        self._publish(usable_providers=tuple(usable_providers))

    def tell_error(self, message: str) -> None:
        """Something else went wrong that people should know of; a sentence without spoken text."""
        log.warning("%s", message)
        self._publish(last_error=message)

    def tell(self, event: failover_state.Event) -> None:
        """Something happened to the accelerator that the table of failover knows a row for, and do what it says."""
        before = self._state
        self._state, effects = failover_state.step(before, event)
        for effect in effects:
            self._do(effect)
        if self.status.ready:  # otherwise the model is what is wrong
            self._publish(degraded=self._state.reason.value, covered=self._state.covered.value)

    def unwell(self, verdict: Verdict) -> None:
        """The watch says that the accelerator should not be used, until `well_again`."""
        if self._state.phase is Phase.STARTING and self._trying is None:
            return  # it is asked when the time has come
        self._against(verdict)

    def heed_watch(self) -> None:
        """Take in what the watch says now: what it said before went to the supervisor that was in use then."""
        if self._watch is not None and (against := self._watch.condition) is not None:
            self.unwell(against)

    def well_again(self) -> None:
        """The watch has nothing against the accelerator any more."""
        self.tell(failover_state.WellAgain(random.uniform(-1, 1)))

    def struck(self, verdict: Verdict) -> None:
        """Something happened to the card that ends what runs on it."""
        log.warning("%s", verdict.message)
        if self._touched:
            self._fault(verdict.fault_class, verdict.reason, verdict.message)

    def rest(self) -> None:
        """Nobody has dictated for long: let go of the accelerator, if it serves."""
        self.tell(failover_state.NobodyDictates())

    def needed(self) -> None:
        """Somebody dictates, or will: an accelerator that rests is loaded, and the CPU serves meanwhile."""
        self.begins_at_rest = False
        self.tell(failover_state.SomebodyDictates())

    def promise_kept(self, now_s: float) -> bool:
        """Whether every current lane is within its time limit. For the watchdog."""
        accelerator = self._accelerator
        return self._standby.promise_kept(now_s) and (accelerator is None or accelerator.promise_kept(now_s))

    async def suspend(self) -> None:
        """The machine is about to sleep: let go of the accelerator, and return once that is done. Then `wake`."""
        if self._accelerator is None:
            return
        if self._pause is not None:
            self._pause.cancel()
        self.tell(failover_state.Suspending())
        await self._accelerator.let_go()

    def wake(self) -> None:
        """The machine woke up: the CPU serves, and the accelerator is tried again, by a new process where need be."""
        if self._accelerator is not None:
            self.tell(failover_state.Woken(stale=self._touched and self._name in CONTEXTS))

    def close(self) -> None:
        """Let go of the recognizers, as soon as their lanes are free. Doesn't wait."""
        if self._trying is not None:
            self._trying.cancel()
        if self._pause is not None:
            self._pause.cancel()
        self._standby.close()
        if self._accelerator is not None:
            self._accelerator.close()

    # Recognition.

    async def _recognize(self, utterance: Utterance) -> Hypothesis:
        hedging = self._hedging
        self.needed()
        if self._watch is not None and self.on_accelerator:
            await self._watch.fresh(LOOK_BEFORE_RUN_S)
        if hedging is None or not self.on_accelerator or hedging.occupied:
            return await self._ground.recognize(utterance)
        return await hedging.recognize(utterance)

    async def _hear_again(self, utterance: Utterance, nothing: Hypothesis) -> Hypothesis:
        """Another hypothesis of speech in which no words were heard: with dither and more room, then on the CPU."""
        self._metrics.count(Count.NO_WORDS_RETRIES)
        log.info("utterance %d has speech but no words were recognized; retrying", utterance.id)
        again = await self._recognize(varied(utterance))
        if again.text:
            self._metrics.count(Count.NO_WORDS_RETRIES_RECOVERED)
            return moved_back(again, utterance.duration_s)
        if again.provider == self._standby.provider == nothing.provider:
            return nothing
        on_cpu = await self._ground.recognize(utterance)
        if on_cpu.text:
            self._metrics.count(Count.NO_WORDS_RETRIES_RECOVERED)
            if self.on_accelerator:
                message = f"{self._name} recognized no words in utterance {utterance.id}, but the CPU did"
                log.warning(message)
                self._fault(FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT, message)
        return on_cpu

    # Failover.

    @property
    def _name(self) -> str:
        return self._ladder.accelerator_name

    async def _begin(self) -> None:
        if self._accelerator is None:
            self.tell(failover_state.CpuWanted())
            return
        if self._state.phase is not Phase.STARTING:
            return  # the machine is about to sleep
        if self.begins_at_rest:
            self.rest()
            return
        if self._watch is not None:
            await self._watch.fresh(FIRST_LOOK_S)
            if (against := self._watch.condition) is not None:
                self._against(against)
                return
        if self._state.phase is Phase.STARTING:
            self._begin_trial()

    def _against(self, verdict: Verdict) -> None:
        self._metrics.fault(verdict.fault_class, verdict.reason)
        self._publish(last_error=verdict.message)
        # What was never used in this process needs no new one.
        fault_class = verdict.fault_class if self._touched else FaultClass.UNHEALTHY
        self.tell(failover_state.Unwell(fault_class, verdict.reason, asyncio.get_running_loop().time()))

    def _fault(self, fault_class: FaultClass, reason: Reason, message: str) -> None:
        if self._watch is not None:
            fault_class, reason = self._watch.refined(fault_class, reason)
        self._metrics.fault(fault_class, reason)
        self._publish(last_error=message)
        self._note_unusable(fault_class, reason)
        now_s = asyncio.get_running_loop().time()
        self.tell(Fault(fault_class, reason, now_s, random.uniform(-1, 1)))

    def _do(self, effect: failover_state.Effect) -> None:
        match effect:
            case failover_state.UseGpu():
                self._use_accelerator()
            case failover_state.UseCpu():
                self._standby.wake()
                level = logging.INFO if self._state.reason is Reason.SLEEP else logging.WARNING
                self._use(self._standby, level, self._state.reason.value or ChangeReason.REQUESTED)
            case failover_state.RestGpu():
                self._use(self._standby, logging.INFO, ChangeReason.IDLE)
            case failover_state.DropGpu(at_once):
                if self._hedging is not None:
                    self._hedging.let_go(at_once=at_once)
            case failover_state.Probe():
                self._begin_trial()
            case failover_state.ProbeLater(pause_s):
                self._probe_after(pause_s)
            case failover_state.ReplaceSelfWhenIdle():
                self._renewing = True

    def _use_accelerator(self) -> None:
        if self._hedging is not None and self._accelerator is not None:
            self._hedging.begin()
            self._use(self._accelerator, logging.INFO, ChangeReason.ACCELERATOR_READY)
        self._standby.rest()

    def _probe_after(self, pause_s: float) -> None:
        log.info("%s will be retried in %.0f s", self._name, pause_s)
        if self._pause is not None:
            self._pause.cancel()
        self._pause = asyncio.get_running_loop().call_later(pause_s, self.tell, failover_state.ProbeDue())

    def _use(self, rung: RecognizerWorker | CpuStandby, level: int, reason: str) -> None:
        before = self.status.provider
        self._publish(provider=rung.provider, precision=rung.precision, degraded=self._state.reason.value)
        if before != rung.provider:
            log.log(level, "provider %s->%s reason=%s", before, rung.provider, reason)

    def _begin_trial(self) -> None:
        assert self._accelerator is not None and self._trial is not None  # noqa: S101, PT018 - only where there is one
        self._trying = asyncio.create_task(self._try(self._accelerator, self._trial), name="accelerator")

    async def _try(self, accelerator: RecognizerWorker, trial: ProviderProbe) -> None:
        before, self._touched = self._touched, True
        began_s = asyncio.get_running_loop().time()
        try:
            await trial.hold()
        except Exception as fault:  # noqa: BLE001 - the trial ends here, and the table must learn how
            fault_class, reason = class_of_failure(fault)
            self._touched = before or fault_class is not FaultClass.ABSENT
            log.warning("%s cannot be used (%s): %s", self._name, reason or fault_class, fault)
            accelerator.drop()
            self._note_unusable(fault_class, reason)
            if self._state.phase in {Phase.STARTING, Phase.PROBING} or fault_class is FaultClass.STICKY:
                self._fault(fault_class, reason, str(fault))
        else:
            self._metrics.accelerator_load_s = asyncio.get_running_loop().time() - began_s
            self._found(self._name, usable=True)
            if self._state.phase in {Phase.STARTING, Phase.PROBING}:
                self.tell(failover_state.Loaded(asyncio.get_running_loop().time()))
            else:
                accelerator.drop()  # something was told of it meanwhile

    async def _explained(self, fault: ColdvoxError) -> MissingModel:
        """What callers are told of a model that can't be loaded."""
        if isinstance(fault, ModelMissing) and self.look_for_missing is not None:
            return await self.look_for_missing(fault)
        return MissingModel(fault if isinstance(fault, NotReady) else NotReady(str(fault)), str(fault))

    def _refuse(self, found: MissingModel, problem: Problem) -> None:
        self._refusal = found.refusal
        self._publish(
            loading=False,
            ready=False,
            degraded=problem.value,
            last_error=found.last_error,
            progress=found.progress,
        )
        self._settled.set()

    def _note_unusable(self, fault_class: FaultClass, reason: Reason) -> None:
        """After a fault that time does not heal the accelerator counts as unusable, until a trial succeeds."""
        if fault_class is FaultClass.ABSENT or reason is Reason.GPU_WRONG_OUTPUT:
            self._found(self._name, usable=False)

    def _found(self, provider: str, *, usable: bool) -> None:
        self._publish(usable_providers=self.status.found(short_name(provider), usable=usable).usable_providers)

    def _note_error(self, message: str) -> None:
        self._publish(last_error=message)

    def _publish(self, **changed: object) -> None:
        status = replace(self.status, **changed)  # type: ignore[arg-type] # fields by name
        if status != self.status:
            self.status = status
            self._on_change()


def _code(fault: ColdvoxError) -> Problem:
    """For a model that could not be loaded."""
    if isinstance(fault, ModelMissing):
        return Problem.MODEL_MISSING
    return Problem.RESOURCES_EXHAUSTED if isinstance(fault, ResourcesExhausted) else Problem.MODEL_INVALID
