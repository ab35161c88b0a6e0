"""Keyboard and clipboard by the portal of desktops that let programs press keys only through it (GNOME, KDE).

It uses org.freedesktop.portal.RemoteDesktop and org.freedesktop.portal.Clipboard. The user allows it once; a stored
token then opens later sessions without a question. A session is open only while texts arrive, since the desktop shows
that it is controlled remotely. A desktop that gives no token would ask at each session, so the session stays open there.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import Variant
from coldvoxd.bus.peers.portal import CALL_LIMIT_S, Portal, PortalFault, PortalMissing, PortalRefused, PortalSilent
from coldvoxd.core.text_formats import json_value
from coldvoxd.typist.clipboard_loan import Verdict
from coldvoxd.typist.errors import Refused
from coldvoxd.typist.portal_session import CLIPBOARD, REMOTE, OpenSession
from coldvoxd.userdirs import base_directories

KEYBOARD = 1
UNTIL_REVOKED = 2
"""SelectDevices: how long a permission lasts."""
IDLE_S = 30.0
"""Seconds without typing after which the session is closed."""
SESSION_LIMIT_S = 2.5
"""Seconds to wait for a reply of a portal that runs; one that is stale or hangs never replies."""
QUESTION_LIMIT_S = 120.0
FOCUS_RETURNS_S = 0.4
"""Seconds to wait after the desktop's question, which had the focus, until the target window has it again."""
AGAIN = "run `coldvox-type --allow` to be asked again"


@dataclass(slots=True)
class Permission:
    """The user's answer, kept across logins: a token that opens the next session, or a refusal."""

    file: Path
    token: str = ""
    refused: bool = False

    @classmethod
    def kept(cls) -> "Permission":
        """Read the permission from the user's state directory."""
        permission = cls(base_directories.state_home() / base_directories.APPLICATION / "keyboard.json")
        permission.read()
        return permission

    def read(self) -> None:
        """Read the file again: another process of ours may have received a newer token."""
        try:
            known = json_value(self.file.read_text("utf-8"))
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
    """Opens the portal's session when it is needed, and closes it when idle. Event loop only."""

    def __init__(
        self, connection: Connection, lock: Path, permission: Permission | None = None, idle_s: float = IDLE_S
    ) -> None:
        """`lock` is the lock file of the clipboard loan."""
        self._idle_s = idle_s
        self._connection = connection
        self._lock = lock
        self._permission = permission or Permission.kept()
        self._stack: AsyncExitStack | None = None
        self._open: OpenSession | None = None
        self._limit_s = CALL_LIMIT_S
        """Seconds to wait for each reply while a session is opened: the first call may start the portal."""
        self._idle: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def allow(self) -> None:
        """Ask the user, whatever the earlier answer. Raises Refused."""
        self._permission.keep()
        async with self.session():
            pass

    @asynccontextmanager
    async def session(self) -> AsyncIterator[OpenSession]:
        """Yield a session in which keys can be pressed.

        Raises Refused, without a question if the user refused before.
        """
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
            # Without a token for the next session, closing this one would bring the question again.
            if self._permission.token:
                self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._close_soon)

    def late(self, text: str) -> asyncio.Future[Verdict] | None:
        """Return the verdict to come if `text` is in the session's clipboard, since no window has fetched it in time."""
        return self._open.loan.late(text) if self._open else None

    async def close(self) -> None:
        """Close the session, after restoring the clipboard."""
        opened, self._open = self._open, None
        if opened:
            await opened.loan.close()
        stack, self._stack = self._stack, None
        if stack:
            await stack.aclose()

    def _close_soon(self) -> None:
        self._closing = asyncio.ensure_future(self.close())

    async def _begin(self) -> OpenSession:
        self._permission.read()
        if self._permission.refused:
            raise Refused(f"the permission to press keys was denied; {AGAIN}")
        known = bool(self._permission.token)
        stack = AsyncExitStack()
        try:
            portal = await stack.enter_async_context(Portal.opened(self._connection, self._limit_s))
            opened = await self._granted(portal, stack)
        except BaseException as error:
            await stack.aclose()
            if isinstance(error, PortalSilent):
                self._limit_s = SESSION_LIMIT_S
            if isinstance(error, PortalMissing):
                raise Refused("this desktop has no portal for pressing keys (RemoteDesktop)") from error
            if isinstance(error, PortalRefused):
                self._permission.keep(refused=True)
                await asyncio.sleep(FOCUS_RETURNS_S)
                raise Refused(f"you denied the permission to press keys; {AGAIN}") from error
            if isinstance(error, PortalFault):
                raise Refused(f"the desktop's portal failed: {error}") from error
            raise
        self._stack = stack
        self._limit_s = portal.limit_s = SESSION_LIMIT_S
        await opened.tap("shift")  # GNOME Shell loses the first key of a session
        if not known:
            await asyncio.sleep(FOCUS_RETURNS_S)
        return opened

    async def _granted(self, portal: Portal, stack: AsyncExitStack) -> OpenSession:
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
