"""Splits the data received from a socket into messages, a bounded amount at a time."""

import array
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from coldvoxd.bus import header
from coldvoxd.bus.header import FIXED_BYTES, NO_REPLY_EXPECTED, Fields, Lengths, Malformed, Type

READ_BYTES = 64 * 1024
"""Maximum number of bytes per read: about 1 ms of work, whatever they contain."""
LARGEST_HEADER_BYTES = 64 * 1024
"""A message with a longer header is dropped. Each name in a header has at most 255 bytes."""
DESCRIPTORS_AT_ONCE = 253
"""Linux's limit of file descriptors per message (SCM_MAX_FD)."""
_CALL = int(Type.METHOD_CALL)
"""An int, because it is compared for each message, and comparing an IntEnum takes longer."""


class Head(NamedTuple):
    """The header of a message whose body may not have been read yet."""

    lengths: Lengths
    fields: Fields | None
    """None if the header is malformed or too long: the message can only be skipped."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A complete message whose body is not decoded yet."""

    lengths: Lengths
    fields: Fields
    data: bytes
    """Header and body."""
    descriptors: tuple[int, ...]
    """File descriptors, which the receiver must close."""
    complete: bool = True
    """False if some of its descriptors could not be received because this process cannot open more files."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """File descriptors that arrived together."""

    until: int
    """Stream position of the end of the data they arrived with; they belong to a message that begins before it."""
    descriptors: deque[int]


class Reader:
    """Splits the data received from a socket into messages. One thread at a time.

    Call `fill` when the socket is readable, then `head` and either `take` or `skip` until `head` returns None. A
    skipped message is never completely in memory.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._position = 0
        """Stream position of the buffer's beginning."""
        self._to_skip = 0
        """Number of bytes to drop as they arrive."""
        self._batches: deque[_Batch] = deque()
        self._lost_until = 0
        """Messages with descriptors that begin before this stream position have lost some of them."""
        self._head: Head | None = None

    def fill(self) -> bool:
        """Read once and return whether there was data. Raises EOFError at the end of the stream, and OSError."""
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(
                READ_BYTES, socket.CMSG_SPACE(DESCRIPTORS_AT_ONCE * 4), socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return False
        if not data:
            raise EOFError("the bus closed the connection")
        end = self._position + len(self._buffer) + len(data)
        self._note_descriptors(_descriptors(ancillary), end, lost=bool(flags & socket.MSG_CTRUNC))
        dropped = min(self._to_skip, len(data))
        if dropped:
            self._to_skip -= dropped
            self._position += dropped
            self._close_stale()
        self._buffer += memoryview(data)[dropped:]
        return True

    def head(self) -> Head | None:
        """Return the head of the next message; None until enough of it has arrived.

        Raises Malformed; the stream is unusable then.
        """
        if self._head is None and len(self._buffer) >= FIXED_BYTES and not self._to_skip:
            lengths = header.read_lengths(self._buffer)
            if lengths.header_bytes > LARGEST_HEADER_BYTES:
                self._head = Head(lengths, None)
            elif len(self._buffer) >= lengths.header_bytes:
                self._head = Head(lengths, _fields(self._buffer, lengths))
        return self._head

    def take(self) -> Frame | None:
        """Return the message of `head`; None until all of it has arrived."""
        head = self._head
        if head is None or head.fields is None or len(self._buffer) < head.lengths.total_bytes:
            return None
        size = head.lengths.total_bytes
        lost = head.fields.descriptors > 0 and self._position < self._lost_until
        descriptors = () if lost else tuple(self._descriptors(head.fields.descriptors))
        complete = len(descriptors) == head.fields.descriptors
        frame = Frame(head.lengths, head.fields, bytes(self._buffer[:size]), descriptors, complete)
        self._advance(size)
        return frame

    def skip(self) -> None:
        """Drop the message of `head`, including the bytes that have not arrived yet, and close its descriptors."""
        if self._head is None:
            return
        size = self._head.lengths.total_bytes
        if self._head.fields is not None:
            close_all(self._descriptors(self._head.fields.descriptors))
        self._to_skip = max(0, size - len(self._buffer))
        self._advance(size - self._to_skip)

    def skip_calls(self, refused: Callable[[str], bool]) -> None:
        """Drop the next calls that have arrived completely, expect no reply and whose sender is refused.

        Takes a quarter of the time of `head` and `skip`, so that a flood is read as fast as the bus delivers it. Stops
        at a call with file descriptors.
        """
        if self._head is not None or self._to_skip:
            return
        buffer, at = self._buffer, 0
        last = len(buffer) - FIXED_BYTES
        while at <= last:
            try:
                lengths = header.read_lengths(buffer, at)
                after = at + lengths.header_bytes + lengths.body_bytes
                if lengths.type != _CALL or not lengths.flags & NO_REPLY_EXPECTED or after > len(buffer):
                    break
                fields = header.read_fields(buffer, lengths, at)
            except Malformed:
                break  # `head` reports it
            if fields.descriptors or not refused(str(fields.sender)):
                break
            at = after
        if at:
            self._advance(at)

    def close(self) -> None:
        """Close the descriptors of messages that were not taken."""
        for batch in self._batches:
            close_all(batch.descriptors)
        self._batches.clear()

    def _advance(self, size: int) -> None:
        del self._buffer[:size]
        self._position += size
        self._head = None
        self._close_stale()

    def _note_descriptors(self, received: list[int], end: int, *, lost: bool) -> None:
        if lost:  # it is not known which of them are missing
            close_all(received)
            self._lost_until = end
        elif received:
            self._batches.append(_Batch(end, deque(received)))

    def _descriptors(self, count: int) -> list[int]:
        """Remove and return the first `count` descriptors: those of the message at the buffer's beginning."""
        found: list[int] = []
        while len(found) < count and self._batches:
            descriptors = self._batches[0].descriptors
            while descriptors and len(found) < count:
                found.append(descriptors.popleft())
            if not descriptors:
                self._batches.popleft()
        return found

    def _close_stale(self) -> None:
        """Close descriptors whose accompanying data is gone: their message was skipped before its header was read."""
        while self._batches and self._batches[0].until <= self._position:
            close_all(self._batches.popleft().descriptors)


def close_all(descriptors: Iterable[int]) -> None:
    """Close file descriptors, whether or not they are open."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


def _fields(buffer: bytearray, lengths: Lengths) -> Fields | None:
    try:
        return header.read_fields(buffer, lengths)
    except Malformed:
        return None


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()
