"""The fallback engine: recognizes while the model of the settings cannot be loaded."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from coldvoxd.core.cut_overlap import moved
from coldvoxd.core.errors import ColdvoxError, NotReady
from coldvoxd.core.fallback import RunningEngine
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.ports import MissingModel
from coldvoxd.core.problems import Problem
from coldvoxd.core.sentences import sentences
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, Utterance
from coldvoxd.recognition.backends import FallbackBackend
from coldvoxd.recognition.cpu_fallback import CpuFallback
from coldvoxd.recognition.cpu_standby import CpuStandby
from coldvoxd.recognition.run_times import RunLimits

log = logging.getLogger(__name__)


class Substitute:
    """Opens the fallback engine when it is needed, and closes it afterwards. Event loop only.

    Its recognizer has a call thread, time limits and attempts as the one on the CPU; speech without words is not recognized again,
    because that serves Parakeet only. It gets no overlap: the times of whisper.cpp's words are too coarse. Without a `backend` there is no fallback.
    """

    def __init__(self, backend: FallbackBackend | None, metrics: Metrics, report_error: Callable[[str], None]) -> None:
        """`report_error` receives a sentence without spoken text."""
        self._backend = backend
        self._metrics = metrics
        self._report_error = report_error
        self._cpu: CpuStandby | None = None
        self._recognition: CpuFallback | None = None
        self._opening = asyncio.Lock()
        self._in_hand = 0
        """Utterances without a result yet."""
        self.longest_s = 0.0
        """Maximum length in seconds of an utterance."""
        self.has_partials = False
        """Whether words are published while an utterance is being spoken."""

    @property
    def serves(self) -> bool:
        """Whether utterances go to the fallback engine."""
        return self._recognition is not None

    async def begin(self) -> str:
        """Open the engine unless it serves. Return why it cannot serve, with the remedy; empty if it does or if there is none."""
        async with self._opening:  # a session and an utterance may need it at the same time
            return "" if self._backend is None or self.serves else await self._open(self._backend)

    async def _open(self, backend: FallbackBackend) -> str:
        try:
            engine = await asyncio.to_thread(backend.find)
            limits = RunLimits(cpu_run_s=engine.run_s)
            cpu = CpuStandby(lambda: backend.open(engine), lambda: backend.open(engine), limits=limits)
            try:
                await cpu.packed.open()
            except BaseException:
                cpu.close()
                raise
        except (ColdvoxError, MemoryError) as error:
            return f"The fallback engine {backend.name} cannot be used: {error or 'there is not enough memory'}"
        self._cpu, self._recognition = cpu, CpuFallback(cpu, self._metrics, self._report_error)
        self.longest_s, self.has_partials = engine.longest_s, engine.stops_quickly
        return ""

    def log_serving(self) -> None:
        """Log that the engine serves, if it does."""
        if self._backend is not None and self.serves:
            log.warning("the fallback engine %s (%s) recognizes", self._backend.name, self._backend.model)

    def end(self) -> None:
        """Send no further utterances to the engine, and close it once it has answered those in hand."""
        self._recognition = None
        self._close_when_done()

    def status(self, found: MissingModel, problem: Problem) -> dict[str, object]:
        """Return the changes of the EngineStatus while the engine serves. `found` and `problem` say why it must."""
        if self._backend is None or self._cpu is None:
            raise AssertionError("no fallback engine serves")
        return {
            "running": RunningEngine(
                self._backend.name, has_seams=False, has_partials=self.has_partials, has_alternatives=False
            ),
            "model": self._backend.model,
            "provider": self._cpu.provider,
            "precision": self._cpu.precision,
            "languages": self._cpu.packed.languages,
            "loading": False,
            "ready": True,
            "degraded": Problem.FALLBACK_ENGINE.value,
            "covered": problem.value,
            "wrong_on_cpu": False,
            "last_error": sentences(found.last_error, f"The fallback engine {self._backend.name} recognizes instead"),
            "progress": found.progress,
        }

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Recognize an utterance. Raises RecognitionFailed after two failures on the same audio, or InputFault."""
        if self._recognition is None:
            raise NotReady("The fallback engine is not open.")
        self._in_hand += 1
        try:
            return in_audio_of(utterance, await self._recognition.recognize(utterance.without_overlap()))
        finally:
            self._in_hand -= 1
            self._close_when_done()

    async def recognize_partial(self, utterance: Utterance) -> Hypothesis | None:
        """Recognize an utterance as far as it has been spoken; None if the engine would delay the text by that."""
        if self._recognition is None or not self.has_partials:
            return None
        self._in_hand += 1
        try:
            partial = await self._recognition.recognize_partial(utterance.without_overlap())
            return None if partial is None else in_audio_of(utterance, partial)
        finally:
            self._in_hand -= 1
            self._close_when_done()

    def promise_kept(self, now_s: float) -> bool:
        """Whether the call threads are within their time limits."""
        return self._cpu is None or self._cpu.promise_kept(now_s)

    def close(self) -> None:
        """Close the engine as soon as its call thread is free. Doesn't wait."""
        self._recognition = None
        if self._cpu is not None:
            self._cpu.close()

    def _close_when_done(self) -> None:
        if self._recognition is None and self._cpu is not None and not self._in_hand:
            self._cpu.close()
            self._cpu = None


def in_audio_of(utterance: Utterance, hypothesis: Hypothesis) -> Hypothesis:
    """Return a hypothesis of the utterance without its overlap with the times of all its audio."""
    return replace(hypothesis, words=moved(hypothesis.words, utterance.overlap.lead / SAMPLE_RATE))


def explained(found: MissingModel, reason: str) -> MissingModel:
    """Return what to report about a missing model, with the reason why the fallback engine cannot serve either."""
    if not reason:
        return found
    refusal = type(found.refusal)(sentences(str(found.refusal), reason))
    return MissingModel(refusal, sentences(found.last_error, reason), found.progress)
