"""A small X11 client for what xdotool can't do: see held modifiers right before a key, and each change of the focus.

It speaks the core protocol and a few requests of XKEYBOARD and XTEST over the server's socket, so it needs no library.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from coldvoxd.typist.errors import Refused, WindowGone, why
from coldvoxd.typist.keymap import ALT, CAPS_LOCK, CONTROL, SUPER, Key, Keymap
from coldvoxd.typist.x11_socket import open_display
from coldvoxd.typist.x11_wire import padded, request, roots, set_up

LIMIT_S = 5.0
MODIFIERS = ("Shift", "Caps Lock", "Ctrl", "Alt", "Num Lock", "Mod3", "Super", "AltGr")
"""Names of the eight modifier bits, lowest first, as all desktops bind them."""
INPUT_ONLY = 2
"""The window class InputOnly: such a window is invisible."""

_ERROR, _REPLY, _FOCUS_OUT, _DESTROY_NOTIFY, _MAPPING_NOTIFY = 0, 1, 10, 17, 34
_CHANGE_WINDOW_ATTRIBUTES, _GET_WINDOW_ATTRIBUTES, _QUERY_TREE, _INTERN_ATOM, _GET_PROPERTY = 2, 3, 15, 16, 20
_GRAB_KEYBOARD, _UNGRAB_KEYBOARD, _GET_INPUT_FOCUS, _QUERY_KEYMAP, _QUERY_EXTENSION = 31, 32, 43, 44, 98
_ASYNCHRONOUS = 1
_GRAB = 1
"""The mode of FocusOut when a program grabs the keyboard."""
_FAKE_INPUT, _KEY_PRESS, _KEY_RELEASE = 2, 2, 3
_EVENT_MASK = 1 << 11
_STRUCTURE_AND_FOCUS = 1 << 17 | 1 << 21
_BY_GRAB = {1, 2}
"""Modes of FocusOut while a shortcut of the desktop grabs the keyboard: the window keeps the focus."""
_TO_CHILD_OR_POINTER = {2, 5, 6, 7}
"""Details of FocusOut that name no other window."""
_XKB_USE_EXTENSION, _XKB_SELECT_EVENTS, _XKB_GET_STATE, _XKB_LATCH_LOCK_STATE = 0, 1, 4, 5
_XKB_GET_MAP, _XKB_SET_MAP, _CORE_KEYBOARD = 8, 9, 0x100
_XKB_NEW_KEYBOARD, _XKB_MAP_CHANGED = 0, 1
"""Event types of XKEYBOARD."""
_KEYSYMS, _TYPES_KEYSYMS_AND_MODIFIERS = 0b010, 0b111
"""Map parts: keysyms alone, and with key types and the modifier map."""
_BAD_WINDOW = 3
_LONGEST_PROPERTY = 1 << 10
"""In units of 4 bytes."""


@dataclass(frozen=True, slots=True)
class Keyboard:
    """The state of the server's keyboard, as bits of `MODIFIERS`."""

    held: int
    """Modifiers whose key is down."""
    effective: int
    """Modifiers that apply to the next key, including locked ones."""

    group: int
    """The active layout; 0 is the first."""

    locked_group: int
    """The active layout while no key that switches it is held."""

    @property
    def held_names(self) -> str:
        """Names of the held modifiers except Caps Lock and of those that sticky keys latch; empty if there are none."""
        down = self.held & ~CAPS_LOCK | self.effective & (CONTROL | ALT | SUPER)
        return " and ".join(name for bit, name in enumerate(MODIFIERS) if down >> bit & 1)


class XServer:
    """A connection to the X server. Event loop only; one request at a time.

    Methods raise Refused when the server does not answer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use `connected` or `connect` instead."""
        self._reader = reader
        self._writer = writer
        self._keyboard = 0
        """The major opcode of XKEYBOARD."""
        self._test = 0
        """The major opcode of XTEST."""
        self._keyboard_event = 0
        """The event code of XKEYBOARD."""
        self._roots: frozenset[int] = frozenset()
        self._keymap: Keymap | None = None
        self._not_grabbed = False
        """No program had grabbed the keyboard, and none has since."""
        self._watched = 0
        self._moved = False

    @classmethod
    @asynccontextmanager
    async def connected(cls, environment: Mapping[str, str]) -> AsyncIterator["XServer"]:
        """Connect to the server at DISPLAY; the context closes the connection."""
        server = await cls.connect(environment)
        try:
            yield server
        finally:
            server.close()

    @classmethod
    async def connect(cls, environment: Mapping[str, str]) -> "XServer":
        """Connect to the server at DISPLAY; the caller closes the connection."""
        display = environment.get("DISPLAY", "")
        try:
            async with asyncio.timeout(LIMIT_S):
                reader, writer, cookie = await open_display(environment)
                server = cls(reader, writer)
                try:
                    await server._set_up(cookie)
                except BaseException:
                    server.close()
                    raise
                return server
        except (OSError, EOFError, TimeoutError) as error:
            raise Refused(f"cannot connect to the X server at {display}: {why(error)}") from error

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def keyboard(self) -> Keyboard:
        """Return which modifiers are held, and which apply."""
        state = await self._ask(self._keyboard, _XKB_GET_STATE, struct.pack("<HH", _CORE_KEYBOARD, 0))
        return Keyboard(held=state[9], effective=state[8], group=state[12], locked_group=state[13])

    async def keymap(self) -> Keymap:
        """Return the map of the keyboard that was used last. A change announced by the server gives a new object."""
        if self._keymap is None:
            body = struct.pack("<HHH18x", _CORE_KEYBOARD, _TYPES_KEYSYMS_AND_MODIFIERS, 0)
            reply = await self._ask(self._keyboard, _XKB_GET_MAP, body)
            self._keymap = Keymap.parsed(reply)  # includes changes announced before this reply
        return self._keymap

    async def map_key(self, code: int, key: Key) -> None:
        """Change the keysyms of the key with this code, for all clients."""
        count = len(key.keysyms)
        # Device, parts, flags, key code range, no types; first key, number of keys and of keysyms; no other parts.
        codes = (await self.keymap()).codes
        head = struct.pack("<HHHBBxxBBH18x", _CORE_KEYBOARD, _KEYSYMS, 0, codes[0], codes[-1], code, 1, count)
        self._send(self._keyboard, _XKB_SET_MAP, head + key.wire)
        await self.input_focus()
        self._keymap = None

    def lock_group(self, group: int) -> None:
        """Make layout `group` the active one."""
        body = struct.pack("<HBB?BBBx?h", _CORE_KEYBOARD, 0, 0, True, group, 0, 0, False, 0)
        self._send(self._keyboard, _XKB_LATCH_LOCK_STATE, body)

    def tap(self, *codes: int) -> None:
        """Press the keys in this order and release them in reverse.

        All of it is written at once: if this process were killed before the release, the server would repeat the key.
        """
        events = [(_KEY_PRESS, code) for code in codes] + [(_KEY_RELEASE, code) for code in reversed(codes)]
        requests = (request(self._test, _FAKE_INPUT, struct.pack("<BBxx28x", *event)) for event in events)
        self._writer.write(b"".join(requests))

    async def input_focus(self) -> int:
        """Return the window that has the focus; 0 if none has or the focus follows the pointer."""
        reply = await self._ask(_GET_INPUT_FOCUS, 0)
        window = int(struct.unpack_from("<I", reply, 8)[0])
        # If a root window has the focus, keys go to the window under the pointer, as with PointerRoot (1).
        return 0 if window == 1 or window in self._roots else window

    async def grabbed(self) -> bool:
        """Return whether another program has grabbed the keyboard: it gets all keys, whichever window has the focus.

        The only way to find out is to grab the keyboard for a moment, so it is done once and after each grab of others.
        """
        if not self._not_grabbed:
            body = struct.pack("<IIBBxx", min(self._roots), 0, _ASYNCHRONOUS, _ASYNCHRONOUS)
            status = (await self._ask(_GRAB_KEYBOARD, 0, body))[1]
            self._send(_UNGRAB_KEYBOARD, 0, struct.pack("<I", 0))
            await self.input_focus()  # our own grab is announced before this reply
            self._not_grabbed = not status
        return not self._not_grabbed

    async def key_is_down(self) -> bool:
        """Return whether any key is held, modifier or not."""
        return any((await self._ask(_QUERY_KEYMAP, 0))[8:40])

    async def lineage(self, window: int) -> Sequence[int]:
        """Return `window` and its ancestors, innermost first, without the root window."""
        found = []
        while window and window not in self._roots:
            found.append(window)
            window = struct.unpack_from("<I", await self._ask(_QUERY_TREE, 0, struct.pack("<I", window)), 12)[0]
        return found

    async def window_property(self, window: int, name: str) -> bytes:
        """Return the value of a property, cut at 4 KiB; empty if the window lacks it."""
        atom = await self.atom(name)
        body = struct.pack("<IIIII", window, atom, 0, 0, _LONGEST_PROPERTY)
        reply = await self._ask(_GET_PROPERTY, 0, body)
        width, length = reply[1] // 8, struct.unpack_from("<I", reply, 16)[0]
        return reply[32 : 32 + width * length]

    async def root_property(self, name: str) -> bytes:
        """Return a property of the first screen's root window."""
        return await self.window_property(min(self._roots), name)

    async def atom(self, name: str) -> int:
        """Return the atom for a name."""
        reply = await self._ask(_INTERN_ATOM, 0, struct.pack("<Hxx", len(name)) + padded(name.encode()))
        return int(struct.unpack_from("<I", reply, 8)[0])

    async def window_class(self, window: int) -> int:
        """Return `INPUT_ONLY` or InputOutput (1)."""
        reply = await self._ask(_GET_WINDOW_ATTRIBUTES, 0, struct.pack("<I", window))
        return int(struct.unpack_from("<H", reply, 12)[0])

    async def watch_focus(self) -> None:
        """Watch the focus: from now on `focus_moved` reports whether it left the window that has it."""
        self._watched = await self.input_focus()
        self._moved = not self._watched
        if not self._moved:
            values = struct.pack("<III", self._watched, _EVENT_MASK, _STRUCTURE_AND_FOCUS)
            self._send(_CHANGE_WINDOW_ATTRIBUTES, 0, values)
        self._moved = self._moved or await self.input_focus() != self._watched

    async def focus_moved(self) -> bool:
        """Return whether the focus left the watched window since `watch_focus`, even for a moment."""
        return await self.input_focus() != self._watched or self._moved

    async def _set_up(self, cookie: bytes) -> None:
        self._roots = frozenset(roots(await set_up(self._reader, self._writer, cookie)))
        self._keyboard, self._keyboard_event = await self._extension(b"XKEYBOARD")
        self._test, _ = await self._extension(b"XTEST")
        await self._ask(self._keyboard, _XKB_USE_EXTENSION, struct.pack("<HH", 1, 0))
        announced = 1 << _XKB_NEW_KEYBOARD | 1 << _XKB_MAP_CHANGED
        body = struct.pack("<HHHHHH", _CORE_KEYBOARD, announced, 0, announced, 0xFF, 0xFF)
        self._send(self._keyboard, _XKB_SELECT_EVENTS, body)

    async def _extension(self, name: bytes) -> tuple[int, int]:
        """Return the major opcode and the first event code."""
        reply = await self._ask(_QUERY_EXTENSION, 0, struct.pack("<Hxx", len(name)) + padded(name))
        if not reply[8]:
            raise ConnectionRefusedError(f"it lacks the extension {name.decode()}")
        return reply[9], reply[10]

    async def _ask(self, opcode: int, minor: int, body: bytes = b"") -> bytes:
        """Send a request and return its reply; process packets that arrive before it."""
        try:
            async with asyncio.timeout(LIMIT_S):
                self._send(opcode, minor, body)
                while True:
                    packet = await self._reader.readexactly(32)
                    kind = packet[0] & 0x7F
                    if kind == _REPLY:
                        return packet + await self._reader.readexactly(4 * struct.unpack_from("<I", packet, 4)[0])
                    if kind == _ERROR and packet[10] != _CHANGE_WINDOW_ATTRIBUTES:
                        if packet[1] == _BAD_WINDOW:
                            raise WindowGone("the window was closed")
                        raise ConnectionAbortedError(f"error {packet[1]} to request {packet[10]}")
                    self._note(kind, packet)
        except TimeoutError as error:
            raise Refused("the X server does not respond") from error
        except (OSError, EOFError) as error:
            raise Refused(f"the X server does not respond: {why(error)}") from error

    def _send(self, opcode: int, minor: int, body: bytes = b"") -> None:
        self._writer.write(request(opcode, minor, body))

    def _note(self, kind: int, packet: bytes) -> None:
        gone = kind in {_ERROR, _DESTROY_NOTIFY}
        left = kind == _FOCUS_OUT and packet[8] not in _BY_GRAB and packet[1] not in _TO_CHILD_OR_POINTER
        self._moved = self._moved or gone or left
        if kind == _FOCUS_OUT and packet[8] == _GRAB:
            self._not_grabbed = False
        if kind == _MAPPING_NOTIFY or (
            kind == self._keyboard_event and packet[1] in {_XKB_NEW_KEYBOARD, _XKB_MAP_CHANGED}
        ):
            self._keymap = None
