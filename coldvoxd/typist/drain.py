"""The end of the service: texts that the daemon still owes are waited for, within bounds."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from coldvoxd.bus.client import DaemonClient, Event
from coldvoxd.core.errors import ColdvoxError

log = logging.getLogger(__name__)

LAST_TEXT_S = 3.0
"""How long the end of a running session is waited for. A daemon that is stopped has ended it before we are asked to."""
DELIVERY_S = 8.0
"""What is not delivered this long after the signal is kept for `--last`. The unit's TimeoutStopSec is longer."""
ANSWER_S = 1.0


class Drain:
    """Begun by a signal, over when the session that was active then has ended. Event loop only."""

    def __init__(self, daemon: DaemonClient) -> None:
        self._daemon = daemon
        self._deadline_s: float | None = None
        self._running: asyncio.Timeout | None = None
        self._session = 0
        """The one whose end is waited for."""
        self._asking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """A first signal lets the session end, a second one does not."""
        if self._asking is not None:
            self._daemon.interrupt()
            return
        self._deadline_s = asyncio.get_running_loop().time() + DELIVERY_S
        if self._running is not None:
            self._running.reschedule(self._deadline_s)
        self._asking = asyncio.create_task(self._ask(), name="leaving")

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """What is within has the time that is left, and all time until the signal comes. Raises TimeoutError."""
        try:
            async with asyncio.timeout_at(self._deadline_s) as self._running:
                yield
        finally:
            self._running = None

    def is_last(self, event: Event) -> bool:
        """Whether nothing that comes after `event` is waited for."""
        if event.name == "interrupted":
            return True
        ended = event.name == "daemon-disconnected" or (event.name == "stopped" and event.session == self._session)
        return bool(self._session) and ended

    async def _ask(self) -> None:
        """The bus keeps the order: what was sent to us before this answer has come by then."""
        try:
            async with asyncio.timeout(ANSWER_S):
                self._session = int((await self._daemon.status())["Session"])
        except (ColdvoxError, TimeoutError) as error:
            log.debug("no session is known: %s", error)
        if not self._session:
            self._daemon.interrupt()
            return
        asyncio.get_running_loop().call_later(LAST_TEXT_S, self._daemon.interrupt)
