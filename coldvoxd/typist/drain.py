"""The end of the service: waits, within limits, for texts that the daemon has yet to send."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.client_events import Event
from coldvoxd.core.errors import ColdvoxError

log = logging.getLogger(__name__)

LAST_TEXT_S = 3.0
"""Seconds to wait for the end of a running session. A daemon that is being stopped has ended it before the signal
arrives."""
DELIVERY_S = 8.0
"""Seconds after the signal; text undelivered by then is kept for `--last`. The unit's TimeoutStopSec is longer."""
ANSWER_S = 1.0


class Drain:
    """The shutdown, started by a signal and over when the session that was active then has ended. Event loop only."""

    def __init__(self, daemon: DaemonClient) -> None:
        self._daemon = daemon
        self._deadline_s: float | None = None
        self._running: asyncio.Timeout | None = None
        self._session = 0
        """The session whose end is awaited."""
        self._asking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Let the session end at the first signal, and interrupt it at the second."""
        if self._asking is not None:
            self._daemon.interrupt()
            return
        self._deadline_s = asyncio.get_running_loop().time() + DELIVERY_S
        if self._running is not None:
            self._running.reschedule(self._deadline_s)
        self._asking = asyncio.create_task(self._ask(), name="leaving")

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Limit the body to the time that is left; unlimited until the signal arrives. Raises TimeoutError."""
        try:
            async with asyncio.timeout_at(self._deadline_s) as self._running:
                yield
        finally:
            self._running = None

    def is_last(self, event: Event) -> bool:
        """Return whether `event` is the last one to wait for."""
        if event.name == "interrupted":
            return True
        ended = event.name == "daemon-disconnected" or (event.name == "stopped" and event.session == self._session)
        return bool(self._session) and ended

    async def _ask(self) -> None:
        """Get the session's number.

        The bus keeps the order: all messages sent before this answer have arrived by then.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                self._session = int((await self._daemon.status())["Session"])
        except (ColdvoxError, TimeoutError) as error:
            log.debug("no session is known: %s", error)
        if not self._session:
            self._daemon.interrupt()
            return
        asyncio.get_running_loop().call_later(LAST_TEXT_S, self._daemon.interrupt)
