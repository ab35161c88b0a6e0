"""Recognition on the CPU: repeated after a fault, and split into two pieces if it takes too long."""

import asyncio
import logging
from collections.abc import Callable

from coldvoxd.core.errors import ColdvoxError, ProviderFault, RecognitionFailed
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.recognition.cpu_standby import CpuStandby
from coldvoxd.recognition.utterance_split import joined, split
from coldvoxd.recognition.worker import RecognizerWorker, Run, first_valid

log = logging.getLogger(__name__)

ATTEMPTS = 2


class CpuFallback:
    """Last resort for an utterance. Event loop only. `report_error` receives a sentence without spoken text."""

    def __init__(self, cpu: CpuStandby, metrics: Metrics, report_error: Callable[[str], None]) -> None:
        self._cpu = cpu
        self._metrics = metrics
        self._report_error = report_error

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Recognize an utterance. Raises RecognitionFailed after two failures on the same audio, or InputFault."""
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                self._metrics.count(Count.ATTEMPTS_AGAIN)
            try:
                return await self._recognize_within_limit(utterance)
            except (ProviderFault, MemoryError) as error:
                reason = str(error) or "there is not enough memory"
                log.warning("recognition failed on the CPU utterance=%d: %s", utterance.id, reason)
                self._report_error(f"utterance {utterance.id}: {reason}")
                last: Exception = error
            except ColdvoxError:
                raise
            except Exception as bug:
                log.exception("recognition failed utterance=%d", utterance.id)
                self._report_error(f"utterance {utterance.id}: {type(bug).__name__}")
                raise RecognitionFailed(
                    f"Utterance {utterance.id} caused an internal error ({type(bug).__name__}); "
                    "please report it with `coldvoxctl doctor --report FILE`."
                ) from bug
        raise RecognitionFailed(f"Utterance {utterance.id} could not be recognized: {reason}") from last

    async def recognize_partial(self, utterance: Utterance) -> Hypothesis | None:
        """Recognize once, without a report of failures; None if no recognizer is open. Raises ColdvoxError."""
        worker = self._cpu.open_worker
        if worker is None:
            return None
        run = worker.start(utterance)
        limit_s = worker.times.split_s(utterance.duration_s)
        try:
            return await worker.answer_within(run, limit_s)
        except TimeoutError:
            raise ProviderFault(f"a run on the CPU exceeded {limit_s:.1f} s") from None

    async def encode_ahead(self, utterances: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
        """Encode utterances ahead, as `RecognizerWorker.start_ahead` does, if a recognizer is open. Raises ColdvoxError."""
        worker = self._cpu.open_worker
        if worker is None:
            return utterances
        run = worker.start_ahead(utterances)
        limit_s = worker.times.split_s(sum(one.duration_s for one in utterances))
        try:
            return await worker.answer_within(run, limit_s)
        except TimeoutError:
            raise ProviderFault(f"a run on the CPU exceeded {limit_s:.1f} s") from None

    async def _recognize_within_limit(self, utterance: Utterance) -> Hypothesis:
        """Recognize an utterance, and repeat it in two pieces if it takes too long. The first complete answer wins."""
        worker = await self._cpu.worker()
        run = worker.start(utterance)
        with worker.awaiting(run, worker.times.split_s(utterance.duration_s)):
            return await self._answer(worker, run)

    async def _answer(self, worker: RecognizerWorker, run: Run[Hypothesis]) -> Hypothesis:
        utterance = run.utterance
        limit_s = worker.times.split_s(utterance.duration_s)
        loop = asyncio.get_running_loop()
        left_s = limit_s
        while left_s > 0:
            done, _ = await asyncio.wait({run.answer}, timeout=left_s)
            if done:
                hypothesis = run.answer.result()
                worker.learn(run)
                return hypothesis
            if run.begun_s is None and run.generation != worker.generation:
                run.answer.cancel()
                raise ProviderFault("the recognizer on the CPU was abandoned before it started this utterance")
            left_s = limit_s - (loop.time() - run.begun_s) if run.begun_s is not None else limit_s
        log.warning("utterance %d takes longer than %.1f s on the CPU; splitting it", utterance.id, limit_s)
        self._metrics.count(Count.SPLITS)
        if worker.generation == run.generation:
            worker.abandon()
        return await first_valid(run, self._recognize_in_pieces(utterance))

    async def _recognize_in_pieces(self, utterance: Utterance) -> Hypothesis:
        pieces = split(utterance)
        if pieces is None:
            worker = await self._cpu.worker()
            run = worker.start(utterance)
            with worker.awaiting(run, worker.times.split_s(utterance.duration_s)):
                await asyncio.wait({run.answer})
                return run.answer.result()
        first, second = pieces
        heard = await self._recognize_within_limit(first)
        return joined(heard, await self._recognize_within_limit(second), second.start_sample - first.start_sample)
