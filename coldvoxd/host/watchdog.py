"""systemd watchdog: fed while every part of the daemon keeps its promise to respond."""

import asyncio
import logging
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

BROKEN_S = 1.0
"""Seconds between two checks while a promise is broken. The usual interval is half of the watchdog's limit, so after
one failed check the next would come too late, even if the promise had been kept again for seconds."""


class Watchdog:
    """Feeds the watchdog from the event loop, so that a blocked loop stops feeding it.

    Each of `promises` is called with the loop time and returns whether the part responds. It must be cheap and must not
    raise. A heartbeat of the loop alone would miss a part that hangs, and a rule that requires audio would kill a
    healthy daemon on a machine without a microphone. So each part defines its own promise.
    """

    def __init__(self, promises: Mapping[str, Callable[[float], bool]], feed: Callable[[], None]) -> None:
        self._promises = promises
        self._feed = feed
        self._broken: frozenset[str] = frozenset()

    def check(self, now_s: float) -> bool:
        """Feed the watchdog if all promises are kept. Return whether they are, and log each change."""
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
        """Check every `interval_s` seconds, and more often while a promise is broken, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            kept = self.check(loop.time())
            await asyncio.sleep(interval_s if kept else min(interval_s, BROKEN_S))
