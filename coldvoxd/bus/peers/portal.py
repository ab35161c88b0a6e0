"""Client of the desktop portals: requests that the user may have to answer, and sessions.

The interfaces are documented at https://flatpak.github.io/xdg-desktop-portal/docs/. Imports nothing heavy.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import DBusError, Message, MessageFlag, Variant
from coldvoxd.bus.signals import Source
from coldvoxd.core.errors import BusUnavailable

NAME = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"
REQUEST = "org.freedesktop.portal.Request"
SESSION = "org.freedesktop.portal.Session"
PROPERTIES = "org.freedesktop.DBus.Properties"
CALL_LIMIT_S = 25.0
"""Seconds to wait for a reply that needs no action of the user; the first call may start the portal."""
CLOSE_LIMIT_S = 1.0
GRANTED, CANCELLED, ENDED = 0, 1, 2
"""Response codes of a request: granted; cancelled by the user; ended by other means."""

Handler = Callable[[list[Any]], None]


class PortalFault(Exception):
    """A portal cannot do what was requested. The message says why."""


class PortalSilent(PortalFault):
    """A portal did not reply in time; the call may still be carried out."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the desktop's portal did not reply within {limit_s:g} s")


class PortalMissing(PortalFault):
    """The desktop has no such portal."""


class PortalRefused(PortalFault):
    """The user denied the request."""


class Portal:
    """The desktop's portals on this connection. Event loop only; use `opened` to create an instance."""

    def __init__(self, connection: Connection, limit_s: float) -> None:
        """Use `opened` to create an instance."""
        self._connection = connection
        self.limit_s = limit_s
        """Seconds to wait for each reply that needs no action of the user."""
        self._handlers: dict[tuple[str, str, str], Handler] = {}
        """Keyed by path, interface and member."""
        self._when_gone: list[Callable[[], None]] = []

    @classmethod
    @asynccontextmanager
    async def opened(cls, connection: Connection, limit_s: float = CALL_LIMIT_S) -> AsyncIterator["Portal"]:
        """Yield a Portal that receives the portals' signals within the context. It waits `limit_s` for each reply."""
        portal, signals = cls(connection, limit_s), connection.signals
        await signals.follow(NAME, portal._owner_changed)
        try:
            subscription = await signals.subscribe(Source(NAME, below=PATH), portal._receive)
            try:
                yield portal
            finally:
                signals.unsubscribe(subscription)
        finally:
            signals.unfollow(NAME, portal._owner_changed)

    async def version(self, interface: str) -> int:
        """Return the version of a portal. Raises PortalMissing if the desktop does not have it."""
        message = _call(PROPERTIES, "Get", "ss", interface, "version")
        found: Variant = await self._ask(message)
        return int(found.value)

    async def call(self, interface: str, member: str, signature: str = "", *body: object) -> Any:
        """Make a call that is answered immediately, and return the first value of the reply. Raises PortalFault."""
        return await self._ask(_call(interface, member, signature, *body))

    async def descriptor(self, interface: str, member: str, signature: str, *body: object) -> int:
        """Make a call and return the file descriptor of the reply, which the caller must close. Raises PortalFault."""
        async with self._answer_in_time():
            return await self._connection.ask_descriptor(_call(interface, member, signature, *body))

    def tell(self, interface: str, member: str, signature: str, *body: object) -> None:
        """Make a call without waiting for its reply. Raises PortalFault if the connection is lost."""
        message = _call(interface, member, signature, *body)
        message.flags |= MessageFlag.NO_REPLY_EXPECTED
        try:
            self._connection.send(message)
        except BusUnavailable as error:
            raise PortalFault(str(error)) from error

    async def request(
        self, interface: str, member: str, signature: str, *body: object, options: Mapping[str, Variant], limit_s: float
    ) -> dict[str, Any]:
        """Make a call that the user may have to answer, with `options` last, and return the results as plain values.

        Raises PortalRefused if the user denies the request. Raises PortalFault for other errors, and if the user does
        not answer within `limit_s` seconds; the dialog is closed then.
        """
        token = _token()
        response: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

        def respond(body: list[Any]) -> None:
            if not response.done():
                response.set_result(body)

        path = f"{PATH}/request/{self._sender}/{token}"
        with self.listening(path, REQUEST, "Response", respond), self.when_gone(lambda: respond([ENDED, {}])):
            await self._ask(
                _call(interface, member, signature, *body, {**options, "handle_token": Variant("s", token)})
            )
            try:
                async with asyncio.timeout(limit_s):
                    code, results = await response
            except TimeoutError:
                with suppress(DBusError, BusUnavailable):
                    await self._connection.ask(_call(REQUEST, "Close", path=path))
                raise PortalFault(f"the desktop's dialog was not answered within {limit_s:.0f} s") from None
        if code == CANCELLED:
            raise PortalRefused("the request was denied in the desktop's dialog")
        if code != GRANTED and not results:  # GNOME 48 returns ENDED together with the keys that it bound
            raise PortalFault("the desktop's portal cancelled the request")
        return {key: value.value for key, value in results.items()}

    async def create_session(self, interface: str) -> str:
        """Create a session of a portal and return its object path. Raises PortalFault."""
        options = {"session_handle_token": Variant("s", _token())}
        granted = await self.request(interface, "CreateSession", "a{sv}", options=options, limit_s=self.limit_s)
        return str(granted["session_handle"])

    async def close_session(self, path: str) -> None:
        """Close a session. Has no effect if it is already closed."""
        with suppress(DBusError, BusUnavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._connection.ask(_call(SESSION, "Close", path=path))

    @contextmanager
    def listening(self, path: str, interface: str, member: str, handler: Handler) -> Iterator[None]:
        """Within the context, pass the values of a signal to `handler`."""
        key = (path, interface, member)
        before = self._handlers.get(key)
        self._handlers[key] = handler
        try:
            yield
        finally:
            del self._handlers[key]
            if before:
                self._handlers[key] = before

    @contextmanager
    def when_gone(self, then: Callable[[], None]) -> Iterator[None]:
        """Within the context, call `then` if the portal's process ends, and with it all sessions."""
        self._when_gone.append(then)
        try:
            yield
        finally:
            self._when_gone.remove(then)

    @property
    def _sender(self) -> str:
        """Our unique name as it appears in the paths of requests and sessions: no colon, dots as underscores."""
        return str(self._connection.unique_name).lstrip(":").replace(".", "_")

    async def _ask(self, message: Message) -> Any:
        async with self._answer_in_time():
            return await self._connection.ask(message)

    @asynccontextmanager
    async def _answer_in_time(self) -> AsyncIterator[None]:
        """Limit the time of a call in the context, and raise PortalFault for its errors."""
        try:
            async with asyncio.timeout(self.limit_s):
                yield
        except TimeoutError:
            raise PortalSilent(self.limit_s) from None
        except DBusError as error:
            raise _fault(error) from error
        except BusUnavailable as error:
            raise PortalFault(str(error)) from error

    def _receive(self, message: Message) -> None:
        if handler := self._handlers.get((message.path, message.interface, message.member)):
            handler(message.body)

    def _owner_changed(self, before: str, _after: str) -> None:
        if before:
            for then in tuple(self._when_gone):
                then()


def _token() -> str:
    """Return an unused name for a request or a session."""
    return f"coldvoxd{secrets.token_hex(8)}"


def _call(interface: str, member: str, signature: str = "", *body: object, path: str = PATH) -> Message:
    return Message(
        destination=NAME, path=path, interface=interface, member=member, signature=signature, body=list(body)
    )


_ABSENT = ("ServiceUnknown", "UnknownMethod", "UnknownInterface", "UnknownObject", "NameHasNoOwner", "UnknownProperty")


def _fault(error: DBusError) -> PortalFault:
    if error.type.startswith("org.freedesktop.DBus.Error") and error.type.rpartition(".")[2] in _ABSENT:
        return PortalMissing(f"this desktop has no such portal ({error.text or error.type})")
    return PortalFault(error.text or error.type)
