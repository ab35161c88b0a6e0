"""The graphics card's keeper: carries what its watch tells to recognition, and lets the card sleep while nobody dictates."""

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
"""Execution providers that run on NVIDIA's cards."""
LONGEST_LOOK_S = 1.0
"""How often it is asked whether somebody dictates."""
NOTHING_TO_DO_S = 15.0
"""How often it is asked whether there is a card, and whether the settings let it rest."""
GIVING_BACK_S = 5.0
"""How long sessions may take to give their memory back."""


class GuardedRecognition(Protocol):
    """What the guard needs of recognition."""

    @property
    def accelerator_name(self) -> str:
        """As the settings call it; empty where nothing but the CPU is wanted."""
        ...

    @property
    def on_accelerator(self) -> bool:
        """Whether the accelerator serves."""
        ...

    @property
    def on_accelerator_since_s(self) -> float:
        """When it last came into use; loop time."""
        ...

    @property
    def resting(self) -> bool:
        """Whether the accelerator was released because nobody dictates."""
        ...

    @property
    def asleep(self) -> bool:
        """Whether the machine is about to suspend, or is suspended."""
        ...

    def needed(self) -> None:
        """Load an accelerator that was released."""

    def rest(self) -> None:
        """Release the accelerator, if it serves."""

    def on_health(self, effect: Effect) -> None:
        """Move recognition as the card's health demands."""


class GpuGuard:
    """Owns the watch. Event loop only; a CardWatch, also before `keep`.

    `busy_until_s` tells until when somebody dictated, infinity while somebody does.
    """

    def __init__(self, settings: GpuSettings, busy_until_s: Callable[[], float]) -> None:
        self._settings = settings
        self._busy_until_s = busy_until_s
        self._recognition: GuardedRecognition | None = None
        self._watch = GpuMonitor(settings, self._on_health, worthwhile=self._worthwhile)
        self._measuring = False
        self._kept_bytes: int | None = 0
        """Of the card's memory, what this process still had when its sessions had been let go of. None: nobody knows."""

    def figures(self) -> GpuFigures:
        """The last look, while the card is watched."""
        if self._watch.blind or not self._worthwhile():
            return GpuFigures()
        seen = self._watch.sight
        return GpuFigures(seen.total_bytes, seen.free_bytes, seen.own_bytes, seen.temperature_c)

    def free_bytes(self) -> int | None:
        """What the last look saw free of the card's memory; None where nobody can tell. Any thread: it reads one value."""
        return self._watch.sight.free_bytes

    @property
    def condition(self) -> Verdict | None:
        return self._watch.condition

    @property
    def wants_new_process(self) -> bool:
        """Whether this process keeps some of a card that nobody needs now."""
        resting = self._recognition is not None and self._recognition.resting
        return resting and not self._measuring and self._settings.idle_renew and self._keeps_something()

    async def fresh(self, limit_s: float) -> None:
        await self._watch.fresh(limit_s)

    def refined(self, fault_class: FaultClass, reason: Reason) -> tuple[FaultClass, Reason]:
        return self._watch.refined(fault_class, reason)

    async def keep(self, recognition: GuardedRecognition) -> None:
        """Watch, and put the card to rest when the time has come, until cancelled."""
        self._recognition = recognition
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run(), name="gpu watch")
            tasks.create_task(self._rest(recognition), name="gpu rest")

    def needed(self) -> None:
        """Somebody begins to dictate."""
        if self._recognition is not None and self._recognition.resting:
            self._recognition.needed()
            self._watch.look_soon()

    def use_settings(self, settings: GpuSettings) -> None:
        self._settings = self._watch.settings = settings
        self._watch.look_soon()

    def close(self) -> None:
        """The end. Doesn't wait."""
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
        """Let go of the sessions, and see what of the card's memory stays with this process."""
        began_s = asyncio.get_running_loop().time()
        self._measuring = True
        try:
            await self._watch.look()
            if self._busy_until_s() > began_s:
                return  # somebody dictates since
            before = self._watch.sight.own_bytes or None  # it must hold something: nought is a driver that can't tell
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
        """What this process holds of the card once that has fallen and falls no more."""
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
        """A CUDA context stays until its process ends; where the driver doesn't tell, there is one."""
        if self._kept_bytes is not None:
            return self._kept_bytes > 0
        return self._recognition is not None and self._recognition.accelerator_name in NVIDIA
