"""The CPU recognizer while an accelerator serves: loaded, mapped or not loaded, and loaded again on demand."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from coldvoxd.core.ports import Recognizer
from coldvoxd.recognition.run_times import STANDARD, RunLimits
from coldvoxd.recognition.worker import RecognizerWorker

log = logging.getLogger(__name__)

NAME = "cpu"


class Readiness(StrEnum):
    """State of the CPU recognizer while an accelerator serves."""

    WARM = "warm"
    """Loaded."""
    MAPPED = "mapped"
    """Opened without graph optimization or weight packing; the packed recognizer is loaded when needed."""
    COLD = "cold"
    """Not loaded until needed."""


class CpuStandby:
    """The CPU workers: one with packed weights and, for `mapped`, another without. Event loop only.

    `open_packed` and `open_mapped` block until a recognizer is open. `open_mapped` is called only for `mapped`.
    """

    def __init__(
        self,
        open_packed: Callable[[], Recognizer],
        open_mapped: Callable[[], Recognizer],
        readiness: Readiness = Readiness.WARM,
        limits: RunLimits = STANDARD,
    ) -> None:
        self.readiness = readiness
        self.packed = RecognizerWorker(NAME, open_packed, limits)
        self._mapped = RecognizerWorker(NAME, open_mapped, limits) if readiness is Readiness.MAPPED else None
        self._task: asyncio.Task[None] | None = None

    @property
    def provider(self) -> str:
        """First active execution provider of the session that was opened last."""
        return self.packed.provider

    @property
    def precision(self) -> str:
        """Precision of the weights of the model that was opened last."""
        return self.packed.precision

    @property
    def settled(self) -> bool:
        """Whether no load or release is in progress."""
        return self._task is None or self._task.done()

    @property
    def open_worker(self) -> RecognizerWorker | None:
        """The worker that recognizes now; None if none is open."""
        return next((one for one in (self.packed, self._mapped) if one is not None and one.is_open), None)

    async def worker(self) -> RecognizerWorker:
        """Return an open worker; if there is none, open the packed one first. Raises what opening raises."""
        if (worker := self.open_worker) is not None:
            return worker
        self.load()
        if self._task is not None:
            await asyncio.shield(self._task)
        if not self.packed.is_open:
            await self.packed.open()
        return self.packed

    def load(self) -> None:
        """Load the packed recognizer unless it is loaded: the accelerator no longer serves."""
        if not self.packed.is_open:
            self._begin(self._load)

    def stand_by(self) -> None:
        """Release what `readiness` does not keep: the accelerator serves."""
        if self.readiness is not Readiness.WARM:
            self._begin(self._release)

    def unload(self) -> None:
        """Release every recognizer and its memory until `load`, or until one is needed."""
        self._begin(self._unload)

    def promise_kept(self, now_s: float) -> bool:
        """Whether the call threads are within their time limits."""
        return all(worker.promise_kept(now_s) for worker in (self.packed, self._mapped) if worker is not None)

    def close(self) -> None:
        """Close the recognizers as soon as their call threads are free. Doesn't wait."""
        if self._task is not None:
            self._task.cancel()
        for worker in (self.packed, self._mapped):
            if worker is not None:
                worker.close()

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        before = self._task

        async def after() -> None:
            if before is not None and not before.done():
                await asyncio.wait({before})
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the task must not fail: `worker` retries and raises
                log.warning("the CPU fallback cannot be prepared: %s", error)

        self._task = asyncio.create_task(after(), name="standby")

    async def _load(self) -> None:
        if not self.packed.is_open:
            await self.packed.open()
            log.info("the CPU fallback is loaded")

    async def _unload(self) -> None:
        for worker in (self.packed, self._mapped):
            if worker is not None:
                worker.drop()
                await worker.drained()

    async def _release(self) -> None:
        if self._mapped is not None and not self._mapped.is_open:
            await self._mapped.open()
        self.packed.drop()
        await self.packed.drained()
        log.info("the CPU fallback is on standby, %s", self.readiness)
