"""An open RemoteDesktop session of the desktop's portal: pressed keys, and the clipboard in both directions.

Interfaces: org.freedesktop.portal.RemoteDesktop and org.freedesktop.portal.Clipboard.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coldvoxd.bus.library import Variant
from coldvoxd.bus.peers.portal import SESSION, Portal, PortalFault, PortalSilent
from coldvoxd.typist.clipboard_content import LARGEST_BYTES
from coldvoxd.typist.clipboard_loan import Loan, Offer
from coldvoxd.typist.errors import Interrupted, Refused
from coldvoxd.typist.polling import until

REMOTE = "org.freedesktop.portal.RemoteDesktop"
CLIPBOARD = "org.freedesktop.portal.Clipboard"
READ_LIMIT_S = 1.0
KEPT_LIMIT_S = 0.5
"""Seconds that a desktop may take to copy the restored content."""
TEXT_KINDS = ("text/plain;charset=utf-8", "text/plain", "UTF8_STRING")
SECRET_KIND = "x-kde-passwordManagerHint"  # noqa: S105 - a content type

_LINES = {16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm"}
KEYCODES = {letter: first + place for first, line in _LINES.items() for place, letter in enumerate(line)} | {
    "control": 29, "ctrl": 29, "shift": 42, "alt": 56, "super": 125, "logo": 125, "insert": 110, "return": 28, "tab": 15,
}  # fmt: skip
"""evdev codes from linux/input-event-codes.h, by the letter at the key's place on a US keyboard. Toolkits use them to
find Ctrl+V in alphabets that have no V."""


class SessionGone(Refused):
    """The session ended before a key was pressed: another one may work."""


class OpenSession:
    """A session that the user has allowed: keys, and usually the clipboard."""

    def __init__(self, portal: Portal, path: str, lock: Path) -> None:
        self._portal = portal
        self._path = path
        self.loan = Loan(self, lock)
        """Loan of the clipboard, if the session has it."""
        self.gone = False
        """Whether the desktop or the portal has ended the session."""
        self.has_clipboard = False
        self._kinds: tuple[str, ...] = ()
        """Types of the clipboard's content, while another client owns it."""
        self._ours: Content | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_primary(self) -> bool:
        return False

    def listen(self, stack: AsyncExitStack) -> None:
        """Listen for the portal's signals about this session, until the stack ends."""
        portal = self._portal
        stack.enter_context(portal.listening(self._path, SESSION, "Closed", lambda _: self._end()))
        stack.enter_context(portal.when_gone(self._end))
        desktop = "/org/freedesktop/portal/desktop"
        stack.enter_context(portal.listening(desktop, CLIPBOARD, "SelectionOwnerChanged", self._on_owner_changed))
        stack.enter_context(portal.listening(desktop, CLIPBOARD, "SelectionTransfer", self._on_transfer))

    async def tap(self, chord: str) -> None:
        """Press and release the keys of a chord such as `ctrl+shift+v`.

        Raises Refused if the last key was not pressed, and Interrupted if it may have been.
        """
        names = chord.lower().split("+")
        unknown = [name for name in names if name not in KEYCODES]
        if unknown:
            raise Refused(
                f"{unknown[0]} is not a key that the portal can press: use another chord, such as shift+Insert"
            )
        codes = [KEYCODES[name] for name in names]
        pressed: list[int] = []
        try:
            for code in codes:
                pressed.append(code)
                await self._key(code, down=True)
            for code in reversed(codes):
                await self._key(code, down=False)
        except PortalFault as error:
            self.gone = True
            # Calls that a portal carries out late must leave no key pressed.
            for code in reversed(pressed):
                with suppress(PortalFault):
                    self._portal.tell(REMOTE, "NotifyKeyboardKeycode", "oa{sv}iu", self._path, {}, code, 0)
            if isinstance(error, PortalSilent) and pressed[-1] == codes[-1]:
                raise Interrupted(str(error)) from error
            raise SessionGone(f"the desktop's portal pressed no key: {error}") from error

    async def offer(self, text: str) -> "Content":
        """Put `text` into the clipboard; it is there when this returns. Raises SessionGone."""
        offer = Content(self, dict.fromkeys(TEXT_KINDS, text.encode()) | {SECRET_KIND: b"secret"})
        try:
            await self._hold(offer)
        except PortalFault as error:
            self.gone = True
            raise SessionGone(f"the clipboard cannot be used: {error}") from error
        return offer

    async def has(self, text: str) -> bool:
        """Return whether another program offers this text: unknown here, so no."""
        del text
        return False

    async def put_back(self, saved: Mapping[str, bytes], offer: Offer | None) -> None:
        """Restore what was saved. The desktop copies it at once, so that it outlives this session. Raises Refused."""
        del offer
        await self._keep(Content(self, saved))

    async def leave(self, text: str, saved: Mapping[str, bytes], offer: Offer) -> None:
        """Leave `text` in the clipboard. Raises Refused."""
        del saved, offer
        await self._keep(Content(self, dict.fromkeys(TEXT_KINDS, text.encode())))

    def holds(self, content: "Content") -> bool:
        """Return whether `content` is the newest in the clipboard."""
        return self._ours is content and not self.gone

    async def save(self) -> Mapping[str, bytes]:
        """Return the clipboard's content by type. Raises Refused if it can't be saved, since it would be lost."""
        if self._ours is not None:
            return self._ours.by_kind
        saved: dict[str, bytes] = {}
        for kind in self._kinds:
            content = await self._read(kind)
            if content is not None:
                saved[kind] = content
            if sum(map(len, saved.values())) > LARGEST_BYTES:
                raise Refused(f"the clipboard holds more than {LARGEST_BYTES >> 20} MB, which cannot be restored")
        if self._kinds and not saved:
            raise Refused("the content of the clipboard cannot be read, so it could not be restored")
        return saved

    async def _read(self, kind: str) -> bytes | None:
        """Return the content of this type; None if its owner doesn't provide it."""
        try:
            descriptor = await self._portal.descriptor(CLIPBOARD, "SelectionRead", "os", self._path, kind)
        except PortalFault:
            return None
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
        )
        content = bytearray()
        try:
            while True:
                async with asyncio.timeout(READ_LIMIT_S):
                    part = await reader.read(1 << 16)
                content += part
                if not part or len(content) > LARGEST_BYTES:
                    return bytes(content)
        except TimeoutError:
            return None
        finally:
            transport.close()

    async def _hold(self, content: "Content") -> None:
        """Offer the content; without any types the clipboard is empty."""
        self._ours = content
        kinds = {"mime_types": Variant("as", list(content.by_kind))}
        await self._portal.call(CLIPBOARD, "SetSelection", "oa{sv}", self._path, kinds)

    async def _keep(self, content: "Content") -> None:
        try:
            await self._hold(content)
        except PortalFault as error:
            raise Refused(f"the desktop's portal failed: {error}") from error
        if content.by_kind:
            await until(lambda: bool(content.fetched_s), KEPT_LIMIT_S)

    def _on_owner_changed(self, body: list[Any]) -> None:
        path, details = body
        if path != self._path:
            return
        owner = details.get("session_is_owner")
        if owner is not None and owner.value:
            return
        self._ours = None
        kinds = details["mime_types"].value if "mime_types" in details else ()
        # GNOME wraps the array in a structure.
        self._kinds = tuple(_flat(kinds))

    def _on_transfer(self, body: list[Any]) -> None:
        """Serve a client's request for our content."""
        path, kind, serial = body
        if path == self._path:
            task = asyncio.ensure_future(self._serve(str(kind), int(serial), self._ours))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, kind: str, serial: int, content: "Content | None") -> None:
        given = content.by_kind.get(kind) if content else None
        try:
            if given is not None:
                descriptor = await self._portal.descriptor(CLIPBOARD, "SelectionWrite", "ou", self._path, serial)
                await asyncio.to_thread(_write, descriptor, given)
            await self._portal.call(CLIPBOARD, "SelectionWriteDone", "oub", self._path, serial, given is not None)
        except (PortalFault, OSError):
            return  # the requesting client is gone
        if content and given is not None:
            content.fetched_s.append(asyncio.get_running_loop().time())

    async def _key(self, code: int, *, down: bool) -> None:
        await self._portal.call(REMOTE, "NotifyKeyboardKeycode", "oa{sv}iu", self._path, {}, code, int(down))

    def _end(self) -> None:
        self.gone = True


@dataclass(slots=True, eq=False)
class Content:
    """Our content in the clipboard, and when it was fetched."""

    session: OpenSession
    by_kind: Mapping[str, bytes]
    fetched_s: list[float] = field(default_factory=list)

    @property
    def replaced(self) -> bool:
        """Whether newer content is in the clipboard, or the session has ended."""
        return not self.session.holds(self)

    async def end(self) -> None:
        """Do nothing: restoring the previous content replaces the offer."""


def _flat(kinds: Iterable[Any]) -> Iterable[str]:
    for kind in kinds:
        if isinstance(kind, str):
            yield kind
        else:
            yield from _flat(kind)


def _write(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(content)
