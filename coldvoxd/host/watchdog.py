"""Notifies systemd's watchdog as long as every part of the daemon is healthy."""

import asyncio
import logging
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

BROKEN_S = 1.0
"""Seconds between two checks while a part is not healthy. The usual interval is half of the watchdog's limit, so that
after one failed check the next notification would be too late, even if the part has been healthy for seconds."""


class Watchdog:
    """Notifies the watchdog from the event loop; a stalled loop stops the notifications by itself.

    `promises` are called with the loop's time; each must be fast and must not raise. A heartbeat alone would prove
    nothing, and requiring audio would kill a healthy daemon on a machine without a microphone: see the promise of each
    part.
    """

    def __init__(self, promises: Mapping[str, Callable[[float], bool]], feed: Callable[[], None]) -> None:
        self._promises = promises
        self._feed = feed
        self._broken: frozenset[str] = frozenset()

    def check(self, now_s: float) -> bool:
        """Notify the watchdog if all parts are healthy; log changes once."""
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
        """Check every `interval_s` seconds until cancelled, and more often while a part is not healthy."""
        loop = asyncio.get_running_loop()
        while True:
            kept = self.check(loop.time())
            await asyncio.sleep(interval_s if kept else min(interval_s, BROKEN_S))
