"""Sleep watch: delays the machine's sleep until the hardware is released, and resumes after the wake."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from coldvoxd.bus.peers.logind import Logind
from coldvoxd.core.errors import BusUnavailable, InhibitorRefused
from coldvoxd.host import sleep_state
from coldvoxd.host.sleep_inhibitor import SleepInhibitor
from coldvoxd.host.sleep_state import Effect, Event, Phase

log = logging.getLogger(__name__)

PUT_AWAY_S = 1.6
"""Time limit of `put_away` in seconds; after it the machine sleeps, whether or not `put_away` has finished."""
LET_GO_S = 1.9
"""Seconds from logind's signal to the release of the inhibitor, whatever hangs. logind waits for at most five."""
WHO = "coldvoxd"
WHY = "Dictation is stopped, microphone and GPU are released"
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""Bounds of the growing pause, in seconds, between two attempts to connect to the system bus or take an inhibitor."""


class SleepWatch:
    """Holds a `delay` inhibitor while the machine is awake. Event loop only.

    `put_away` is awaited when the machine is about to sleep, for at most `PUT_AWAY_S`. `resume` is called after the
    wake.
    """

    def __init__(self, put_away: Callable[[], Awaitable[None]], resume: Callable[[], None]) -> None:
        self._put_away = put_away
        self._resume = resume
        self._phase = Phase.AWAKE
        self._logind: Logind | None = None
        self._inhibitor: SleepInhibitor | None = None
        """The current inhibitor."""
        self._spent: SleepInhibitor | None = None
        """The previous inhibitor."""
        self._taking: asyncio.Task[None] | None = None
        self._releasing: asyncio.Task[None] | None = None
        self._logged = ""

    @property
    def awake(self) -> bool:
        return self._phase is Phase.AWAKE

    async def run(self) -> None:
        """Run until cancelled. Sleeps go unnoticed while there is no system bus or no logind."""
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                try:
                    self._logind = await Logind.open(self._on_presence, self._on_sleep)
                    await self._logind.watch()
                    if not self._logind.is_there:
                        self._log_once("there is no logind: suspend is not announced and cannot be delayed")
                    pause_s = FIRST_PAUSE_S
                    await self._logind.wait_until_lost()
                except BusUnavailable as fault:
                    self._log_once(f"suspend is not announced: {fault}")
                if self._logind is not None:
                    await self._logind.close()
                    self._on_presence(False)
                    self._logind = None
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
        finally:
            await self._close()

    def _on_presence(self, is_there: bool) -> None:
        if self._taking is not None:
            self._taking.cancel()
        self._step(Event.LOGIND_CAME if is_there else Event.LOGIND_LEFT)

    def _on_sleep(self, about_to: bool) -> None:
        self._step(Event.PREPARING if about_to else Event.WOKEN)

    def _step(self, event: Event) -> None:
        before = self._phase
        self._phase, effects = sleep_state.step(before, event)
        if before is not self._phase:
            log.info("sleep: %s", self._phase.lower())
        for effect in effects:
            match effect:
                case Effect.TAKE:
                    self._taking = self._begin(self._take(), self._taking)
                case Effect.PUT_AWAY:
                    if self._inhibitor is not None:
                        self._inhibitor.close_after(LET_GO_S)
                    self._releasing = self._begin(self._release_all(), self._releasing)
                case Effect.LET_GO:
                    if self._inhibitor is not None:
                        self._inhibitor.close()
                case Effect.RESUME:
                    if self._releasing is not None:
                        self._releasing.cancel()
                    self._resume()

    async def _release_all(self) -> None:
        try:
            async with asyncio.timeout(PUT_AWAY_S):
                await self._put_away()
        except TimeoutError:
            log.warning("not everything was released within %.1f s; the machine suspends anyway", PUT_AWAY_S)
        except Exception:
            log.exception("releasing failed; the machine suspends anyway")
        if self._phase is Phase.SUSPENDING:
            self._step(Event.PUT_AWAY)

    async def _take(self) -> None:
        """Take an inhibitor in place of the previous one. Retry if logind refuses."""
        assert self._logind is not None  # noqa: S101 - it reported that logind is there
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                inhibitor = _inhibitor_of(await self._logind.inhibit(WHO, WHY))
            except InhibitorRefused as fault:
                self._log_once(f"suspend cannot be delayed: {fault}")
            else:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
        if self._logged:
            log.info("suspend is now delayed until the daemon is ready")
        self._logged = ""
        if self._spent is not None:
            self._spent.forget()
        self._spent, self._inhibitor = self._inhibitor, inhibitor
        if self._spent is not None:
            self._spent.close()
        if self._phase is not Phase.AWAKE:
            inhibitor.close_after(LET_GO_S)  # too late to delay the sleep that has begun

    def _begin(self, work: Coroutine[Any, Any, None], before: "asyncio.Task[None] | None") -> "asyncio.Task[None]":
        if before is not None:
            before.cancel()
        return asyncio.get_running_loop().create_task(work, name="sleep")

    def _log_once(self, message: str) -> None:
        """Log one message until an inhibitor is held: many machines have no logind, or never sleep."""
        if not self._logged:
            log.info("%s", message)
        self._logged = message

    async def _close(self) -> None:
        for task in (self._taking, self._releasing):
            if task is not None:
                task.cancel()
        for inhibitor in (self._inhibitor, self._spent):
            if inhibitor is not None:
                inhibitor.close()
        if self._logind is not None:
            await self._logind.close()


def _inhibitor_of(descriptor: int) -> SleepInhibitor:
    try:
        return SleepInhibitor(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise InhibitorRefused(f"no timer available ({error.strerror})") from error
