"""Monitors the GPU: polls it periodically and before runs, listens for Xids, and reports changes of its health."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.settings import GpuSettings
from coldvoxd.gpu import health
from coldvoxd.gpu.health import Effect, Health, Looked, Noted, Sight, Trouble, Unwell, Verdict, XidSeen
from coldvoxd.gpu.nvml import Gpu, NoLibrary
from coldvoxd.native.call_thread import CallThread, abandon

log = logging.getLogger(__name__)

LOOK_LIMIT_S = 5.0
"""A look that takes more seconds hangs in the driver. A GPU in a low-power state takes one or two seconds to wake."""
EVENT_WAIT_MS = 2000
"""Maximum milliseconds for which one call waits for an Xid, and for which releasing the driver is delayed."""
EVENT_LIMIT_S = 10.0
FRESH_S = 0.5
"""A look within this many seconds is recent."""
LONGEST_PAUSE_S = 300.0
"""Maximum seconds between two looks that hang: each leaks a thread, so they become rarer."""


class Looker(Protocol):
    """The interface of the monitored GPU; see `Gpu` in nvml."""

    @property
    def reports_xids(self) -> bool: ...

    def look(self) -> Sight: ...

    def wait_for_xid(self, limit_ms: int) -> int | None: ...

    def close(self) -> None: ...


class GpuMonitor:
    """Polls in two threads of its own, which are abandoned if they hang. Event loop only.

    `tell` receives each change of the GPU's health. While it is not `worthwhile`, the driver is released, because
    polling keeps the GPU awake. Without the management library, `run` returns.
    """

    def __init__(
        self,
        settings: GpuSettings,
        tell: Callable[[Effect], None],
        *,
        worthwhile: Callable[[], bool] = lambda: True,
        open_gpu: Callable[[], Looker] = Gpu,
    ) -> None:
        self.settings = settings
        self._worthwhile = worthwhile
        self._tell = tell
        self._open_gpu = open_gpu
        self._health = Health()
        self._looks: CallThread | None = None
        self._events: CallThread | None = None
        self._gpu: Looker | None = None
        self._looking: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._looked_s = float("-inf")
        self._hung = 0
        """Number of consecutive looks that were abandoned."""
        self._due = asyncio.Event()
        self.blind = False
        """Whether there is no management library."""

    @property
    def sight(self) -> Sight:
        """The last look."""
        return self._health.last

    @property
    def condition(self) -> Verdict | None:
        """The current condition of the GPU."""
        return self._health.condition

    def refined(self, fault_class: FaultClass, reason: Reason) -> tuple[FaultClass, Reason]:
        """The class and reason of a failed run, given what is known about the GPU; a look follows soon."""
        self._due.set()
        return health.refined(self._health, fault_class, reason, asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Monitor until cancelled, or return if there is no management library."""
        while not self.blind:
            self._due.clear()
            if self._worthwhile():
                await self.look()
            else:
                await self._let_go()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LONGEST_PAUSE_S, self.settings.look_s * 4**self._hung)):
                    await self._due.wait()

    async def look(self) -> None:
        """Look now, or wait for the look in progress. None if it is not worthwhile."""
        if self.blind or not self._worthwhile():
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="gpu look")
        await asyncio.wait({self._looking})

    async def fresh(self, limit_s: float) -> None:
        """Wait for a recent look, but no longer than the limit: for use before a run."""
        if asyncio.get_running_loop().time() - self._looked_s <= FRESH_S:
            return
        looking = asyncio.create_task(self.look(), name="gpu look before a run")
        await asyncio.wait({looking}, timeout=limit_s)

    def look_soon(self) -> None:
        """Look before the next regular time, because the GPU or `worthwhile` may have changed."""
        self._due.set()

    def close(self) -> None:
        """Stop, and abandon threads that hang in the driver. Does not wait."""
        for task in (self._looking, self._listening):
            if task is not None:
                task.cancel()
        for lane in (self._looks, self._events):
            if lane is not None:
                lane.close()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self._looks is None:
            self._looks = CallThread("gpu")
        if self._gpu is None:
            self._gpu = self._open_gpu()
        gpu, lane = self._gpu, self._looks
        looking = lane.submit(gpu.look)
        if not await _ended(looking, LOOK_LIMIT_S):
            self._leave_behind()
            self._see(Looked(Sight(trouble=Trouble.HUNG), loop.time()))
            return
        try:
            sight = looking.result()
        except NoLibrary as reason:
            log.debug("no GPU is monitored: %s", reason)
            self.blind = True
            lane.close()
            return
        except Exception:
            log.exception("internal error in the GPU monitor; it has stopped")
            self.blind = True
            return
        self._hung = 0
        self._looked_s = loop.time()
        self._see(Looked(sight, self._looked_s))
        if sight.trouble is not None:
            await self._let_go()  # the next look opens the driver again, which is how a GPU recovers
        elif gpu.reports_xids and (self._listening is None or self._listening.done()):
            self._listening = asyncio.create_task(self._listen(gpu), name="gpu events")

    async def _listen(self, gpu: Looker) -> None:
        if self._events is None:
            self._events = CallThread("gpu-events")
        while gpu.reports_xids and gpu is self._gpu and self._worthwhile():
            waiting = self._events.submit(lambda: gpu.wait_for_xid(EVENT_WAIT_MS))
            if not await _ended(waiting, EVENT_LIMIT_S):
                self._events.close()
                self._events = None
                self._leave_behind()  # the library cannot be closed while a thread is inside
                return
            if (number := waiting.result()) is not None:
                self._see(XidSeen(number, asyncio.get_running_loop().time()))
                self._due.set()
        self._due.set()

    def _leave_behind(self) -> None:
        """Abandon the threads: a thread that hangs in the driver cannot be ended."""
        if self._looks is not None:
            self._looks.close()
        self._looks = self._gpu = None
        self._hung += 1

    async def _let_go(self) -> None:
        """Close the driver once no thread is waiting in it."""
        gpu, self._gpu = self._gpu, None
        if self._listening is not None and self._listening is not asyncio.current_task():
            await asyncio.wait({self._listening})
        if gpu is not None and self._looks is not None:
            closing = self._looks.submit(gpu.close)
            if not await _ended(closing, LOOK_LIMIT_S):
                self._leave_behind()

    def _see(self, event: health.Event) -> None:
        self._health, effects = health.step(self._health, event, self.settings)
        for effect in effects:
            match effect:
                case Noted(message):
                    log.warning("%s", message)
                case Unwell(verdict):
                    log.warning("%s", verdict.message)
            self._tell(effect)


async def _ended(call: "asyncio.Future[Any]", limit_s: float) -> bool:
    """Wait for a call on a thread, and return whether it has ended in time; otherwise it is abandoned."""
    has_ended = False
    try:
        has_ended = bool((await asyncio.wait({call}, timeout=limit_s))[0])
    finally:
        if not has_ended:
            abandon(call)
    return has_ended
