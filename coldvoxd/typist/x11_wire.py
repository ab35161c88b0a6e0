"""A connection to an X server for a program that waits for events."""

import asyncio
import struct
from collections import deque
from collections.abc import Iterator, Mapping

from coldvoxd.typist.errors import Refused, why
from coldvoxd.typist.x11_socket import open_display

LIMIT_S = 5.0
_ERROR, _REPLY = 0, 1
_INTERN_ATOM = 16


class XWire:
    """Requests, replies and events. Event loop only; one request at a time.

    Methods raise Refused when the server does not answer, or has ended the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, setup: bytes) -> None:
        """Use `connect` instead."""
        self._reader = reader
        self._writer = writer
        self._next = int(struct.unpack_from("<I", setup, 4)[0])
        self.root = min(roots(setup))
        """The root window of the first screen."""
        self._events: deque[bytes] = deque()

    @classmethod
    async def connect(cls, environment: Mapping[str, str]) -> "XWire":
        """Connect to the server at DISPLAY; the caller closes the connection."""
        try:
            async with asyncio.timeout(LIMIT_S):
                reader, writer, cookie = await open_display(environment)
                try:
                    return cls(reader, writer, await set_up(reader, writer, cookie))
                except BaseException:
                    writer.close()
                    raise
        except (OSError, EOFError, TimeoutError) as error:
            raise Refused(f"cannot connect to the X server: {why(error)}") from error

    def close(self) -> None:
        self._writer.close()

    def new_identifier(self) -> int:
        """Return the number of a new object."""
        self._next += 1
        return self._next - 1

    def send(self, opcode: int, minor: int, body: bytes) -> None:
        self._writer.write(request(opcode, minor, body))

    async def ask(self, opcode: int, minor: int, body: bytes) -> bytes:
        """Send a request and return its reply. Events that arrive before it are kept. Raises Refused if it fails."""
        self.send(opcode, minor, body)
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    packet = await self._packet()
                    if packet[0] == _REPLY:
                        return packet
                    if packet[0] == _ERROR and packet[10] == opcode:
                        raise Refused(f"the X server answered request {opcode} with error {packet[1]}")
                    self._events.append(packet)
        except TimeoutError:
            raise Refused(f"the X server did not respond within {LIMIT_S:g} s") from None

    async def event(self) -> bytes:
        """Return the next event or error: 32 bytes, the first of which is its kind."""
        return self._events.popleft() if self._events else await self._packet()

    async def atom(self, name: str) -> int:
        """Return the atom for a name."""
        encoded = name.encode()
        reply = await self.ask(_INTERN_ATOM, 0, struct.pack("<Hxx", len(encoded)) + padded(encoded))
        return int(struct.unpack_from("<I", reply, 8)[0])

    async def _packet(self) -> bytes:
        try:
            packet = await self._reader.readexactly(32)
            if packet[0] == _REPLY:
                packet += await self._reader.readexactly(4 * struct.unpack_from("<I", packet, 4)[0])
        except (OSError, EOFError) as error:
            raise Refused("the X server has ended") from error
        return packet


async def set_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cookie: bytes) -> bytes:
    """Authenticate; return the server's setup reply without its first 8 bytes. Raises OSError and EOFError."""
    name = b"MIT-MAGIC-COOKIE-1" if cookie else b""
    head = struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(cookie))
    writer.write(head + padded(name) + padded(cookie))
    status, reason_length, _, _, length = struct.unpack("<BBHHH", await reader.readexactly(8))
    rest = await reader.readexactly(4 * length)
    if status != 1:
        reason = rest[:reason_length].decode(errors="replace").strip()
        raise ConnectionRefusedError(reason or "authentication failed")
    return rest


def request(opcode: int, minor: int, body: bytes) -> bytes:
    return struct.pack("<BBH", opcode, minor, 1 + len(body) // 4) + body


def padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def roots(setup: bytes) -> Iterator[int]:
    """Yield the root window of each screen; `setup` is the value of `set_up`."""
    vendor_length, screens, formats = struct.unpack_from("<HxxBB", setup, 16)
    at = 32 + vendor_length + -vendor_length % 4 + 8 * formats
    for _ in range(screens):
        yield struct.unpack_from("<I", setup, at)[0]
        depths = setup[at + 39]
        at += 40
        for _ in range(depths):
            at += 8 + 24 * struct.unpack_from("<H", setup, at + 2)[0]
