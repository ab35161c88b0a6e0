"""Verifies the CPU recognizer with the golden clip after each load of the model."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coldvoxd.core.errors import ColdvoxError, OutputNotFinite
from coldvoxd.core.problems import WRONG_ON_CPU
from coldvoxd.core.values import EndReason, Utterance
from coldvoxd.recognition.backends import CpuReference
from coldvoxd.recognition.worker import RecognizerWorker

log = logging.getLogger(__name__)

QUIET_S = 5.0
"""Seconds without recognition after which a postponed verification is repeated."""


class CpuVerification:
    """Runs the golden clip on the CPU once for each load, and stops that run for any utterance. Event loop only.

    `report_wrong` receives a sentence without spoken text. Without a `reference` nothing is verified.
    """

    def __init__(
        self,
        reference: CpuReference | None,
        worker: RecognizerWorker,
        report_wrong: Callable[[str], None],
        *,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._reference = reference
        self._worker = worker
        self._report_wrong = report_wrong
        self._quiet_s = quiet_s
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._utterances = 0
        """Number of utterances that are being recognized."""

    @property
    def is_settled(self) -> bool:
        """Whether no verification runs or is due."""
        return not self._is_due

    def start(self) -> None:
        """Verify the model that has just been loaded: at once, or after the utterances in progress."""
        self._is_due = self._reference is not None
        self._begin()

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Keep the call thread free for an utterance during the context."""
        self._utterances += 1
        self._stop()
        try:
            yield
        finally:
            self._utterances -= 1
            if self._is_due and not self._utterances:
                self._timer = asyncio.get_running_loop().call_later(self._quiet_s, self._begin)

    def close(self) -> None:
        self._is_due = False
        self._stop()

    def _begin(self) -> None:
        self._stop()
        # An accelerator may have replaced the CPU recognizer meanwhile; it is verified by its own probe.
        if self._is_due and not self._utterances and self._worker.is_open and self._reference is not None:
            self._task = asyncio.get_running_loop().create_task(self._verify(self._reference), name="verification")

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _verify(self, reference: CpuReference) -> None:
        try:
            is_right = await self._is_right(reference)
        except (ColdvoxError, MemoryError) as error:  # such as files that have changed: a later load verifies them
            log.debug("the CPU was not verified: %s", error)
            is_right = True
        self._is_due = False
        if not is_right:
            self._report_wrong(WRONG_ON_CPU)

    async def _is_right(self, reference: CpuReference) -> bool:
        worker, precision = self._worker, self._worker.precision
        clip = Utterance(0, 0, 0, reference.clip, EndReason.STOP)
        run = worker.start(clip)
        with worker.awaiting(run, worker.times.split_s(clip.duration_s)):
            await asyncio.wait({run.answer})
        try:
            text = run.answer.result().text
        except OutputNotFinite:
            return False
        return await asyncio.to_thread(reference.is_right, precision, text)
