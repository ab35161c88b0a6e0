"""The ladder's ground: recognition on the CPU, begun anew after a fault and in two pieces where it takes too long."""

import asyncio
import logging
from collections.abc import Callable

from coldvoxd.core.errors import ColdvoxError, ProviderFault, RecognitionFailed
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.recognition.cpu_standby import CpuStandby
from coldvoxd.recognition.race import first_valid
from coldvoxd.recognition.utterance_split import joined, split
from coldvoxd.recognition.worker import RecognizerWorker, Run

log = logging.getLogger(__name__)

ATTEMPTS = 2


class CpuFallback:
    """Never gives an utterance up while a way is left. Event loop only; `tell_error` is told what goes wrong."""

    def __init__(self, standby: CpuStandby, metrics: Metrics, tell_error: Callable[[str], None]) -> None:
        self._standby = standby
        self._metrics = metrics
        self._tell_error = tell_error

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Raises RecognitionFailed once it failed twice on the same audio, or InputFault."""
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                self._metrics.count(Count.ATTEMPTS_AGAIN)
            try:
                return await self._within_limit(utterance)
            except (ProviderFault, MemoryError) as fault:
                reason = str(fault) or "there is not enough memory"
                log.warning("recognition failed on the CPU utterance=%d: %s", utterance.id, reason)
                self._tell_error(f"utterance {utterance.id}: {reason}")
                last: Exception = fault
            except ColdvoxError:
                raise
            except Exception as bug:
                log.exception("recognition failed utterance=%d", utterance.id)
                self._tell_error(f"utterance {utterance.id}: {type(bug).__name__}")
                raise RecognitionFailed(
                    f"Utterance {utterance.id} caused an internal error ({type(bug).__name__}); "
                    "please report it with `coldvoxctl doctor --report FILE`."
                ) from bug
        raise RecognitionFailed(f"Utterance {utterance.id} could not be recognized: {reason}") from last

    async def _within_limit(self, utterance: Utterance) -> Hypothesis:
        """An utterance that takes too long is begun anew in two pieces, and what is whole first wins."""
        rung = await self._standby.rung()
        run = rung.start(utterance)
        with rung.awaiting(run, rung.split_s(utterance.duration_s)):
            return await self._answer(rung, run)

    async def _answer(self, rung: RecognizerWorker, run: Run) -> Hypothesis:
        utterance = run.utterance
        limit_s = rung.split_s(utterance.duration_s)
        loop = asyncio.get_running_loop()
        left_s = limit_s
        while left_s > 0:
            done, _ = await asyncio.wait({run.answer}, timeout=left_s)
            if done:
                hypothesis = run.answer.result()
                rung.learn(run)
                return hypothesis
            if run.begun_s is None and run.generation != rung.generation:
                run.answer.cancel()
                raise ProviderFault("the recognizer on the CPU was abandoned before it started this utterance")
            left_s = limit_s - (loop.time() - run.begun_s) if run.begun_s is not None else limit_s
        log.warning("utterance %d takes longer than %.1f s on the CPU; splitting it", utterance.id, limit_s)
        self._metrics.count(Count.SPLITS)
        if rung.generation == run.generation:
            rung.abandon()
        return await first_valid(run, self._in_pieces(utterance))

    async def _in_pieces(self, utterance: Utterance) -> Hypothesis:
        pieces = split(utterance)
        if pieces is None:
            rung = await self._standby.rung()
            run = rung.start(utterance)
            with rung.awaiting(run, rung.split_s(utterance.duration_s)):
                await asyncio.wait({run.answer})
                return run.answer.result()
        first, second = pieces
        heard = await self._within_limit(first)
        return joined(heard, await self._within_limit(second), second.start_sample - first.start_sample)
