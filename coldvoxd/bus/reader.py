"""The receiving side of a connection: messages as they come out of a socket, a bounded part at a time."""

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
"""What is read at once: about a millisecond's work, whatever it holds."""
LARGEST_HEADER_BYTES = 64 * 1024
"""A message with a longer header is dropped. The names in a header have at most 255 bytes each."""
DESCRIPTORS_AT_ONCE = 253
"""Linux sends no more in one go (SCM_MAX_FD)."""
_CALL = int(Type.METHOD_CALL)
"""Compared with once a message: an IntEnum's comparison takes longer."""


class Head(NamedTuple):
    """What is known of a message before its body is read."""

    lengths: Lengths
    fields: Fields | None
    """None where the header is malformed or too long: the message can only be skipped."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole message, its body not yet decoded."""

    lengths: Lengths
    fields: Fields
    data: bytes
    """Header and body."""
    descriptors: tuple[int, ...]
    """The receiver's to close."""
    complete: bool = True
    """False where descriptors that belong to it could not be received, because this process can't open more files."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """File descriptors that came together."""

    until: int
    """Position in the stream of the end of what they came with; they belong to a message that begins before it."""
    descriptors: deque[int]


class Reader:
    """Splits what a socket receives into messages. One thread at a time.

    Call `fill` when the socket is readable, then `head` and either `take` or `skip` until `head` has none. A message
    that is skipped is never in memory as a whole.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._position = 0
        """In the stream, of the buffer's beginning."""
        self._to_skip = 0
        """Bytes to be dropped as they come."""
        self._batches: deque[_Batch] = deque()
        self._lost_until = 0
        """Messages with descriptors that begin before this position have lost some."""
        self._head: Head | None = None

    def fill(self) -> bool:
        """Read once; whether there was something. Raises EOFError at the end and OSError."""
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
        """The next message's, None while not enough of it is here. Raises Malformed: then the stream is of no use."""
        if self._head is None and len(self._buffer) >= FIXED_BYTES and not self._to_skip:
            lengths = header.read_lengths(self._buffer)
            if lengths.header_bytes > LARGEST_HEADER_BYTES:
                self._head = Head(lengths, None)
            elif len(self._buffer) >= lengths.header_bytes:
                self._head = Head(lengths, _fields(self._buffer, lengths))
        return self._head

    def take(self) -> Frame | None:
        """The message of `head`, None while not all of it is here."""
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
        """Drop the message of `head`, with what of it is still to come, and close its descriptors."""
        if self._head is None:
            return
        size = self._head.lengths.total_bytes
        if self._head.fields is not None:
            close_all(self._descriptors(self._head.fields.descriptors))
        self._to_skip = max(0, size - len(self._buffer))
        self._advance(size - self._to_skip)

    def skip_calls(self, refused: Callable[[str], bool]) -> None:
        """Drop the calls that come next, are here as a whole, want no answer and whose sender is refused.

        Takes a quarter of the time that `head` and `skip` take: a flood is read as fast as the bus delivers it. Calls
        with descriptors are left.
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
                break  # for `head` to report
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
        if lost:  # which of them are missing is not known
            close_all(received)
            self._lost_until = end
        elif received:
            self._batches.append(_Batch(end, deque(received)))

    def _descriptors(self, count: int) -> list[int]:
        """The first so many, which belong to the message at the buffer's beginning."""
        found: list[int] = []
        while len(found) < count and self._batches:
            descriptors = self._batches[0].descriptors
            while descriptors and len(found) < count:
                found.append(descriptors.popleft())
            if not descriptors:
                self._batches.popleft()
        return found

    def _close_stale(self) -> None:
        """Close what came with bytes that are all gone: its message was skipped before its header could be read."""
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
