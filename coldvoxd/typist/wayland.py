"""A small Wayland client: the connection, its objects, and messages in both directions.

It needs no library, as the X11 client; contrib/docs/decisions/wayland-client.md has the reasons. The wire format is that of
"The Wayland Protocol", chapter 4.
"""

import array
import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from coldvoxd.typist.errors import Refused, Unavailable, why
from coldvoxd.userdirs import base_directories

LIMIT_S = 5.0
_DISPLAY = 1
_SYNC, _GET_REGISTRY = 0, 1
_ERROR, _DELETE_ID = 0, 1
"""Events of wl_display."""
_BIND = 0
"""The request of wl_registry."""
_MOST_DESCRIPTORS = 28
"""As many as libwayland sends in one message."""
_GLOBAL, _DONE = 0, 0
"""Events of wl_registry and of wl_callback."""


class Wayland:
    """A connection to the compositor. Event loop only.

    Methods raise Refused when the compositor does not answer, or has ended the connection.
    """

    def __init__(self, connected: socket.socket) -> None:
        """Use `connect` instead."""
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._next = _DISPLAY + 1
        self._free: list[int] = []
        """Object numbers that the compositor has released. They are used again, so that its table does not grow."""
        self._globals: dict[str, tuple[int, int]] = {}
        """Number and version of each interface that the compositor offers."""
        self._callbacks: dict[int, asyncio.Future[None]] = {}
        self._events: dict[int, list[tuple[int, bytes]]] = {}
        """Events of bound objects that nothing has read yet."""
        self._descriptors: deque[int] = deque()
        """File descriptors of events, in their order."""
        self._arrived = asyncio.Event()
        self._fault = ""
        self._registry = self._new()

    @classmethod
    async def connect(cls, environment: Mapping[str, str]) -> "Wayland":
        """Connect to the compositor at WAYLAND_DISPLAY; the caller closes the connection.

        Raises Unavailable if the compositor does not accept it, and Refused if it does not respond.
        """
        connected = await _connected(environment)
        wayland = cls(connected)
        wayland._loop.add_reader(connected, wayland._receive)
        try:
            wayland.send(_DISPLAY, _GET_REGISTRY, struct.pack("=I", wayland._registry))
            await wayland.sync()
        except BaseException as error:
            ended = wayland.gone
            wayland.close()
            if isinstance(error, Refused) and ended:
                raise Unavailable(str(error)) from error
            raise
        return wayland

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._fault)

    def close(self) -> None:
        """Close the connection; the compositor releases all its objects."""
        self._end("the connection is closed")

    def version(self, interface: str) -> int:
        """Return the version of a global interface that the compositor offers; 0 if it does not."""
        return self._globals.get(interface, (0, 0))[1]

    def bind(self, interface: str, version: int = 1) -> int:
        """Return a new object of a global interface. Raises Unavailable if there is none."""
        if interface not in self._globals:
            raise Unavailable(f"the compositor does not offer {interface}")
        number, _ = self._globals[interface]
        bound = self._new()
        self._events[bound] = []
        head = struct.pack("=I", number) + string(interface)
        self.send(self._registry, _BIND, head + struct.pack("=II", version, bound))
        return bound

    def create(self, factory: int, opcode: int, *arguments: int, then: Sequence[int] = ()) -> int:
        """Return the new object that a request of `factory` makes; its number is the argument before `then`."""
        created = self._new()
        self._events[created] = []
        values = (*arguments, created, *then)
        self.send(factory, opcode, struct.pack(f"={len(values)}I", *values))
        return created

    def events(self, bound: int) -> Sequence[tuple[int, bytes]]:
        """Return the events of an object, as opcode and body, that arrived since the last call."""
        found, self._events[bound] = self._events[bound], []
        return found

    async def until_event(self, bound: int) -> None:
        """Return when an event of an object has arrived. Raises Refused when the connection has ended."""
        while not self._events[bound]:
            if self._fault:
                raise Refused(self._fault)
            self._arrived.clear()
            await self._arrived.wait()

    def take_descriptor(self) -> int:
        """Return the file descriptor of the next event that has one; the caller closes it."""
        return self._descriptors.popleft()

    def send(self, target: int, opcode: int, body: bytes = b"", descriptor: int | None = None) -> None:
        """Send a request; the compositor gets a copy of `descriptor`."""
        if self._fault:
            raise Refused(self._fault)
        message = struct.pack("=II", target, (8 + len(body)) << 16 | opcode) + body
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        try:
            sent = self._socket.sendmsg([message], rights)
        except OSError as error:
            # A full buffer means that it stalls: each caller waits for the compositor after a few requests.
            stalls = isinstance(error, BlockingIOError)
            self._end(f"the Wayland compositor {'does not respond' if stalls else 'has ended'}")
            raise Refused(self._fault) from error
        if sent < len(message):
            self._end("the Wayland compositor does not respond")
            raise Refused(self._fault)

    async def sync(self) -> None:
        """Return when the compositor has processed all requests so far."""
        number = self._new()
        done = self._callbacks[number] = self._loop.create_future()
        try:
            self.send(_DISPLAY, _SYNC, struct.pack("=I", number))
            async with asyncio.timeout(LIMIT_S):
                await done
        except TimeoutError:
            raise Refused(f"the Wayland compositor did not respond within {LIMIT_S:g} s") from None
        finally:
            self._callbacks.pop(number, None)

    def _new(self) -> int:
        if self._free:
            return self._free.pop()
        self._next += 1
        return self._next - 1

    def _receive(self) -> None:
        try:
            part, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            self._end("the Wayland compositor has ended")
            return
        self._descriptors += descriptors
        self._arrived.set()
        if not part:
            self._end("the Wayland compositor has ended")
            return
        self._received += part
        for target, opcode, body in self._messages():
            self._handle(target, opcode, body)

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        while len(self._received) >= 8:
            target, word = struct.unpack_from("=II", self._received)
            length = max(8, word >> 16)
            if len(self._received) < length:
                return
            body, self._received = self._received[8:length], self._received[length:]
            yield target, word & 0xFFFF, body

    def _handle(self, target: int, opcode: int, body: bytes) -> None:
        if target == _DISPLAY and opcode == _ERROR:
            length = struct.unpack_from("=I", body, 8)[0]
            self._end(f"the Wayland compositor refused: {body[12 : 11 + length].decode(errors='replace')}")
        elif target == _DISPLAY and opcode == _DELETE_ID:
            self._free.append(struct.unpack("=I", body)[0])
        elif target == self._registry and opcode == _GLOBAL:
            number, length = struct.unpack_from("=II", body)
            self._globals.setdefault(body[8 : 7 + length].decode(), (number, struct.unpack("=I", body[-4:])[0]))
        elif target in self._callbacks and opcode == _DONE:
            if not self._callbacks[target].done():
                self._callbacks[target].set_result(None)
        elif target in self._events:
            self._events[target].append((opcode, body))

    def _end(self, reason: str) -> None:
        if self._fault:
            return
        self._fault = reason
        self._loop.remove_reader(self._socket)
        self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._arrived.set()
        for waiting in self._callbacks.values():
            if not waiting.done():
                waiting.set_exception(Refused(reason))


async def compositor(environment: Mapping[str, str]) -> int:
    """Return the process number of the compositor at WAYLAND_DISPLAY; 0 if it belongs to another PID namespace.

    Raises Unavailable if none listens there. A compositor that stalls listens too.
    """
    with await _connected(environment) as connected:
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        process, _, _ = struct.unpack("3i", credentials)
        return int(process)


async def _connected(environment: Mapping[str, str]) -> socket.socket:
    """Return a socket that is connected to WAYLAND_DISPLAY. Raises Unavailable."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connected.setblocking(False)
    try:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.get_running_loop().sock_connect(connected, _path(environment))
    except (OSError, TimeoutError) as error:
        connected.close()
        raise Unavailable(f"cannot connect to the Wayland compositor: {why(error)}") from error
    return connected


def _path(environment: Mapping[str, str]) -> str:
    name = environment.get("WAYLAND_DISPLAY", "")
    base = environment.get(base_directories.RUNTIME, "")
    return os.fspath(Path(base, name))  # an absolute name is used as it is


def string(value: str) -> bytes:
    """Return an argument that is a string: its length with the final zero byte, and the bytes padded to 32-bit words."""
    encoded = value.encode() + b"\0"
    return struct.pack("=I", len(encoded)) + encoded + bytes(-len(encoded) % 4)
