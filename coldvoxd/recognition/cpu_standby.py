"""The recognizer on the CPU, which stands by while an accelerator serves: loaded, mapped or not loaded at all."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from coldvoxd.core.ports import Recognizer
from coldvoxd.recognition.worker import STANDARD, Limits, RecognizerWorker

log = logging.getLogger(__name__)

NAME = "cpu"


class Readiness(StrEnum):
    """How the CPU stands by while an accelerator serves."""

    WARM = "warm"
    """Loaded."""
    MAPPED = "mapped"
    """Opened without optimizing the graph or packing its weights; what is packed is loaded when it is needed."""
    COLD = "cold"
    """Loaded when it is needed."""


class CpuStandby:
    """The CPU's rungs. Event loop only.

    `open_packed` and `open_mapped` block and open a recognizer; the second is asked for by `mapped` alone.
    """

    def __init__(
        self,
        open_packed: Callable[[], Recognizer],
        open_mapped: Callable[[], Recognizer],
        readiness: Readiness = Readiness.WARM,
        limits: Limits = STANDARD,
    ) -> None:
        self.readiness = readiness
        self.packed = RecognizerWorker(NAME, open_packed, limits)
        self._mapped = RecognizerWorker(NAME, open_mapped, limits) if readiness is Readiness.MAPPED else None
        self._task: asyncio.Task[None] | None = None

    @property
    def provider(self) -> str:
        """First active execution provider of the session that is or was open last."""
        return self.packed.provider

    @property
    def precision(self) -> str:
        """Of the weights in it."""
        return self.packed.precision

    @property
    def at_rest(self) -> bool:
        """Whether nothing is being loaded or let go of."""
        return self._task is None or self._task.done()

    async def rung(self) -> RecognizerWorker:
        """What can recognize at once, or else what is then opened. Raises what opening raises."""
        for rung in (self.packed, self._mapped):
            if rung is not None and rung.is_open:
                return rung
        self.wake()
        if self._task is not None:
            await asyncio.shield(self._task)
        if not self.packed.is_open:
            await self.packed.open()
        return self.packed

    def wake(self) -> None:
        """The accelerator no longer serves: load what is packed, if it isn't."""
        if not self.packed.is_open:
            self._begin(self._load)

    def rest(self) -> None:
        """The accelerator serves."""
        if self.readiness is not Readiness.WARM:
            self._begin(self._unload)

    def promise_kept(self, now_s: float) -> bool:
        """Whether the lanes are within their time limits."""
        return all(rung.promise_kept(now_s) for rung in (self.packed, self._mapped) if rung is not None)

    def close(self) -> None:
        """The end. Doesn't wait."""
        if self._task is not None:
            self._task.cancel()
        for rung in (self.packed, self._mapped):
            if rung is not None:
                rung.close()

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        before = self._task

        async def after() -> None:
            if before is not None and not before.done():
                await asyncio.wait({before})
            try:
                await work()
            except Exception as fault:  # noqa: BLE001 - a task ends here; who needs the rung opens it and is told
                log.warning("the CPU fallback cannot be prepared: %s", fault)

        self._task = asyncio.create_task(after(), name="standby")

    async def _load(self) -> None:
        if not self.packed.is_open:
            await self.packed.open()
            log.info("the CPU fallback is loaded")

    async def _unload(self) -> None:
        if self._mapped is not None and not self._mapped.is_open:
            await self._mapped.open()
        self.packed.drop()
        await self.packed.let_go()
        log.info("the CPU fallback is on standby, %s", self.readiness)
