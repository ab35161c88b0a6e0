"""Owns the recognizers of one model: loads them, and recognizes every utterance whatever fails."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace

from coldvoxd.core.errors import ColdvoxError, ModelMissing, NotReady, ResourcesExhausted
from coldvoxd.core.failover_state import IdleTimeout, RecognitionNeeded
from coldvoxd.core.fallback import PARAKEET, RunningEngine
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.ports import MissingModel
from coldvoxd.core.problems import Problem
from coldvoxd.core.recognition_state import ModelNeeded, ModelUnneeded, ProvidersFound, RecognitionState
from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.values import EngineStatus, Hypothesis, Utterance
from coldvoxd.gpu.health import GpuWatch
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.cpu_fallback import CpuFallback
from coldvoxd.recognition.cpu_standby import CpuStandby
from coldvoxd.recognition.cpu_verification import CpuVerification
from coldvoxd.recognition.failover import AcceleratorEvent, Failover
from coldvoxd.recognition.state_publisher import StatePublisher
from coldvoxd.recognition.substitute import Substitute, explained
from coldvoxd.recognition.wordless_retry import WordlessRetry

log = logging.getLogger(__name__)

RecognitionEvent = ProvidersFound | ModelNeeded | ModelUnneeded | AcceleratorEvent
"""Events that the rest of the daemon reports to recognition."""
LookForMissing = Callable[[ModelMissing], Awaitable[MissingModel]]
"""Called each time the model is found missing, because it may be downloading."""

RELOAD_PAUSE_S = 3.0
"""Seconds before a missing model is looked for again: its files may be copied one by one at any time."""
RELOAD_PAUSE_WHILE_FETCHING_S = 1.0
LONGEST_RELOAD_PAUSE_S = 60.0
"""Upper bound, in seconds, of the growing pause before a complete but invalid model is tried again."""
LONGEST_PAUSE_WITH_FALLBACK_S = 600.0
"""The same while the fallback engine recognizes, because loading a large model slows it down."""
LARGEST_BATCH = 16


class Supervisor:
    """Loads a model, and keeps each utterance until it has a result. Event loop only.

    The CPU recognizer is loaded first and serves while the accelerator loads. From then on every utterance goes to the
    accelerator, and also to the CPU if the accelerator fails or takes too long. `on_change` is called after each
    change of `state`.
    """

    def __init__(
        self,
        backends: Backends,
        status: EngineStatus,
        on_change: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
        watch: GpuWatch | None = None,
    ) -> None:
        self.look_for_missing: LookForMissing | None = None
        self._metrics = metrics or Metrics()
        self._backends = backends
        state = RecognitionState(replace(status, loading=True), backends.accelerator_name)
        self._publisher = StatePublisher(state, on_change)
        self.batch_limit = LARGEST_BATCH
        """Maximum number of utterances to encode at once; less after a failure."""
        self._cpu = CpuStandby(backends.cpu, backends.cpu_mapped or backends.cpu, backends.readiness, backends.limits)
        self._fallback = CpuFallback(self._cpu, self._metrics, self._publisher.note_error)
        self._substitute = Substitute(backends.fallback, self._metrics, self._publisher.note_error)
        self._verification = CpuVerification(backends.cpu_reference, self._cpu.packed, self._report_cpu)
        self._failover = Failover(
            backends, self._cpu, self._fallback.recognize, self._publisher, metrics=self._metrics, watch=watch
        )
        self._retry = WordlessRetry(self._failover, self._fallback, self._metrics, lambda: self.state)
        self._load_attempted = asyncio.Event()
        self._refusal: NotReady | None = None
        self._loading_again: asyncio.Task[None] | None = None
        self._return: asyncio.Task[None] | None = None
        """Watches whether an unloaded model can be loaded for the session that needs it."""

    @property
    def state(self) -> RecognitionState:
        return self._publisher.state

    @property
    def model_longest_s(self) -> float:
        """Maximum length in seconds of audio that the model recognizes without losing words; infinity if unknown."""
        return self._substitute.longest_s if self._substitute.serves else self._backends.longest_s

    @property
    def longest_s(self) -> float:
        """Maximum length in seconds of an utterance that the CPU recognizes quickly enough and the model completely."""
        quick_s = math.inf if self._substitute.serves else self._cpu.packed.times.longest_s
        return min(quick_s, self.model_longest_s)

    @property
    def seam_method(self) -> SeamMethod:
        """The method that suits the model, for the setting `auto`."""
        return SeamMethod.OFF if self._substitute.serves else self._backends.seam_method

    def check_ready(self) -> None:
        """Raise NotReady if no utterance can be recognized at present."""
        if self._refusal is not None:
            raise type(self._refusal)(*self._refusal.args)

    async def load(self) -> None:
        """Load the model, waiting while it is missing or invalid. Then probe the accelerator.

        The fallback engine, if there is one, recognizes meanwhile.
        """
        logged = ""
        pause_s = RELOAD_PAUSE_S
        while True:
            try:
                await self.open()
            except ColdvoxError as error:
                found = explained(await self._explain(error), await self._substitute.begin())
                self._publish(found, _problem_of(error))
                if found.progress >= 0:  # LastError has the reason, which changes often
                    await asyncio.sleep(RELOAD_PAUSE_WHILE_FETCHING_S)
                    continue
                if logged != found.last_error:
                    logged, pause_s = found.last_error, RELOAD_PAUSE_S
                    log.error("model %s cannot be used: %s", self._backends.model, logged)  # noqa: TRY400 - enough
                    self._substitute.log_serving()
                await asyncio.sleep(pause_s)
                if not isinstance(error, ModelMissing):
                    longest_s = LONGEST_PAUSE_WITH_FALLBACK_S if self._substitute.serves else LONGEST_RELOAD_PAUSE_S
                    pause_s = min(longest_s, 2 * pause_s)
            else:
                return

    async def open(self) -> None:
        """Load the model and start to probe the accelerator. Raises ModelMissing, ModelInvalid or NotReady."""
        began_s = asyncio.get_running_loop().time()
        await self._cpu.packed.open()
        self._metrics.model_load_s = asyncio.get_running_loop().time() - began_s
        self._metrics.count(Count.MODEL_LOADS)
        self._refusal = None
        self._substitute.end()
        self._publisher.update_engine(
            running=RunningEngine(
                PARAKEET,
                has_alternatives=self._cpu.packed.has_alternatives,
                features_size=self._cpu.packed.features_size,
            ),
            model=self._backends.model,
            provider=self._cpu.provider,
            precision=self._cpu.precision,
            languages=self._cpu.packed.languages,
            loading=False,
            ready=True,
            degraded="",
            covered="",
            wrong_on_cpu=False,
            last_error="",
            progress=-1.0,
        )
        self._publisher.note_usable(self._cpu.provider, usable=True)
        engine = self.state.engine
        log.info("model %s (%s) loaded, provider %s", engine.model, engine.precision, engine.provider)
        self._load_attempted.set()
        self._verification.start()
        await self._failover.start()

    async def probe_ended(self) -> None:
        """Return once the accelerator's probe has ended, immediately if none runs. `state` has the result."""
        await self._failover.probe_ended()

    async def wait_loaded(self) -> None:
        """Wait while the model loads. Raises NotReady if it can't be loaded."""
        await self._load_attempted.wait()
        self.check_ready()

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Recognize an utterance after all earlier ones. Waits while the model loads.

        Raises RecognitionFailed if the CPU fails twice on the same audio, InputFault, or NotReady.
        """
        await self.wait_loaded()
        if self._substitute.serves:
            return await self._substitute.recognize(utterance)
        try:
            return await self._recognize(utterance)
        except NotReady as error:
            return await self._recognize_after_loss(utterance, error)

    async def _recognize(self, utterance: Utterance) -> Hypothesis:
        with self._verification.postponed():
            hypothesis = await self._failover.recognize(utterance)
            hypothesis = await self._retry.words_of(utterance, hypothesis, self._cpu.provider)
            self._count_holes(hypothesis)
            return hypothesis

    async def _recognize_after_loss(self, utterance: Utterance, error: NotReady) -> Hypothesis:
        """Recognize with the fallback engine: the model was released, and cannot be loaded when it is needed.

        The model is looked for from now on, as at the start. Raises the error if there is no fallback engine.
        """
        await self._substitute.begin()
        if not self._substitute.serves:
            raise error
        answer = asyncio.ensure_future(self._substitute.recognize(utterance))
        self._load_again()
        return await answer

    def _load_again(self) -> None:
        if self._loading_again is None or self._loading_again.done():
            self._loading_again = asyncio.create_task(self.load(), name="model")

    async def _replace_if_lost(self) -> None:
        """Open the fallback engine while the user speaks, if the released model cannot be loaded."""
        try:
            await self._cpu.worker()
        except NotReady:
            await self._substitute.begin()
            if self._substitute.serves:
                self._load_again()
        except ColdvoxError as error:
            log.debug("the model could not be loaded for the session: %s", error)  # the utterance tries again

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        """Like `recognize`, but never on the accelerator: for audio that may have crashed an earlier process."""
        await self.wait_loaded()
        if self._substitute.serves:
            return await self._substitute.recognize(utterance)
        with self._verification.postponed():
            hypothesis = await self._fallback.recognize(utterance)
            hypothesis = await self._retry.words_on_cpu(utterance, hypothesis)
            self._count_holes(hypothesis)
            return hypothesis

    async def recognize_partial(self, utterance: Utterance) -> Hypothesis | None:
        """Recognize an utterance as far as it has been spoken: once, where it would be recognized now.

        Returns None if no recognizer is open and free. Raises ColdvoxError. Not hedged, retried or counted, and no limit
        depends on its duration. Of its faults, only those are reported that affect later runs.
        """
        if not self.state.engine.ready:
            return None
        if self._substitute.serves:
            return await self._substitute.recognize_partial(utterance)
        with self._verification.postponed():
            return await self._failover.recognize_partial(utterance, self._fallback.recognize_partial)

    async def encode_ahead(self, utterances: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
        """Encode utterances together before they are recognized, if a recognizer is open.

        After a failure they are returned as they are, and later groups are half as large. Not hedged or counted.
        """
        if not self.state.engine.ready or self._substitute.serves:
            return utterances
        try:
            with self._verification.postponed():
                return await self._failover.encode_ahead(utterances, self._fallback.encode_ahead)
        except ColdvoxError as error:
            self.batch_limit = max(1, min(self.batch_limit, len(utterances)) // 2)
            log.warning(
                "encoding %d pieces at once failed, %d from now on: %s", len(utterances), self.batch_limit, error
            )
            return utterances

    def _count_holes(self, hypothesis: Hypothesis) -> None:
        if hypothesis.holes:
            found, filled = hypothesis.holes, hypothesis.holes_filled
            log.info("speech without words in an utterance: %d, recovered %d", found, filled)
            self._metrics.count(Count.HOLES, found)
            self._metrics.count(Count.HOLES_FILLED, filled)

    def handle(self, event: RecognitionEvent) -> None:
        """Act on an external event, which may change `state`."""
        match event:
            case ProvidersFound():
                self._publisher.update_engine(usable_providers=event.usable)
            case ModelUnneeded():
                if self.state.engine.ready and not self._substitute.serves:  # otherwise it is being loaded
                    self._failover.handle(IdleTimeout())
                    self._cpu.unload()
            case ModelNeeded():
                if self.state.engine.ready and not self._substitute.serves:
                    self._cpu.load()
                    self._failover.handle(RecognitionNeeded())
                    if self._backends.accelerator is None and self._backends.fallback is not None:
                        self._return = asyncio.create_task(self._replace_if_lost(), name="model-return")
            case _:
                self._failover.handle(event)

    def consult_watch(self) -> None:
        """Act on the current condition of the GPU, which has been reported to an earlier supervisor only."""
        self._failover.consult_watch()

    async def accelerator_freed(self) -> None:
        """Return once the accelerator's memory is freed after `SystemSuspending`."""
        await self._failover.accelerator_freed()

    def report_error(self, message: str) -> None:
        """Log and publish an error of another part; `message` is a sentence without spoken text."""
        log.warning("%s", message)
        self._publisher.note_error(message)

    def promise_kept(self, now_s: float) -> bool:
        """Whether every call thread in use is within its time limit. For the watchdog."""
        parts = (self._cpu, self._failover, self._substitute)
        return all(part.promise_kept(now_s) for part in parts)

    def close(self) -> None:
        """Close the recognizers as soon as their call threads are free. Doesn't wait."""
        for task in (self._loading_again, self._return):
            if task is not None:
                task.cancel()
        self._verification.close()
        self._failover.close()
        self._cpu.close()
        self._substitute.close()

    async def _explain(self, error: ColdvoxError) -> MissingModel:
        """Return what to report to callers about a model that can't be loaded."""
        if isinstance(error, ModelMissing) and self.look_for_missing is not None:
            return await self.look_for_missing(error)
        return MissingModel(error if isinstance(error, NotReady) else NotReady(str(error)), str(error))

    def _report_cpu(self, message: str) -> None:
        """Publish that the CPU recognizes the golden clip wrongly."""
        log.warning("%s", message)
        self._publisher.update_engine(wrong_on_cpu=True, last_error=message)

    def _publish(self, found: MissingModel, problem: Problem) -> None:
        """Publish that the model can't be loaded, and whether the fallback engine recognizes."""
        self._load_attempted.set()
        if self._substitute.serves:
            self._refusal = None
            self._publisher.update_engine(**self._substitute.status(found, problem))
            return
        self._refusal = found.refusal
        self._publisher.update_engine(
            loading=False,
            ready=False,
            degraded=problem.value,
            last_error=found.last_error,
            progress=found.progress,
        )


def _problem_of(error: ColdvoxError) -> Problem:
    """Return the problem code of a model that could not be loaded."""
    if isinstance(error, ModelMissing):
        return Problem.MODEL_MISSING
    return Problem.RESOURCES_EXHAUSTED if isinstance(error, ResourcesExhausted) else Problem.MODEL_INVALID
