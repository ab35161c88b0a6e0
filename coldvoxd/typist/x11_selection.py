"""Owns a selection of X11, as the Inter-Client Communication Conventions Manual, chapter 2, describes it."""

import asyncio
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from coldvoxd.typist.clipboard_content import Content
from coldvoxd.typist.errors import Refused
from coldvoxd.typist.settings import Selection
from coldvoxd.typist.x11_wire import XWire, padded

FINISH_S = 10.0
"""Seconds without progress after which the transfer of content that was replaced meanwhile is given up."""
PART_BYTES = 1 << 16
"""Larger content is sent in parts of this size (INCR), well below the limit of a request."""

_CREATE_WINDOW, _CHANGE_ATTRIBUTES, _CHANGE_PROPERTY, _GET_PROPERTY = 1, 2, 18, 20
_SET_OWNER, _GET_OWNER, _SEND_EVENT = 22, 23, 25
_ERROR, _DESTROYED, _PROPERTY, _CLEAR, _REQUEST, _NOTIFY = 0, 17, 28, 29, 30, 31
"""Packets that arrive and, the last, that is sent."""
_REPLACE, _APPEND = 0, 2
_DELETED = 1
"""State of a property."""
_INPUT_ONLY, _EVENT_MASK, _PROPERTY_CHANGE, _STRUCTURE = 2, 1 << 11, 1 << 22, 1 << 17
_PRIMARY, _ATOM, _INTEGER = 1, 4, 19
"""Predefined atoms."""


async def own(
    content: Content,
    selection: Selection,
    environment: Mapping[str, str],
    wanted: Callable[[], bool],
    held: Callable[[], None],
) -> None:
    """Put `content` into the selection if it is still `wanted`, call `held`, and return once it was replaced.

    Raises Refused if the server does not respond or another program gets the selection.
    """
    wire = await XWire.connect(environment)
    try:
        owned = _Owned(wire, content)
        await owned.prepare()
        if not wanted():
            return
        await owned.take(selection)
        held()
        with suppress(Refused):  # the server has ended, and the selection with it
            await owned.serve()
            # The server drops the last requests of a connection that is closed before all its events are read.
            await wire.atom("INCR")
    finally:
        wire.close()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A program's request for the content."""

    time: int
    requestor: int
    selection: int
    target: int
    property: int

    @classmethod
    def parsed(cls, event: bytes) -> "_Asked":
        time, _, requestor, selection, target, name = struct.unpack_from("<6I", event, 4)
        return cls(time, requestor, selection, target, name or target)  # obsolete clients name no property


class _Owned:
    """A selection that this process owns."""

    def __init__(self, wire: XWire, content: Content) -> None:
        self._wire = wire
        self._content = content
        self._window = wire.new_identifier()
        self._atoms: dict[str, int] = {}
        self._kinds: dict[int, str] = {}
        """Content types by atom."""
        self._since = 0
        """The server's time at which this process got the selection."""
        self._transfers: dict[tuple[int, int], tuple[int, memoryview]] = {}
        """Type and rest of content on its way in parts, by window and property."""

    async def prepare(self) -> None:
        """Make a window, and atoms for all types."""
        for name in ("TARGETS", "TIMESTAMP", "MULTIPLE", "ATOM_PAIR", "INCR", "CLIPBOARD", "UTF8_STRING"):
            self._atoms[name] = await self._wire.atom(name)
        for kind in self._content:
            self._kinds[await self._wire.atom(kind)] = kind
        place = struct.pack("<IIhhHHHHIII", self._window, self._wire.root, 0, 0, 1, 1, 0, _INPUT_ONLY, 0, _EVENT_MASK, _PROPERTY_CHANGE)  # fmt: skip
        self._wire.send(_CREATE_WINDOW, 0, place)
        # The time of a change that changes nothing is the server's time.
        self._change(self._window, self._atoms["TIMESTAMP"], _INTEGER, 32, b"", mode=_APPEND)
        while (event := await self._wire.event())[0] & 0x7F != _PROPERTY:
            pass
        self._since = struct.unpack_from("<I", event, 12)[0]

    async def take(self, selection: Selection) -> None:
        name = _PRIMARY if selection is Selection.PRIMARY else self._atoms["CLIPBOARD"]
        self._wire.send(_SET_OWNER, 0, struct.pack("<III", self._window, name, self._since))
        reply = await self._wire.ask(_GET_OWNER, 0, struct.pack("<I", name))
        if struct.unpack_from("<I", reply, 8)[0] != self._window:
            raise Refused("another program has the clipboard")

    async def serve(self) -> None:
        """Serve requests until the selection has newer content."""
        replaced = False
        while not replaced or self._transfers:
            try:
                async with asyncio.timeout(FINISH_S if replaced else None):
                    event = await self._wire.event()
            except TimeoutError:
                return
            kind = event[0] & 0x7F
            replaced = replaced or kind == _CLEAR
            if kind == _REQUEST:
                await self._answer(_Asked.parsed(event))
            elif kind == _PROPERTY and event[16] == _DELETED:
                self._send_part(*struct.unpack_from("<II", event, 4))
            elif kind in {_ERROR, _DESTROYED}:
                # An error names the window at the place where this event has that of the mask.
                self._drop(struct.unpack_from("<I", event, 4)[0])

    async def _answer(self, asked: _Asked) -> None:
        if asked.target == self._atoms["MULTIPLE"]:
            done = await self._put_several(asked)
        else:
            done = self._put(asked.requestor, asked.target, asked.property)
        event = struct.pack("<BxHIIIII8x", _NOTIFY, 0, asked.time, asked.requestor, asked.selection, asked.target, asked.property if done else 0)  # fmt: skip
        self._wire.send(_SEND_EVENT, 0, struct.pack("<II", asked.requestor, 0) + event)

    async def _put_several(self, asked: _Asked) -> bool:
        body = struct.pack("<IIIII", asked.requestor, asked.property, 0, 0, PART_BYTES // 4)
        try:
            reply = await self._wire.ask(_GET_PROPERTY, 0, body)
        except Refused:
            return False  # the window is gone, or has no such property
        count = struct.unpack_from("<I", reply, 16)[0] // 2
        pairs = struct.unpack_from(f"<{2 * count}I", reply, 32)
        told: list[int] = []
        for target, name in zip(pairs[::2], pairs[1::2], strict=True):
            told += (target, name if name and self._put(asked.requestor, target, name) else 0)
        self._change(
            asked.requestor, asked.property, self._atoms["ATOM_PAIR"], 32, struct.pack(f"<{len(told)}I", *told)
        )
        return True

    def _put(self, requestor: int, target: int, name: int) -> bool:
        """Put the content of type `target` into a property; return whether there is such a type."""
        if target == self._atoms["TARGETS"]:
            about = [self._atoms[name] for name in ("TARGETS", "TIMESTAMP", "MULTIPLE")]
            targets = [*about, *self._kinds]
            self._change(requestor, name, _ATOM, 32, struct.pack(f"<{len(targets)}I", *targets))
        elif target == self._atoms["TIMESTAMP"]:
            self._change(requestor, name, _INTEGER, 32, struct.pack("<I", self._since))
        elif target in self._kinds:
            kind = self._kinds[target]
            self._put_content(requestor, name, self._atoms["UTF8_STRING"] if kind == "TEXT" else target, kind)
        else:
            return False
        return True

    def _put_content(self, requestor: int, name: int, encoding: int, kind: str) -> None:
        content = self._content[kind]
        if len(content) <= PART_BYTES:
            self._change(requestor, name, encoding, 8, content)
            return
        self._transfers[requestor, name] = encoding, memoryview(content)
        self._watch(requestor, _PROPERTY_CHANGE | _STRUCTURE)
        self._change(requestor, name, self._atoms["INCR"], 32, struct.pack("<I", len(content)))

    def _send_part(self, window: int, name: int) -> None:
        """Send the next part, since the one before was read; an empty one is the end."""
        if (window, name) not in self._transfers:
            return
        encoding, rest = self._transfers[window, name]
        self._change(window, name, encoding, 8, bytes(rest[:PART_BYTES]))
        if rest:
            self._transfers[window, name] = encoding, rest[PART_BYTES:]
            return
        del self._transfers[window, name]
        if all(other != window for other, _ in self._transfers):
            self._watch(window, 0)

    def _drop(self, window: int) -> None:
        for key in [key for key in self._transfers if key[0] == window]:
            del self._transfers[key]

    def _watch(self, window: int, events: int) -> None:
        self._wire.send(_CHANGE_ATTRIBUTES, 0, struct.pack("<III", window, _EVENT_MASK, events))

    def _change(self, window: int, name: int, kind: int, width: int, value: bytes, *, mode: int = _REPLACE) -> None:
        head = struct.pack("<IIIBxxxI", window, name, kind, width, len(value) * 8 // width)
        self._wire.send(_CHANGE_PROPERTY, mode, head + padded(value))
