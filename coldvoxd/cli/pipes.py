"""Reads recordings that come through pipes: into memory, or as a file that is read once."""

import io
import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING

from coldvoxd.core.errors import FileFault, Stopped

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_BYTES = 1 << 20
_LOOK_S = 0.2
"""Seconds between two checks for cancellation while no data arrives."""


class Pipe:
    """The reading end of a pipe. Waits for data, unless `is_stopped`, which makes every method raise Stopped."""

    def __init__(self, descriptor: int, name: str, is_stopped: Callable[[], bool]) -> None:
        """`name` is that of the recording in messages."""
        self._descriptor = descriptor
        self._name = name
        self._is_stopped = is_stopped
        self.received = 0
        """Number of bytes so far."""

    def read(self, count: int = _READ_BYTES) -> bytes:
        """Up to `count` bytes; empty at the end, and if no program has the pipe open for writing. Raises FileFault."""
        try:
            piece = self._next(count)
        except OSError as error:
            raise FileFault(f"{self._name} cannot be read: {error.strerror or error}") from error
        self.received += len(piece)
        return piece

    def receive(self, memory: int, most_bytes: int) -> bool:
        """Append data to a memory file until `most_bytes` have been received; return whether the pipe ended before.

        Raises FileFault if the pipe delivered nothing.
        """
        while self.received < most_bytes:
            piece = self.read(min(_READ_BYTES, most_bytes - self.received))
            if not piece and self.received == 0:
                raise FileFault(
                    f"{self._name} delivered nothing: no program writes to it, or the program exited without output"
                )
            if not piece:
                return True
            while piece:
                piece = piece[os.write(memory, piece) :]
        return False

    def _next(self, count: int) -> bytes:
        if self.received == 0 and not os.get_blocking(self._descriptor):
            try:
                return os.read(self._descriptor, count)
            except BlockingIOError:
                pass  # a program has it open, but has not written anything yet
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not poll.poll(_LOOK_S * 1000):
            if self._is_stopped():
                raise Stopped("interrupted")
        return os.read(self._descriptor, count)


class PipedFile(io.RawIOBase):
    """A file that is read once, from its beginning: what has been received, and then the rest of the pipe."""

    def __init__(self, memory: int, pipe: Pipe) -> None:
        """`memory` has what has been received; it is emptied once that has been read."""
        super().__init__()
        self._memory = memory
        self._pipe = pipe
        self._position = 0
        self._rest_of_memory = pipe.received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        wanted = memoryview(buffer).cast("B")
        if self._rest_of_memory:
            read = os.preadv(self._memory, [wanted[: self._rest_of_memory]], self._position)
            self._position += read
            self._rest_of_memory -= read
            if not self._rest_of_memory:
                os.ftruncate(self._memory, 0)
            return read
        piece = self._pipe.read(len(wanted))
        wanted[: len(piece)] = piece
        return len(piece)
