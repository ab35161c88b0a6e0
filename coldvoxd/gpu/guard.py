"""Guards the GPU: passes its health on to recognition, and has the accelerator released while there is no session."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from coldvoxd.core.failover_state import Demand, FaultClass, IdleTimeout, Reason, RecognitionNeeded
from coldvoxd.core.metrics import GpuFigures
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.recognition_state import RecognitionState
from coldvoxd.core.settings import GpuSettings
from coldvoxd.gpu.health import MIB, Effect, Verdict
from coldvoxd.gpu.monitor import GpuMonitor

log = logging.getLogger(__name__)

NVIDIA = frozenset({"cuda", "tensorrt", "tensorrt-rtx"})
"""Execution providers that run on NVIDIA GPUs."""
LONGEST_CHECK_S = 1.0
"""Greatest interval between two checks for an active session."""
DISABLED_CHECK_S = 15.0
"""Interval between two checks for an accelerator, and for settings that allow its release."""
FREEING_LIMIT_S = 5.0
"""How long sessions may take to free their GPU memory."""


class GuardedRecognition(Protocol):
    """What the guard needs of recognition. Event loop only."""

    @property
    def state(self) -> RecognitionState: ...

    def handle(self, event: Demand | Effect) -> None:
        """Load or release the accelerator, or act on the GPU's health."""


class GpuGuard:
    """Owns the GPU monitor. Event loop only; implements GpuWatch, also before `keep`.

    `busy_until_s` returns the loop time of the last session's end, infinity during a session.
    """

    def __init__(self, settings: GpuSettings, busy_until_s: Callable[[], float]) -> None:
        self._settings = settings
        self._busy_until_s = busy_until_s
        self._recognition: GuardedRecognition | None = None
        self._watch = GpuMonitor(settings, self._on_health, worthwhile=self._worthwhile)
        self._measuring = False
        self._kept_bytes: int | None = 0
        """GPU memory that this process kept after its sessions were closed; None where the driver doesn't report it."""

    def figures(self) -> GpuFigures:
        """Figures of the last check, while the GPU is monitored."""
        if self._watch.blind or not self._worthwhile():
            return GpuFigures()
        seen = self._watch.sight
        return GpuFigures(seen.total_bytes, seen.free_bytes, seen.own_bytes, seen.temperature_c)

    def free_bytes(self) -> int | None:
        """Free GPU memory at the last check; None where it is unknown. Any thread: it reads one value."""
        return self._watch.sight.free_bytes

    @property
    def condition(self) -> Verdict | None:
        return self._watch.condition

    @property
    def wants_new_process(self) -> bool:
        """Whether this process still holds GPU memory although the accelerator is released."""
        released = self._recognition is not None and self._recognition.state.accelerator_released
        return released and not self._measuring and self._settings.idle_renew and self._keeps_memory()

    async def fresh(self, limit_s: float) -> None:
        await self._watch.fresh(limit_s)

    def refined(self, fault_class: FaultClass, reason: Reason) -> tuple[FaultClass, Reason]:
        return self._watch.refined(fault_class, reason)

    async def keep(self, recognition: GuardedRecognition) -> None:
        """Monitor the GPU, and release the accelerator after `idle_release_s`, until cancelled."""
        self._recognition = recognition
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run(), name="gpu monitor")
            tasks.create_task(self._release_when_idle(recognition), name="gpu release")

    def needed(self) -> None:
        """A session begins: load an accelerator that was released."""
        if self._recognition is not None and self._recognition.state.accelerator_released:
            self._recognition.handle(RecognitionNeeded())
            self._watch.look_soon()

    def use_settings(self, settings: GpuSettings) -> None:
        self._settings = self._watch.settings = settings
        self._watch.look_soon()

    def close(self) -> None:
        """Stop monitoring. Doesn't wait."""
        self._watch.close()

    def _worthwhile(self) -> bool:
        if self._recognition is None or self._settings.watch == "never":
            return False
        state = self._recognition.state
        if not state.accelerator_name or state.suspended or (state.accelerator_released and not self._measuring):
            return False
        return self._settings.watch == "always" or short_name(state.accelerator_name) in NVIDIA

    def _on_health(self, effect: Effect) -> None:
        if self._recognition is not None:
            self._recognition.handle(effect)

    async def _release_when_idle(self, recognition: GuardedRecognition) -> None:
        loop = asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            idle_s = self._settings.idle_release_s if recognition.state.accelerator_name else 0.0
            await asyncio.sleep(min(LONGEST_CHECK_S, idle_s / 4) if idle_s else DISABLED_CHECK_S)
            busy_until_s = min(loop.time(), self._busy_until_s())
            last_s = max(last_s, busy_until_s, recognition.state.on_accelerator_since_s)
            if idle_s and recognition.state.on_accelerator and loop.time() - last_s >= idle_s:
                await self._release(recognition)

    async def _release(self, recognition: GuardedRecognition) -> None:
        """Release the accelerator, and measure how much GPU memory this process keeps."""
        began_s = asyncio.get_running_loop().time()
        self._measuring = True
        try:
            await self._watch.look()
            if self._busy_until_s() > began_s:
                return  # a session has begun since
            before = self._watch.sight.own_bytes or None  # zero is a driver that can't tell: sessions hold memory
            recognition.handle(IdleTimeout())
            self._kept_bytes = await self._bytes_after_release(before)
        finally:
            self._measuring = False
            self._watch.look_soon()
        if before is None or self._kept_bytes is None:
            log.info("no dictation: the accelerator was released")
        else:
            freed, kept = (before - self._kept_bytes) // MIB, self._kept_bytes // MIB
            log.info(
                "no dictation: the accelerator was released; %d MiB of its memory were freed, %d MiB are still in use",
                freed,
                kept,
            )

    async def _bytes_after_release(self, before: int | None) -> int | None:
        """GPU memory of this process, in bytes, once it has fallen and stays the same."""
        loop = asyncio.get_running_loop()
        last, until_s = before, loop.time() + FREEING_LIMIT_S
        while last is not None and loop.time() < until_s:
            await asyncio.sleep(FREEING_LIMIT_S / 10)
            await self._watch.look()
            now = self._watch.sight.own_bytes
            if now is None or (now == last and now < (before or 0)):
                return now
            last = now
        return last

    def _keeps_memory(self) -> bool:
        """A CUDA context lasts until its process ends; where the driver doesn't report memory, assume one."""
        if self._kept_bytes is not None:
            return self._kept_bytes > 0
        return self._recognition is not None and short_name(self._recognition.state.accelerator_name) in NVIDIA
