"""A desktop's portal on a private bus: requests, sessions, a keyboard, a clipboard, shortcuts, and a user who answers.

It follows the protocol of org.freedesktop.portal.*: a request's path, its response later, a session that can be closed,
tokens that are valid for one session. A window has the focus, into which Ctrl+V pastes.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import Message, MessageFlag, Variant
from coldvoxd.bus.peers.portal import CANCELLED, GRANTED, NAME, PATH, REQUEST, SESSION

PREFIX = "org.freedesktop.portal."
CONTROL, V, INSERT, SHIFT = 29, 47, 110, 42


class _Served(Connection):
    """A connection whose calls a message handler answers; the product's own refuses calls of unknown methods unread."""

    def _interface_of(self, call: Message) -> str:
        return str(call.interface)


class PortalDesktop:
    """The portal. Use `async with PortalDesktop(address) as desktop`; its fields record the requests."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.answers: list[int | None] = []
        """The user's answers to the next questions: GRANTED, CANCELLED, or None for no answer; granted if the list is
        empty."""
        self.questions = 0
        """Number of questions to the user."""
        self.clipboard_allowed = True
        self.takes_pastes = True
        self.hangs = False
        """No call is answered any more."""
        self.stale = False
        """Keys are refused in the sessions that are open, as after a suspend."""
        self.gives_tokens = True
        self.fetches_again_s = 0.0
        """Seconds after which the window fetches a paste again, as Chromium does; 0 for never."""
        self.reads_every_s = 0.0
        """Interval in seconds at which a program polls the clipboard while a session holds it; 0 for never."""
        self.window = ""
        """Text pasted into the focused window."""
        self.clipboard: dict[str, bytes] = {}
        self.closed_requests: list[str] = []
        self.sessions: dict[str, str] = {}
        """Paths of open sessions, and their owners."""
        self.tokens: set[str] = set()
        self.shortcuts: dict[str, str] = {}
        """Description of each shortcut, as given by the program."""
        self.unbound: set[str] | None = set()
        """Shortcuts for which the user chooses no key; None if the answer has no list at all."""
        self.applications: list[str] = []
        self.pasted_s: list[float] = []
        """When each paste chord was pressed, by the monotonic clock."""
        self._down: list[int] = []
        self._owner = ""
        """The session that holds the clipboard."""
        self._serial = 0
        self._transfers: dict[int, asyncio.Future[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._bus = await _Served.open(self._address)
        self._bus.objects.add_handler(self._receive)
        await self._bus.ask_bus("RequestName", "su", NAME, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self) -> None:
        """End like a portal that crashes."""
        for task in self._tasks:
            task.cancel()
        await self._bus.aclose()

    def close_sessions(self) -> None:
        """Close all sessions, as the desktop's stop button does."""
        for path, owner in list(self.sessions.items()):
            self._signal(path, SESSION, "Closed", "a{sv}", {}, to=owner)
            del self.sessions[path]

    def press(self, shortcut: str, *, down: bool, timestamp_ms: int | None = None) -> None:
        """Press a bound shortcut of a session; without a timestamp, the current time is used."""
        if timestamp_ms is None:
            timestamp_ms = time.monotonic_ns() // 1_000_000
        member = "Activated" if down else "Deactivated"
        for path, owner in self.sessions.items():
            self._signal(
                PATH, f"{PREFIX}GlobalShortcuts", member, "osta{sv}", path, shortcut, timestamp_ms, {}, to=owner
            )  # fmt: skip

    def _receive(self, message: Message) -> Message | bool:
        if not message.path.startswith(PATH):
            return False
        if self.hangs:
            return True
        method: Callable[..., Any] | None = getattr(self, f"_on_{message.member}", None)
        if method is None:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", str(message.member))
        task = asyncio.ensure_future(self._answer(message, method))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, message: Message, method: Callable[..., Awaitable[Message]]) -> None:
        try:
            reply = await method(message, *message.body)
        except KeyError as error:
            reply = Message.new_error(message, "org.freedesktop.portal.Error.NotFound", str(error))
        if not message.flags & MessageFlag.NO_REPLY_EXPECTED:
            sent = self._bus.send(reply)
            sent.add_done_callback(lambda _: _close(reply.unix_fds))

    async def _respond(self, message: Message, results: dict[str, Variant], *, asks: bool = False) -> Message:
        options = message.body[-1]
        sender = str(message.sender)
        path = f"{PATH}/request/{sender.lstrip(':').replace('.', '_')}/{options['handle_token'].value}"
        answer: int | None = GRANTED
        if asks:
            self.questions += 1
            answer = self.answers.pop(0) if self.answers else GRANTED
        if answer is not None:
            given = results if answer == GRANTED else {}
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: self._signal(path, REQUEST, "Response", "ua{sv}", answer, given, to=sender))
        return Message.new_method_return(message, "o", [path])

    async def _on_Get(self, message: Message, *_: str) -> Message:  # noqa: N802 - the bus's names
        return Message.new_method_return(message, "v", [Variant("u", 2)])

    async def _on_CreateSession(self, message: Message, options: dict[str, Variant]) -> Message:  # noqa: N802
        sender = str(message.sender)
        token = options["session_handle_token"].value
        path = f"{PATH}/session/{sender.lstrip(':').replace('.', '_')}/{token}"
        self.sessions[path] = sender
        return await self._respond(message, {"session_handle": Variant("s", path)})

    async def _on_SelectDevices(self, message: Message, session: str, options: dict[str, Variant]) -> Message:  # noqa: N802
        assert self.sessions[session]
        token = options.get("restore_token")
        self._restored = bool(token) and token is not None and token.value in self.tokens
        if token is not None:
            self.tokens.discard(token.value)  # valid for one session
        return await self._respond(message, {})

    async def _on_RequestClipboard(self, message: Message, session: str, _: object) -> Message:  # noqa: N802
        assert self.sessions[session]
        return Message.new_method_return(message)

    async def _on_Start(self, message: Message, session: str, _: str, __: object) -> Message:  # noqa: N802
        assert self.sessions[session]
        token = f"token-{len(session)}-{id(message)}"
        self.stale = False
        results = {
            "devices": Variant("u", 1),
            "clipboard_enabled": Variant("b", self.clipboard_allowed),
        }
        if self.gives_tokens:
            self.tokens.add(token)
            results["restore_token"] = Variant("s", token)
        reply = await self._respond(message, results, asks=not self._restored)
        if self.clipboard:
            self._announce_owner(session)
        return reply

    async def _on_Register(self, message: Message, application: str, _: object) -> Message:  # noqa: N802
        self.applications.append(application)
        return Message.new_method_return(message)

    async def _on_BindShortcuts(  # noqa: N802
        self, message: Message, session: str, wanted: list[tuple[str, dict[str, Variant]]], _: str, __: object
    ) -> Message:
        assert self.sessions[session]
        self.shortcuts = {name: str(about["description"].value) for name, about in wanted}
        if self.unbound is None:
            return await self._respond(message, {}, asks=True)
        chosen = [name for name in self.shortcuts if name not in self.unbound]
        bound = [[name, {"trigger_description": Variant("s", f"Press {name}")}] for name in chosen]
        return await self._respond(message, {"shortcuts": Variant("a(sa{sv})", bound)}, asks=True)

    async def _on_Close(self, message: Message) -> Message:  # noqa: N802
        path = str(message.path)
        if "/request/" in path:
            self.closed_requests.append(path)
        else:
            del self.sessions[path]
        return Message.new_method_return(message)

    async def _on_NotifyKeyboardKeycode(  # noqa: N802
        self, message: Message, session: str, _: object, code: int, state: int
    ) -> Message:
        if self.stale:
            return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "Invalid session")
        assert self.sessions[session]
        if state:
            self._down.append(code)
            pastes = self._down in ([CONTROL, V], [SHIFT, INSERT])
            if pastes:
                self.pasted_s.append(time.monotonic())
            if pastes and self.takes_pastes:
                task = asyncio.ensure_future(self._paste())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        else:
            self._down.remove(code)
        return Message.new_method_return(message)

    async def _on_SetSelection(self, message: Message, session: str, options: dict[str, Variant]) -> Message:  # noqa: N802
        kinds = options["mime_types"].value
        first = not self._owner
        self._owner, self.clipboard = session, {}
        self._announce_owner(session, kinds)
        for kind in kinds[:1]:  # like a desktop that keeps the content of programs that end
            task = asyncio.ensure_future(self._keep(kind))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if first and self.reads_every_s:
            self._tasks.add(asyncio.ensure_future(self._poll_clipboard(kinds[0])))
        return Message.new_method_return(message)

    async def _on_SelectionRead(self, message: Message, session: str, kind: str) -> Message:  # noqa: N802
        assert self.sessions[session]
        reader, writer = os.pipe()
        content = self.clipboard[kind]

        def fill() -> None:
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(content)

        asyncio.get_running_loop().run_in_executor(None, fill)
        return Message.new_method_return(message, "h", [0], unix_fds=[reader])

    async def _on_SelectionWrite(self, message: Message, session: str, serial: int) -> Message:  # noqa: N802
        assert self.sessions[session]
        reader, writer = os.pipe()
        asyncio.get_running_loop().run_in_executor(None, _read_into, reader, self._transfers[serial], self._bus._loop)
        return Message.new_method_return(message, "h", [0], unix_fds=[writer])

    async def _on_SelectionWriteDone(self, message: Message, session: str, serial: int, done: bool) -> Message:  # noqa: N802
        assert self.sessions[session]
        if not done:
            self._transfers[serial].cancel()
        return Message.new_method_return(message)

    async def _paste(self) -> None:
        kind = "text/plain;charset=utf-8"
        content = self.clipboard[kind] if not self._owner else await self._transfer(kind)
        if self.fetches_again_s:
            await asyncio.sleep(self.fetches_again_s)
            content = self.clipboard[kind] if not self._owner else await self._transfer(kind)
        self.window += content.decode()

    async def _poll_clipboard(self, kind: str) -> None:
        while self._owner in self.sessions:
            await asyncio.sleep(self.reads_every_s)
            await self._transfer(kind)

    async def _keep(self, kind: str) -> None:
        owner = self._owner
        content = await self._transfer(kind)
        if self._owner == owner:
            self.clipboard = {kind: content}

    async def _transfer(self, kind: str) -> bytes:
        self._serial += 1
        wanted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transfers[self._serial] = wanted
        owner = self.sessions[self._owner]
        self._signal(
            PATH, f"{PREFIX}Clipboard", "SelectionTransfer", "osu", self._owner, kind, self._serial, to=owner
        )  # fmt: skip
        return await wanted

    def _announce_owner(self, session: str, kinds: list[str] | None = None) -> None:
        details = {
            "mime_types": Variant("(as)", [list(self.clipboard) if kinds is None else kinds]),  # as in GNOME
            "session_is_owner": Variant("b", kinds is not None),
        }
        self._signal(
            PATH, f"{PREFIX}Clipboard", "SelectionOwnerChanged", "oa{sv}", session, details, to=self.sessions[session]
        )  # fmt: skip

    def _signal(self, path: str, interface: str, member: str, signature: str, *body: object, to: str) -> None:
        message = Message.new_signal(path, interface, member, signature, list(body))
        message.destination = to
        self._bus.send(message)


def _read_into(reader: int, wanted: "asyncio.Future[bytes]", loop: asyncio.AbstractEventLoop) -> None:
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()

    def deliver() -> None:
        if not wanted.done():
            wanted.set_result(content)

    loop.call_soon_threadsafe(deliver)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


NO = CANCELLED
