"""A small X11 client for what xdotool can't do: see held modifiers right before a key, and each change of the focus.

It speaks the core protocol and a request each of XKEYBOARD and XTEST over the server's socket, so it needs no library.
"""

import asyncio
import os
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from coldvox_type.faults import Refused

LIMIT_S = 5.0
MODIFIERS = ("Shift", "Caps Lock", "Ctrl", "Alt", "Num Lock", "Mod3", "Super", "AltGr")
"""Names of the eight modifier bits, lowest first, as all desktops bind them."""
CAPS_LOCK = 1 << 1

_ERROR, _REPLY, _FOCUS_OUT, _DESTROY_NOTIFY = 0, 1, 10, 17
_CHANGE_WINDOW_ATTRIBUTES, _GET_INPUT_FOCUS, _QUERY_EXTENSION, _GET_KEYBOARD_MAPPING = 2, 43, 98, 101
_FAKE_INPUT, _KEY_PRESS, _KEY_RELEASE = 2, 2, 3
_EVENT_MASK = 1 << 11
_STRUCTURE_AND_FOCUS = 1 << 17 | 1 << 21
_BY_GRAB = {1, 2}
"""Modes of FocusOut while a shortcut of the desktop grabs the keyboard: the window keeps the focus."""
_TO_CHILD_OR_POINTER = {2, 5, 6, 7}
"""Details of FocusOut that name no other window."""
_XKB_USE_EXTENSION, _XKB_GET_STATE, _CORE_KEYBOARD = 0, 4, 0x100


@dataclass(frozen=True, slots=True)
class Keyboard:
    """The state of the server's keyboard, as bits of `MODIFIERS`."""

    held: int
    """Modifiers whose key is down now."""
    effective: int
    """Modifiers that apply to the next key, locked ones included."""

    group: int
    """The layout in use; 0 is the first."""

    @property
    def held_names(self) -> str:
        """Of the held modifiers, Caps Lock aside; empty where no other is held."""
        return " and ".join(
            name for bit, name in enumerate(MODIFIERS) if self.held >> bit & 1 and 1 << bit != CAPS_LOCK
        )


class XServer:
    """A connection to the X server. Event loop only; one request at a time.

    Methods raise Refused when the server does not answer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For `connected`."""
        self._reader = reader
        self._writer = writer
        self._keyboard = 0
        """The major opcode of XKEYBOARD."""
        self._test = 0
        """That of XTEST."""
        self._keycodes = range(0)
        self._watched = 0
        self._moved = False

    @classmethod
    @asynccontextmanager
    async def connected(cls, environment: Mapping[str, str]) -> AsyncIterator["XServer"]:
        """To the server at DISPLAY."""
        server = await cls.connect(environment)
        try:
            yield server
        finally:
            server.close()

    @classmethod
    async def connect(cls, environment: Mapping[str, str]) -> "XServer":
        """To the server at DISPLAY; the caller closes it."""
        display = environment.get("DISPLAY", "")
        try:
            async with asyncio.timeout(LIMIT_S):
                host, number = _parsed(display)
                server = cls(*await _socket(host, number))
                try:
                    await server._set_up(_cookie(environment, number))
                except BaseException:
                    server.close()
                    raise
                return server
        except (OSError, EOFError, TimeoutError) as error:
            raise Refused(f"cannot connect to the X server at {display}: {error or type(error).__name__}") from error

    def close(self) -> None:
        """End the connection."""
        self._writer.close()

    async def keyboard(self) -> Keyboard:
        """Which modifiers are held, and which apply."""
        state = await self._ask(self._keyboard, _XKB_GET_STATE, struct.pack("<HH", _CORE_KEYBOARD, 0))
        return Keyboard(held=state[9], effective=state[8], group=state[12])

    async def keys(self) -> Mapping[int, tuple[int, bool]]:
        """In the first layout, by keysym: the key's code, and whether it needs Shift."""
        count = len(self._keycodes)
        reply = await self._ask(_GET_KEYBOARD_MAPPING, 0, struct.pack("<BBxx", self._keycodes.start, count))
        width = reply[1]
        keysyms = struct.unpack_from(f"<{count * width}I", reply, 32)
        found: dict[int, tuple[int, bool]] = {}
        for shift in (False, True):
            for place, code in enumerate(self._keycodes):
                found.setdefault(keysyms[place * width + shift], (code, shift))
        return found

    def tap(self, *codes: int) -> None:
        """Press these keys and release them again."""
        for kind, order in ((_KEY_PRESS, codes), (_KEY_RELEASE, codes[::-1])):
            for code in order:
                self._send(self._test, _FAKE_INPUT, struct.pack("<BBxx28x", kind, code))

    async def input_focus(self) -> int:
        """The window that receives keys; 0 or 1 where none does."""
        reply = await self._ask(_GET_INPUT_FOCUS, 0)
        return int(struct.unpack_from("<I", reply, 8)[0])

    async def watch_focus(self) -> None:
        """From now on `focus_moved` reports whether the focus left the window that has it."""
        self._watched = await self.input_focus()
        self._moved = self._watched <= 1
        if not self._moved:
            values = struct.pack("<III", self._watched, _EVENT_MASK, _STRUCTURE_AND_FOCUS)
            self._send(_CHANGE_WINDOW_ATTRIBUTES, 0, values)
        self._moved = self._moved or await self.input_focus() != self._watched

    async def focus_moved(self) -> bool:
        """Whether the focus left the watched window since `watch_focus`, and be it for a moment."""
        return await self.input_focus() != self._watched or self._moved

    async def _set_up(self, cookie: bytes) -> None:
        name = b"MIT-MAGIC-COOKIE-1" if cookie else b""
        head = struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(cookie))
        self._writer.write(head + _padded(name) + _padded(cookie))
        status, reason_length, _, _, length = struct.unpack("<BBHHH", await self._reader.readexactly(8))
        rest = await self._reader.readexactly(4 * length)
        if status != 1:
            reason = rest[:reason_length].decode(errors="replace").strip()
            raise ConnectionRefusedError(reason or "authentication failed")
        self._keycodes = range(rest[26], rest[27] + 1)
        self._keyboard, self._test = await self._extension(b"XKEYBOARD"), await self._extension(b"XTEST")
        await self._ask(self._keyboard, _XKB_USE_EXTENSION, struct.pack("<HH", 1, 0))

    async def _extension(self, name: bytes) -> int:
        """Its major opcode."""
        reply = await self._ask(_QUERY_EXTENSION, 0, struct.pack("<Hxx", len(name)) + _padded(name))
        if not reply[8]:
            raise ConnectionRefusedError(f"it has no extension {name.decode()}")
        return reply[9]

    async def _ask(self, opcode: int, minor: int, body: bytes = b"") -> bytes:
        """The reply to a request; what else arrives before it is noted."""
        try:
            async with asyncio.timeout(LIMIT_S):
                self._send(opcode, minor, body)
                while True:
                    packet = await self._reader.readexactly(32)
                    kind = packet[0] & 0x7F
                    if kind == _REPLY:
                        return packet + await self._reader.readexactly(4 * struct.unpack_from("<I", packet, 4)[0])
                    if kind == _ERROR and packet[10] != _CHANGE_WINDOW_ATTRIBUTES:
                        raise ConnectionAbortedError(f"error {packet[1]} to request {packet[10]}")
                    self._note(kind, packet)
        except (OSError, EOFError, TimeoutError) as error:
            raise Refused(f"the X server does not answer: {error or type(error).__name__}") from error

    def _send(self, opcode: int, minor: int, body: bytes = b"") -> None:
        self._writer.write(struct.pack("<BBH", opcode, minor, 1 + len(body) // 4) + body)

    def _note(self, kind: int, packet: bytes) -> None:
        gone = kind in {_ERROR, _DESTROY_NOTIFY}
        left = kind == _FOCUS_OUT and packet[8] not in _BY_GRAB and packet[1] not in _TO_CHILD_OR_POINTER
        self._moved = self._moved or gone or left


def _parsed(display: str) -> tuple[str, int]:
    """Host, empty for this machine, and number."""
    found = re.fullmatch(r"(?:unix(?=:)|(.*)):(\d+)(?:\.\d+)?", display)
    if not found:
        raise ConnectionRefusedError("this form of DISPLAY is not known")
    return found[1] or "", int(found[2])


async def _socket(host: str, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if host:
        return await asyncio.open_connection(host, 6000 + number)
    path = f"/tmp/.X11-unix/X{number}"
    try:
        return await asyncio.open_unix_connection(path)
    except OSError:
        return await asyncio.open_unix_connection(f"\0{path}")


def _cookie(environment: Mapping[str, str], number: int) -> bytes:
    """The key to display `number` from the X authority file; empty where that has none."""
    file = Path(environment.get("XAUTHORITY") or Path(environment.get("HOME", "/"), ".Xauthority"))
    try:
        content = file.read_bytes()
    except OSError:
        return b""
    mine = os.fsencode(socket.gethostname())
    found = b""
    for address, display, name, key in _entries(content):
        if name == b"MIT-MAGIC-COOKIE-1" and display in {b"", str(number).encode()} and (not found or address == mine):
            found = key
    return found


def _entries(content: bytes) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """Address, display number, name and key of each entry of an X authority file."""
    entries, at = [], 0
    while at + 2 < len(content):
        at += 2  # the address's family
        fields = []
        for _ in range(4):
            length = int.from_bytes(content[at : at + 2], "big")
            fields.append(content[at + 2 : at + 2 + length])
            at += 2 + length
        entries.append((fields[0], fields[1], fields[2], fields[3]))
    return entries


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)
