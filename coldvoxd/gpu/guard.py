"""Applies the GPU's health to recognition, and releases the GPU while there is no dictation."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.metrics import GpuFigures
from coldvoxd.core.settings import GpuSettings
from coldvoxd.gpu.health import MIB, Effect, Verdict
from coldvoxd.gpu.monitor import GpuMonitor

log = logging.getLogger(__name__)

NVIDIA = frozenset({"cuda", "tensorrt", "nvtensorrtrtx"})
"""Execution providers that run on NVIDIA GPUs."""
LONGEST_LOOK_S = 1.0
"""Maximum seconds between two checks for an active dictation."""
NOTHING_TO_DO_S = 15.0
"""Seconds between two checks whether there is a GPU, and whether the settings allow releasing it."""
GIVING_BACK_S = 5.0
"""Seconds for the sessions to free their memory."""


class GuardedRecognition(Protocol):
    """The parts of recognition that the guard needs."""

    @property
    def accelerator_name(self) -> str:
        """The name in the settings; empty if only the CPU is to be used."""
        ...

    @property
    def on_accelerator(self) -> bool:
        """Whether the accelerator is in use."""
        ...

    @property
    def on_accelerator_since_s(self) -> float:
        """When the accelerator last came into use; time of the event loop."""
        ...

    @property
    def resting(self) -> bool:
        """Whether the accelerator was released because there was no dictation."""
        ...

    @property
    def asleep(self) -> bool:
        """Whether the machine is about to suspend, or is suspended."""
        ...

    def needed(self) -> None:
        """Load an accelerator that was released."""

    def rest(self) -> None:
        """Release the accelerator, if it is in use."""

    def on_health(self, effect: Effect) -> None:
        """Move recognition as required by the GPU's health."""


class GpuGuard:
    """Owns the GPU monitor. Event loop only; a GpuWatch, also before `keep`.

    `busy_until_s` returns the time of the last dictation, infinity during one.
    """

    def __init__(self, settings: GpuSettings, busy_until_s: Callable[[], float]) -> None:
        self._settings = settings
        self._busy_until_s = busy_until_s
        self._recognition: GuardedRecognition | None = None
        self._watch = GpuMonitor(settings, self._on_health, worthwhile=self._worthwhile)
        self._measuring = False
        self._kept_bytes: int | None = 0
        """GPU memory in bytes that this process still held after its sessions were released. None if unknown."""

    def figures(self) -> GpuFigures:
        """The last look, while the GPU is monitored."""
        if self._watch.blind or not self._worthwhile():
            return GpuFigures()
        seen = self._watch.sight
        return GpuFigures(seen.total_bytes, seen.free_bytes, seen.own_bytes, seen.temperature_c)

    def free_bytes(self) -> int | None:
        """Free GPU memory in bytes at the last look; None if unknown. Any thread: it reads one value."""
        return self._watch.sight.free_bytes

    @property
    def condition(self) -> Verdict | None:
        return self._watch.condition

    @property
    def wants_new_process(self) -> bool:
        """Whether this process holds part of a GPU that is currently not needed."""
        resting = self._recognition is not None and self._recognition.resting
        return resting and not self._measuring and self._settings.idle_renew and self._keeps_something()

    async def fresh(self, limit_s: float) -> None:
        await self._watch.fresh(limit_s)

    def refined(self, fault_class: FaultClass, reason: Reason) -> tuple[FaultClass, Reason]:
        return self._watch.refined(fault_class, reason)

    async def keep(self, recognition: GuardedRecognition) -> None:
        """Monitor, and release the GPU when it is idle, until cancelled."""
        self._recognition = recognition
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run(), name="gpu watch")
            tasks.create_task(self._rest(recognition), name="gpu rest")

    def needed(self) -> None:
        """A dictation starts."""
        if self._recognition is not None and self._recognition.resting:
            self._recognition.needed()
            self._watch.look_soon()

    def use_settings(self, settings: GpuSettings) -> None:
        self._settings = self._watch.settings = settings
        self._watch.look_soon()

    def close(self) -> None:
        """Stop. Does not wait."""
        self._watch.close()

    def _worthwhile(self) -> bool:
        recognition = self._recognition
        if recognition is None or self._settings.watch == "never" or not recognition.accelerator_name:
            return False
        if recognition.asleep or (recognition.resting and not self._measuring):
            return False
        return self._settings.watch == "always" or recognition.accelerator_name in NVIDIA

    def _on_health(self, effect: Effect) -> None:
        if self._recognition is not None:
            self._recognition.on_health(effect)

    async def _rest(self, recognition: GuardedRecognition) -> None:
        loop = asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            idle_s = self._settings.idle_release_s if recognition.accelerator_name else 0.0
            await asyncio.sleep(min(LONGEST_LOOK_S, idle_s / 4) if idle_s else NOTHING_TO_DO_S)
            busy_until_s = min(loop.time(), self._busy_until_s())
            last_s = max(last_s, busy_until_s, recognition.on_accelerator_since_s)
            if idle_s and recognition.on_accelerator and loop.time() - last_s >= idle_s:
                await self._give_back(recognition)

    async def _give_back(self, recognition: GuardedRecognition) -> None:
        """Release the sessions, and measure the GPU memory that this process still holds."""
        began_s = asyncio.get_running_loop().time()
        self._measuring = True
        try:
            await self._watch.look()
            if self._busy_until_s() > began_s:
                return  # a dictation was started in the meantime
            before = self._watch.sight.own_bytes or None  # zero means that the driver does not report it
            recognition.rest()
            self._kept_bytes = await self._settled(before)
        finally:
            self._measuring = False
            self._watch.look_soon()
        if before is None or self._kept_bytes is None:
            log.info("no dictation: the accelerator was released")
        else:
            back, kept = (before - self._kept_bytes) // MIB, self._kept_bytes // MIB
            log.info(
                "no dictation: the accelerator was released; %d MiB of its memory were freed, %d MiB are still in use",
                back,
                kept,
            )

    async def _settled(self, before: int | None) -> int | None:
        """The GPU memory that this process holds once it has decreased and is stable."""
        loop = asyncio.get_running_loop()
        last, until_s = before, loop.time() + GIVING_BACK_S
        while last is not None and loop.time() < until_s:
            await asyncio.sleep(GIVING_BACK_S / 10)
            await self._watch.look()
            now = self._watch.sight.own_bytes
            if now is None or (now == last and now < (before or 0)):
                return now
            last = now
        return last

    def _keeps_something(self) -> bool:
        """Whether a CUDA context remains; assumed if the driver does not report memory."""
        if self._kept_bytes is not None:
            return self._kept_bytes > 0
        return self._recognition is not None and self._recognition.accelerator_name in NVIDIA
