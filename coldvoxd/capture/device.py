"""The microphone's device calls, which block and may hang, on their own thread."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.ports import Microphone, OpenedMicrophone
from coldvoxd.native.call_thread import CallThread

T = TypeVar("T")

CALL_PATIENCE_S = 1.5
"""Seconds after which a device call is reported as hanging; it is still awaited."""
OPENING_PATIENCE_S = 5.0
"""The same for opening, which takes 0.2 s on an idle machine and up to 3 s on a busy one."""
NO_ANSWER = "the sound server or the driver hangs, or the machine is very busy; see `coldvoxctl doctor`"


class CaptureDevice:
    """A microphone whose calls run one after the other on one thread, since PortAudio's state belongs to the process.

    A call that hangs in a frozen sound server can't be cancelled or moved to another thread: later calls wait behind
    it. Event loop only. `on_open` is called whenever `is_open` changes.
    """

    def __init__(self, microphone: Microphone, on_open: Callable[[bool], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = CallThread("microphone")
        self._microphone = microphone
        self._next: Microphone | None = None
        self._on_open = on_open
        self._is_open = False
        self._opened = OpenedMicrophone(name="", latency_s=0.0)
        self._running = ""
        """What the running call does, or the last one did. Written on the device thread."""

    @property
    def is_open(self) -> bool:
        """True from the end of the opening to the end of the closing, however long the closing hangs."""
        return self._is_open

    @property
    def opened(self) -> OpenedMicrophone:
        """The open microphone, or the last one that was open."""
        return self._opened

    @property
    def busy_since_s(self) -> float | None:
        """Loop time at which the running call started; None if none runs."""
        return self._thread.busy_since_s

    @property
    def pending_call(self) -> str:
        """What the running call does and for how long, as a sentence for people."""
        since_s = self.busy_since_s
        seconds = self._loop.time() - since_s if since_s is not None else 0.0
        return f"the call that {self._running} the microphone has not returned for {seconds:.0f} s: {NO_ANSWER}"

    def use(self, microphone: Microphone) -> None:
        """Set the microphone that the next `open` opens."""
        self._next = microphone

    def open(self, deliver: Callable[[Chunk], None]) -> "asyncio.Future[OpenedMicrophone]":
        """Start delivering chunks, on any thread. The future raises CaptureFault."""
        if self._next is not None:
            self._microphone, self._next = self._next, None
        return self._submit("opens", lambda: self._open(deliver))

    def open_beside(self, deliver: Callable[[Chunk], None]) -> "asyncio.Future[OpenedMicrophone]":
        """Open what was selected beside the open microphone, which delivers until `close_former`.

        The future raises CaptureFault if both cannot be open at once. Two Microphones, which `use` has exchanged, can't.
        """
        if self._next is not None:
            refused = self._loop.create_future()
            refused.set_exception(CaptureFault("the other microphone is not of the same kind"))
            return refused
        return self._submit("opens", lambda: self._open_beside(deliver))

    def close_former(self) -> "asyncio.Future[None]":
        """Close the microphone that `open_beside` has replaced."""
        return self._submit("closes", self._microphone.close_former)

    def is_delivering(self) -> "asyncio.Future[bool]":
        """Return whether the stream is still running."""
        return self._submit("checks", self._microphone.is_delivering)

    def wait_for_server(self) -> "asyncio.Future[None]":
        """Complete once the sound server answers a request, or has ended."""
        return self._submit("checks", self._microphone.wait_for_server)

    def close(self) -> "asyncio.Future[None]":
        """Close the microphone; no effect if none is open."""
        return self._submit("closes", self._close)

    def end(self) -> None:
        """End the thread after the calls already submitted. Does not wait."""
        self._thread.close()

    def _submit(self, what: str, call: Callable[[], T]) -> "asyncio.Future[T]":
        def run() -> T:
            self._running = what
            return call()

        return self._thread.submit(run)

    def _open(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        """Open the microphone. Runs on the device thread."""
        opened = self._microphone.open(deliver)
        self._loop.call_soon_threadsafe(self._changed, opened)
        return opened

    def _open_beside(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        """Open another microphone. Runs on the device thread."""
        opened = self._microphone.open_beside(deliver)
        self._loop.call_soon_threadsafe(self._changed, opened)
        return opened

    def _close(self) -> None:
        """Close the microphone. Runs on the device thread."""
        self._microphone.close()
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process is ending
            self._loop.call_soon_threadsafe(self._changed, None)

    def _changed(self, opened: OpenedMicrophone | None) -> None:
        if opened is not None:
            self._opened = opened
        if (opened is not None) != self._is_open:
            self._is_open = opened is not None
            self._on_open(self._is_open)
