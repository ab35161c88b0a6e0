"""Recognizes speech again that gave no words."""

import logging
from collections.abc import Awaitable, Callable

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.recognition_state import RecognitionState
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, Utterance
from coldvoxd.recognition.cpu_fallback import CpuFallback
from coldvoxd.recognition.failover import Failover
from coldvoxd.recognition.utterance_split import moved_back, varied

log = logging.getLogger(__name__)

SURE_SPEECH_S = 0.5
"""An utterance with at least this many seconds of speech is recognized again if it gives no words."""


class WordlessRetry:
    """Event loop only. `state` returns the current state of recognition."""

    def __init__(
        self, failover: Failover, fallback: CpuFallback, metrics: Metrics, state: Callable[[], RecognitionState]
    ) -> None:
        self._failover = failover
        self._fallback = fallback
        self._metrics = metrics
        self._state = state

    async def words_of(self, utterance: Utterance, hypothesis: Hypothesis, cpu_provider: str) -> Hypothesis:
        """Return the hypothesis, or another one of speech without words: with dither and more padding, then of the CPU.

        `cpu_provider` is the provider of the CPU's session. Raises what recognizing raises.
        """
        if _is_answer(hypothesis, utterance):
            return hypothesis
        log.info("utterance %d has speech but no words were recognized; retrying", utterance.id)
        again = await self._varied(utterance, self._failover.recognize)
        if again.text:
            return again
        if again.provider == cpu_provider == hypothesis.provider:
            return hypothesis
        on_cpu = await self._fallback.recognize(utterance)
        if on_cpu.text:
            self._metrics.count(Count.NO_WORDS_RETRIES_RECOVERED)
            if self._state().on_accelerator:
                name = self._state().accelerator_name
                message = f"{name} recognized no words in utterance {utterance.id}, but the CPU did"
                log.warning(message)
                self._failover.report_fault(FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT, message)
        return on_cpu

    async def words_on_cpu(self, utterance: Utterance, hypothesis: Hypothesis) -> Hypothesis:
        """Return the hypothesis, or that of a run on the CPU with dither and more padding for speech without words."""
        if _is_answer(hypothesis, utterance):
            return hypothesis
        again = await self._varied(utterance, self._fallback.recognize)
        return again if again.text else hypothesis

    async def _varied(
        self, utterance: Utterance, recognize: Callable[[Utterance], Awaitable[Hypothesis]]
    ) -> Hypothesis:
        """Recognize an utterance with dither and more padding. Times refer to the original utterance."""
        self._metrics.count(Count.NO_WORDS_RETRIES)
        again = await recognize(varied(utterance))
        if not again.text:
            return again
        self._metrics.count(Count.NO_WORDS_RETRIES_RECOVERED)
        return moved_back(again, utterance.duration_s)


def _is_answer(hypothesis: Hypothesis, utterance: Utterance) -> bool:
    """Return whether a hypothesis has words, or the utterance has too little speech to expect any."""
    return bool(hypothesis.text) or utterance.speech_samples < SURE_SPEECH_S * SAMPLE_RATE
