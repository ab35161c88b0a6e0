"""One daemon thread for native calls that block, may hang, and can be abandoned."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def abandon(call: "asyncio.Future[Any]") -> None:
    """Drop a call that is no longer awaited, with its result or error; it does not start if it has not started yet."""
    if not call.cancel() and not call.cancelled():
        call.exception()  # asyncio would report an exception that was never retrieved


class CallThread:
    """Runs blocking calls one after the other, off the event loop.

    Native code that hangs cannot be killed, so it must not block the process: the thread is a daemon thread, a caller that
    no longer waits cancels its future and the late result is dropped, and the watchdog reads `busy_since_s`. Construct and
    use on the event loop.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._busy_since_s: float | None = None
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    @property
    def busy_since_s(self) -> float | None:
        """Loop time at which the current call started, None while no call runs."""
        return self._busy_since_s

    def submit(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Queue a call; the future gets its result or exception."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((call, future))
        return future

    def close(self) -> None:
        """End the thread after the calls that were submitted before. Does not wait."""
        self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            if future.cancelled():  # its caller no longer waits: run the next call
                self._notify(future, None, None)
                continue
            self._busy_since_s = self._loop.time()
            try:
                result, error = call(), None
            except BaseException as exception:  # noqa: BLE001 - the future carries it to the caller
                result, error = None, exception
            self._busy_since_s = None
            self._notify(future, result, error)

    def _notify(self, future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process is ending
            self._loop.call_soon_threadsafe(self._settle, future, result, error)

    def _settle(self, future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
