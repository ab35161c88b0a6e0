"""The sending half of a connection: a socket whose buffer may be full."""

import socket
from typing import Any


class PatientSocket:
    """A socket that accepts 0 bytes if its buffer is full, so that the library's writer waits until it is writable."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent: list[Any] = []
        """File descriptors to send with the next byte that the socket accepts."""

    def send(self, data: memoryview) -> int:
        try:
            if self._unsent:
                return self.sendmsg([data], self._unsent)
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def sendmsg(self, buffers: list[memoryview], ancillary: list[Any]) -> int:
        self._unsent = ancillary  # the library considers them sent, even if this call fails
        try:
            taken = self._sock.sendmsg(buffers, ancillary)
        except (BlockingIOError, InterruptedError):
            return 0
        self._unsent = []
        return taken
