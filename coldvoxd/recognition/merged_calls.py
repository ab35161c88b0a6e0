"""Merges requests for the same work, for example a burst of SIGHUP."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class MergedCalls:
    """Runs `action` one at a time, and once for all requests that arrive before it starts. Event loop only.

    A request that arrives while the action runs gets a run of its own: the action may have read its input already.
    """

    def __init__(self, action: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._action = action
        self._name = name
        self._turn = asyncio.Lock()
        self._waiting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def request(self) -> "asyncio.Task[None]":
        """Return the task of the next run, which several requests may share; do not cancel it."""
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_task(self._run(), name=self._name)
            self._tasks.add(self._waiting)
            self._waiting.add_done_callback(self._tasks.discard)
        return self._waiting

    def close(self) -> None:
        """Cancel the current run and the next."""
        for task in self._tasks:
            task.cancel()

    async def _run(self) -> None:
        async with self._turn:
            self._waiting = None
            await self._action()
