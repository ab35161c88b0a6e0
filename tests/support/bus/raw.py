"""A client that writes bytes: messages that no library would send, and partial messages."""

import asyncio
import os
import re
import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from coldvoxd.bus.interface_xml import BUS_NAME, OBJECT_PATH

CALL, SIGNAL = 1, 4
NO_REPLY = 1
PATH, INTERFACE, MEMBER, DESTINATION, SIGNATURE, DESCRIPTORS = 1, 2, 3, 6, 8, 9
UNKNOWN_FIELD = (50, "s", "of a later version")
BUS = "org.freedesktop.DBus"

Field = tuple[int, str, str | int]


def message(
    member: str,
    *,
    interface: str = "org.freedesktop.DBus.Peer",
    path: str = OBJECT_PATH,
    to: str = BUS_NAME,
    serial: int = 1,
    kind: int = CALL,
    flags: int = 0,
    signature: str = "",
    body: bytes = b"",
    descriptors: int = 0,
    more: Iterable[Field] = (),
) -> bytes:
    """Return one message, little-endian, with these extra header fields."""
    fields: list[Field] = [
        (PATH, "o", path),
        (INTERFACE, "s", interface),
        (MEMBER, "s", member),
        (DESTINATION, "s", to),
    ]
    fields += [(SIGNATURE, "g", signature)] if signature else []
    fields += [(DESCRIPTORS, "u", descriptors)] if descriptors else []
    array = b""
    for code, of, value in [*fields, *more]:
        array += b"\0" * (-len(array) % 8) + bytes([code, 1]) + of.encode() + b"\0" + _value(of, value)
    fixed = struct.pack("<cBBBIII", b"l", kind, flags, 1, len(body), serial, len(array))
    return fixed + array + b"\0" * (-len(array) % 8) + body


def variants(count: int) -> bytes:
    """Return the body of a call of signature `av`, 8 bytes per value: the slowest to decode in Python."""
    return struct.pack("<I", count * 8) + b"\1b\0\0\1\0\0\0" * count


def text(value: str) -> bytes:
    """Return the body for signature `s`."""
    return _value("s", value)


def _value(of: str, value: str | int) -> bytes:
    if isinstance(value, int):
        return struct.pack("<I", value)
    encoded = value.encode()
    length = struct.pack("<B" if of == "g" else "<I", len(encoded))
    return length + encoded + b"\0"


class RawClient:
    """A client that is authenticated and named on the bus. Use `async with RawClient(address) as client`.

    It reads only its own answers.
    """

    def __init__(self, address: str) -> None:
        self._path = address.removeprefix("unix:path=")
        self._sock = socket.socket(socket.AF_UNIX)
        self.name = ""
        """Unique name on the bus."""

    async def __aenter__(self) -> Self:
        self._sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._sock, self._path)
        user = str(os.getuid()).encode().hex()
        await self.send(f"\0AUTH EXTERNAL {user}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n".encode())
        await self.send(message("Hello", interface=BUS, path="/org/freedesktop/DBus", to=BUS))
        greeting = await self.received(b"NameAcquired")
        self.name = re.findall(rb":1\.\d+", greeting)[0].decode()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    async def send(self, data: bytes) -> None:
        """Send all data, however long the bus takes."""
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def send_with(self, data: bytes, descriptors: list[int]) -> None:
        """Send all data with file descriptors."""
        sent = socket.send_fds(self._sock, [data], descriptors)
        await self.send(data[sent:])

    def send_some(self, data: memoryview) -> int:
        """Send as much as fits into the socket now; return the number of bytes."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    async def received(self, wanted: bytes) -> bytes:
        """Return all data received up to and including these bytes."""
        found = b""
        async with asyncio.timeout(30):
            while wanted not in found:
                part = await asyncio.get_running_loop().sock_recv(self._sock, 1 << 16)
                assert part, f"the bus closed the connection after {found[-200:]!r}"
                found += part
        return found
