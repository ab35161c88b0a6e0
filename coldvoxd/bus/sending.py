"""The sending half of a connection: a queue of messages for a socket whose buffer may be full."""

import array
import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class _Outgoing:
    """A message of which the socket may have accepted a part."""

    rest: memoryview
    descriptors: Sequence[int]
    """File descriptors to send with the next byte that the socket accepts."""
    sent: "asyncio.Future[None] | None"


class Writer:
    """Sends messages in order, in turns of the event loop in which the socket accepts bytes. Event loop only."""

    def __init__(self, sock: socket.socket, lost: Callable[[OSError], None]) -> None:
        """`lost` is called if the socket fails."""
        self._sock = sock
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Outgoing] = deque()
        self._waiting = False
        """Whether the event loop notifies us when the socket accepts bytes."""

    @property
    def backlog(self) -> int:
        """Number of messages that the socket has not accepted completely."""
        return len(self._queue)

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> "asyncio.Future[None]":
        """Queue a message. The future is done once the socket has accepted all of it.

        The descriptors must stay open until then.
        """
        sent: asyncio.Future[None] = self._loop.create_future()
        self._put(_Outgoing(memoryview(data), tuple(descriptors), sent))
        return sent

    def post(self, data: bytes) -> None:
        """Queue a message without file descriptors."""
        self._put(_Outgoing(memoryview(data), (), None))

    def close(self, error: Exception) -> None:
        """Stop sending. The futures of messages that were not accepted get the error."""
        self._stop_waiting()
        for message in self._queue:
            if message.sent is not None and not message.sent.done():
                message.sent.set_exception(error)
        self._queue.clear()

    def _put(self, message: _Outgoing) -> None:
        self._queue.append(message)
        if not self._waiting:
            self._waiting = True
            self._loop.add_writer(self._sock, self._write)

    def _write(self) -> None:
        """Write what the socket accepts now."""
        try:
            while self._queue:
                message = self._queue[0]
                message.rest = message.rest[_write_some(self._sock, message) :]
                if message.rest:
                    return
                self._queue.popleft()
                if message.sent is not None and not message.sent.done():
                    message.sent.set_result(None)
        except OSError as error:
            self._stop_waiting()
            self._lost(error)
        else:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting = False
            self._loop.remove_writer(self._sock)


def _write_some(sock: socket.socket, message: _Outgoing) -> int:
    """Return the number of bytes that the socket accepted; 0 if its buffer is full."""
    try:
        if not message.descriptors:
            return sock.send(message.rest)
        rights = array.array("i", message.descriptors)
        taken = sock.sendmsg([message.rest], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except (BlockingIOError, InterruptedError):
        return 0
    message.descriptors = ()
    return taken
