"""A keyboard and a clipboard by the desktop's portal, where the desktop lets no program press keys by itself (GNOME, KDE).

org.freedesktop.portal.RemoteDesktop and org.freedesktop.portal.Clipboard. A person allows it once; a token that is kept
then opens later sessions without a question. A session is open while texts come, since the desktop shows that somebody
controls it.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbus_next import Variant

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.portal import SESSION, Portal, PortalFault, PortalMissing, PortalRefused
from coldvoxd.typist.clipboard import LARGEST_BYTES
from coldvoxd.typist.clipboard_loan import Loan
from coldvoxd.typist.errors import Refused
from coldvoxd.typist.polling import until
from coldvoxd.userdirs import base_directories

REMOTE = "org.freedesktop.portal.RemoteDesktop"
CLIPBOARD = "org.freedesktop.portal.Clipboard"
KEYBOARD = 1
UNTIL_REVOKED = 2
"""Of SelectDevices: how long a permission lasts."""
IDLE_S = 30.0
"""A session that nothing was typed by for so long is given back."""
QUESTION_LIMIT_S = 120.0
READ_LIMIT_S = 1.0
KEPT_LIMIT_S = 0.5
"""How long a desktop may take to copy what was put back."""
FOCUS_RETURNS_S = 0.4
"""The desktop's question had the focus; the window that is dictated into gets it back."""
AGAIN = "`coldvox-type --allow` asks for it again"

TEXT_KINDS = ("text/plain;charset=utf-8", "text/plain", "UTF8_STRING")
SECRET_KIND = "x-kde-passwordManagerHint"  # noqa: S105 - a type of content

_LINES = {16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm"}
KEYCODES = {letter: first + place for first, line in _LINES.items() for place, letter in enumerate(line)} | {
    "control": 29, "ctrl": 29, "shift": 42, "alt": 56, "super": 125, "logo": 125, "insert": 110, "return": 28, "tab": 15,
}  # fmt: skip
"""evdev's, from linux/input-event-codes.h: a key's place, which is that of the letter on a US keyboard. Toolkits find
Ctrl+V by it in alphabets that have no V."""


class SessionGone(Refused):
    """The session ended before anything was pressed: another one may serve."""


@dataclass(slots=True)
class Permission:
    """What the person has said, kept from login to login: a token that opens the next session, or that they refused."""

    file: Path
    token: str = ""
    refused: bool = False

    @classmethod
    def kept(cls) -> "Permission":
        """In the user's state directory."""
        permission = cls(base_directories.state_home() / base_directories.APPLICATION / "keyboard.json")
        permission.read()
        return permission

    def read(self) -> None:
        """As it stands now: another of us may have got a newer token."""
        try:
            known = json.loads(self.file.read_text("utf-8"))
            self.token, self.refused = str(known.get("token", "")), known.get("refused") is True
        except (OSError, ValueError, AttributeError):
            self.token, self.refused = "", False

    def keep(self, token: str = "", *, refused: bool = False) -> None:
        self.token, self.refused = token, refused
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.file.with_suffix(".new")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"token": token, "refused": refused}, file)
        part.replace(self.file)


class RemoteDesktop:
    """Opens the portal's session when it is needed, and gives it back when it isn't. Event loop only."""

    def __init__(self, connection: Connection, lock: Path, permission: Permission | None = None) -> None:
        """`lock` is the file that says whose loan the clipboard is."""
        self._connection = connection
        self._lock = lock
        self._permission = permission or Permission.kept()
        self._stack: AsyncExitStack | None = None
        self._open: OpenSession | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def allow(self) -> None:
        """Ask, whatever was answered before. Raises Refused."""
        self._permission.keep()
        async with self.session():
            pass

    @asynccontextmanager
    async def session(self) -> AsyncIterator["OpenSession"]:
        """One that keys can be pressed in. Raises Refused, at once where the person refused before."""
        if self._idle:
            self._idle.cancel()
        if self._closing:
            await self._closing
        if self._open is None or self._open.gone:
            await self.close()
            self._open = await self._begin()
        try:
            yield self._open
        finally:
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._close_soon)

    async def close(self) -> None:
        """Give the session back, the clipboard first."""
        opened, self._open = self._open, None
        if opened:
            await opened.loan.close()
        stack, self._stack = self._stack, None
        if stack:
            await stack.aclose()

    def _close_soon(self) -> None:
        self._closing = asyncio.ensure_future(self.close())

    async def _begin(self) -> "OpenSession":
        self._permission.read()
        if self._permission.refused:
            raise Refused(f"the desktop was told not to let it press keys; {AGAIN}")
        known = bool(self._permission.token)
        stack = AsyncExitStack()
        try:
            portal = await stack.enter_async_context(Portal.opened(self._connection))
            opened = await self._granted(portal, stack)
        except BaseException as error:
            await stack.aclose()
            if isinstance(error, PortalMissing):
                raise Refused("this desktop has no portal for pressing keys (RemoteDesktop)") from error
            if isinstance(error, PortalRefused):
                self._permission.keep(refused=True)
                await asyncio.sleep(FOCUS_RETURNS_S)
                raise Refused(f"you did not allow it to press keys; {AGAIN}") from error
            if isinstance(error, PortalFault):
                raise Refused(f"the desktop's portal failed: {error}") from error
            raise
        self._stack = stack
        await opened.tap("shift")  # GNOME's shell loses the first key of a session
        if not known:
            await asyncio.sleep(FOCUS_RETURNS_S)
        return opened

    async def _granted(self, portal: Portal, stack: AsyncExitStack) -> "OpenSession":
        path = await portal.create_session(REMOTE)
        stack.push_async_callback(portal.close_session, path)
        opened = OpenSession(portal, path, self._lock)
        opened.listen(stack)
        options = {"types": Variant("u", KEYBOARD), "persist_mode": Variant("u", UNTIL_REVOKED)}
        if self._permission.token:
            options["restore_token"] = Variant("s", self._permission.token)
        await portal.request(REMOTE, "SelectDevices", "oa{sv}", path, options=options, limit_s=QUESTION_LIMIT_S)
        with suppress(PortalMissing):
            await portal.call(CLIPBOARD, "RequestClipboard", "oa{sv}", path, {})
        granted = await portal.request(REMOTE, "Start", "osa{sv}", path, "", options={}, limit_s=QUESTION_LIMIT_S)
        self._permission.keep(str(granted.get("restore_token", "")))
        if not int(granted.get("devices", 0)) & KEYBOARD:
            raise PortalRefused("no keyboard was granted")
        opened.has_clipboard = bool(granted.get("clipboard_enabled", False))
        return opened


class OpenSession:
    """A session that a person has allowed: keys, and mostly the clipboard."""

    def __init__(self, portal: Portal, path: str, lock: Path) -> None:
        self._portal = portal
        self._path = path
        self.loan = Loan(self, lock)
        """Of the clipboard, where the session has it."""
        self.gone = False
        """The desktop or the portal has ended it."""
        self.has_clipboard = False
        self._kinds: tuple[str, ...] = ()
        """What is in the clipboard, while it is somebody else's."""
        self._ours: Content | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, stack: AsyncExitStack) -> None:
        """For what the desktop tells of this session, until the stack ends."""
        portal = self._portal
        stack.enter_context(portal.listening(self._path, SESSION, "Closed", lambda _: self._end()))
        stack.enter_context(portal.when_gone(self._end))
        desktop = "/org/freedesktop/portal/desktop"
        stack.enter_context(portal.listening(desktop, CLIPBOARD, "SelectionOwnerChanged", self._changed))
        stack.enter_context(portal.listening(desktop, CLIPBOARD, "SelectionTransfer", self._wanted))

    async def tap(self, chord: str) -> None:
        """Press and let go of keys, as `ctrl+shift+v`. Raises Refused."""
        names = chord.lower().split("+")
        unknown = [name for name in names if name not in KEYCODES]
        if unknown:
            raise Refused(
                f"{unknown[0]} is no key that can be pressed by the portal: use another chord, as shift+Insert"
            )
        codes = [KEYCODES[name] for name in names]
        try:
            for code in codes:
                await self._key(code, down=True)
        except PortalFault as error:
            raise Refused(f"the desktop's portal pressed no key: {error}") from error
        finally:
            for code in reversed(codes):
                with suppress(PortalFault):
                    await self._key(code, down=False)

    async def offer(self, text: str) -> "Content":
        """The clipboard holds `text` when this returns. Raises SessionGone."""
        offer = Content(self, dict.fromkeys(TEXT_KINDS, text.encode()) | {SECRET_KIND: b"secret"})
        try:
            await self._hold(offer)
        except PortalFault as error:
            self.gone = True
            raise SessionGone(f"the clipboard can't be used: {error}") from error
        return offer

    async def put_back(self, saved: Mapping[str, bytes]) -> None:
        """The desktop takes a copy at once, so that it outlives this session. Raises Refused."""
        await self._keep(Content(self, saved))

    async def leave(self, text: str, saved: Mapping[str, bytes]) -> None:
        """The clipboard keeps `text`. Raises Refused."""
        del saved
        await self._keep(Content(self, dict.fromkeys(TEXT_KINDS, text.encode())))

    def holds(self, content: "Content") -> bool:
        """Nothing newer is in the clipboard."""
        return self._ours is content and not self.gone

    async def save(self) -> Mapping[str, bytes]:
        """What is in the clipboard, by kind. Refused where it can't be saved: it would be lost."""
        if self._ours is not None:
            return self._ours.by_kind
        saved: dict[str, bytes] = {}
        for kind in self._kinds:
            content = await self._read(kind)
            if content is not None:
                saved[kind] = content
            if sum(map(len, saved.values())) > LARGEST_BYTES:
                raise Refused(f"the clipboard holds more than {LARGEST_BYTES >> 20} MB, which can't be put back")
        if self._kinds and not saved:
            raise Refused("what is in the clipboard can't be read, so it could not be put back")
        return saved

    async def _read(self, kind: str) -> bytes | None:
        """None where its owner doesn't give it."""
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
        """Offer it; with no kinds at all the clipboard is empty."""
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

    def _changed(self, body: list[Any]) -> None:
        path, told = body
        if path != self._path:
            return
        owner = told.get("session_is_owner")
        if owner is not None and owner.value:
            return
        self._ours = None
        kinds = told["mime_types"].value if "mime_types" in told else ()
        # GNOME puts an array into a structure of its own.
        self._kinds = tuple(_flat(kinds))

    def _wanted(self, body: list[Any]) -> None:
        """Somebody wants what we hold."""
        path, kind, serial = body
        if path == self._path:
            task = asyncio.ensure_future(self._give(str(kind), int(serial), self._ours))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _give(self, kind: str, serial: int, content: "Content | None") -> None:
        given = content.by_kind.get(kind) if content else None
        try:
            if given is not None:
                descriptor = await self._portal.descriptor(CLIPBOARD, "SelectionWrite", "ou", self._path, serial)
                await asyncio.to_thread(_write, descriptor, given)
            await self._portal.call(CLIPBOARD, "SelectionWriteDone", "oub", self._path, serial, given is not None)
        except (PortalFault, OSError):
            return  # whoever wanted it has gone
        if content and given is not None:
            content.fetched_s.append(asyncio.get_running_loop().time())

    async def _key(self, code: int, *, down: bool) -> None:
        await self._portal.call(REMOTE, "NotifyKeyboardKeycode", "oa{sv}iu", self._path, {}, code, int(down))

    def _end(self) -> None:
        self.gone = True


@dataclass(slots=True, eq=False)
class Content:
    """What we hold in the clipboard, and when it was fetched."""

    session: OpenSession
    by_kind: Mapping[str, bytes]
    fetched_s: list[float] = field(default_factory=list)

    @property
    def replaced(self) -> bool:
        """Something newer is in the clipboard, or the session has ended."""
        return not self.session.holds(self)

    async def end(self) -> None:
        """Nothing has to be ended: the clipboard is emptied by what is put back."""


def _flat(kinds: Iterable[Any]) -> Iterable[str]:
    for kind in kinds:
        if isinstance(kind, str):
            yield kind
        else:
            yield from _flat(kind)


def _write(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(content)
