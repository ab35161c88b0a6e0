"""Decides whether the daemon deserves to be called alive: feeds systemd's watchdog while every owner keeps its promise."""

import asyncio
import logging
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

BROKEN_S = 1.0
"""Pause between two checks while a promise is broken. The usual interval is half of the watchdog's limit, so one check that
fails would otherwise leave the next one too late, although the promise has been kept again for seconds."""


class Watchdog:
    """Feeds the watchdog from the event loop, so a loop that stands still starves it by itself.

    `promises` are asked with the loop's time; each must be cheap and must not raise. A heartbeat alone would lie, and a
    rule that demands audio would kill a healthy daemon on a machine without a microphone: see each owner's promise.
    """

    def __init__(self, promises: Mapping[str, Callable[[float], bool]], feed: Callable[[], None]) -> None:
        self._promises = promises
        self._feed = feed
        self._broken: frozenset[str] = frozenset()

    def check(self, now_s: float) -> bool:
        """Feed if all is well; say once what is not."""
        broken = frozenset(name for name, kept in self._promises.items() if not kept(now_s))
        if broken - self._broken:
            log.error("%s is stalled; the watchdog is no longer notified", " and ".join(sorted(broken)))
        elif self._broken and not broken:
            log.warning("%s has resumed", " and ".join(sorted(self._broken)))
        self._broken = broken
        if not broken:
            self._feed()
        return not broken

    async def run(self, interval_s: float) -> None:
        """Check every `interval_s` seconds for ever, and more often while a promise is broken."""
        loop = asyncio.get_running_loop()
        while True:
            kept = self.check(loop.time())
            await asyncio.sleep(interval_s if kept else min(interval_s, BROKEN_S))
