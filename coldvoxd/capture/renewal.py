"""Requests to reopen the microphone: another one was selected, or a missing one may have returned."""

import asyncio
from collections.abc import Coroutine

from coldvoxd.capture.chunk_queue import LOOK_S


class Renewal:
    """The latest request, which interrupts every wait of this object. Event loop only."""

    def __init__(self) -> None:
        self._requested, self._done = asyncio.Event(), asyncio.Event()
        self._done.set()

    @property
    def is_requested(self) -> bool:
        """Whether a request has not been begun yet."""
        return self._requested.is_set()

    def request(self) -> None:
        self._requested.set()
        self._done.clear()

    def begin(self) -> None:
        """Carry out the request."""
        self._requested.clear()

    def end(self) -> None:
        """Record that the request was carried out, unless there is another one."""
        if not self.is_requested:
            self._done.set()

    async def until_done(self) -> None:
        """Return once the last request was carried out."""
        await self._done.wait()

    async def wait_for(self, event: Coroutine[None, None, None]) -> bool:
        """Wait for the event, or for a request; return whether there is one."""
        waits = [asyncio.ensure_future(one) for one in (event, self._requested.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self.is_requested

    async def pause(self, seconds: float = LOOK_S) -> None:
        """Wait for `seconds`, or for a request."""
        await self.wait_for(asyncio.sleep(seconds))
