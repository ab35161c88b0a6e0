"""A message bus connection: calls, signals and objects on asyncio.

The library, `library`, has the messages and their encoding; everything that reads, writes, waits or dispatches is ours.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from coldvoxd.bus.address import authenticate, connect
from coldvoxd.bus.library import DBusError, Message, MessageFlag, MessageType, marshalled
from coldvoxd.bus.objects import Objects
from coldvoxd.bus.receiving import Answered, ReceivingBus
from coldvoxd.bus.signals import BUS, Signals
from coldvoxd.core.errors import BusUnavailable
from coldvoxd.core.sentences import sentence, sentences
from coldvoxd.userdirs import base_directories

SESSION_BUS, SYSTEM_BUS = "session bus", "system bus"
CONNECT_LIMIT_S = 10.0
FLUSH_LIMIT_S = 1.0


def session_address() -> str:
    """Return the address of the session bus. Raises BusUnavailable.

    Without DBUS_SESSION_BUS_ADDRESS, as in a login over ssh or in a cron job, this is the address of the systemd user
    bus.
    """
    if address := os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return address
    runtime = base_directories.runtime_directory()
    if runtime and (runtime / "bus").exists():
        return f"unix:path={runtime}/bus"
    raise BusUnavailable(
        "There is no session bus: neither DBUS_SESSION_BUS_ADDRESS is set nor is there $XDG_RUNTIME_DIR/bus. "
        "Run this inside a desktop or systemd user session."
    )


class Connection(ReceivingBus):
    """A client of a message bus. Event loop only.

    - `receiving` describes how messages are received, `objects` how calls are served;
    - a full socket makes messages wait, file descriptors included; it ends nothing;
    - after the connection has ended, messages are dropped and calls raise.
    """

    def __init__(self, sock: socket.socket, name: str = SESSION_BUS) -> None:
        """Use `open` to create an instance."""
        super().__init__(sock, name)
        self.unique_name = ""
        """Our own name on the bus, such as `:1.42`."""
        self.signals = Signals(self)
        self.objects = Objects(self)
        self._last_sent: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, address: str | None = None, name: str = SESSION_BUS) -> Self:
        """Connect to `address`, by default the session bus; `name` is for messages. Raises BusUnavailable."""
        address = address or session_address()
        began_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                sock = await connect(address)
        except (OSError, ValueError) as error:
            raise BusUnavailable(
                sentences(f"Cannot connect to the {name} at {address}: {_cause(error)}", f"Is the {name} running?")
            ) from error
        connection: Self | None = None
        try:
            async with asyncio.timeout_at(began_s + CONNECT_LIMIT_S):
                await authenticate(sock)
                connection = cls(sock, name)
                connection.unique_name = str(await connection.ask_bus("Hello"))
        except BaseException as error:
            if connection is not None:
                connection._release()
            sock.close()
            if not isinstance(error, Exception):
                raise
            raise BusUnavailable(sentence(f"Cannot connect to the {name} at {address}: {_cause(error)}")) from error
        return connection

    async def bus_id(self) -> str:
        """Return the GUID of the bus. Unique names of clients are valid only on that bus. Raises BusUnavailable."""
        return str(await self.ask_bus("GetId"))

    async def is_connected(self, name: str) -> bool:
        """Return whether a name, unique or well-known, has an owner. Raises BusUnavailable."""
        return bool(await self.ask_bus("NameHasOwner", "s", name))

    async def ask_bus(self, member: str, signature: str = "", *body: object) -> Any:
        """Call the bus itself and return the first value of its reply. Raises DBusError or BusUnavailable."""
        return await self.ask(bus_call(member, signature, *body))

    async def ask(self, call: Message) -> Any:
        """Send a call and return the first value of the reply, or None. Raises DBusError or BusUnavailable."""
        values = await self.ask_all(call)
        return values[0] if values else None

    async def ask_all(self, call: Message) -> list[Any]:
        """Send a call and return all values of the reply. Raises DBusError or BusUnavailable."""
        return list((await self._answer(call)).body)

    async def ask_descriptor(self, call: Message) -> int:
        """Send a call and return the file descriptor of the reply, which the caller must close.

        Await this directly, not in a task: the received descriptor is closed right after the event loop step in which
        this coroutine resumes. Raises DBusError or BusUnavailable.
        """
        reply = await self._answer(call)
        if not reply.unix_fds:
            raise DBusError(f"{BUS}.Error.InvalidArgs", "the reply has no file descriptor", reply)
        return fcntl.fcntl(reply.unix_fds[0], fcntl.F_DUPFD_CLOEXEC, 0)

    def ask_then(self, call: Message, then: Answered) -> None:
        """Send a call. `then` receives the reply, in order with other messages, or None if the connection is lost."""
        if self.usable:
            self._send_call(call, then)
        else:
            then(None)

    async def _answer(self, call: Message) -> Message:
        name = str(call.destination)
        followed = name != BUS and self.usable
        if followed:
            self.signals.begin_to_follow(name)
        try:
            reply = await self._replied(call)
        finally:
            if followed:
                self.signals.unfollow(name)
        if reply is None:
            raise BusUnavailable(f"The connection to the {self.name} was lost.")
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise DBusError(reply.error_name, text, reply)
        return reply

    async def _replied(self, call: Message) -> Message | None:
        """Send a call and return its reply; None if the connection is lost."""
        replied: asyncio.Future[Message | None] = self._loop.create_future()

        def answered(reply: Message | None) -> None:
            if not replied.done():
                replied.set_result(reply)

        self.ask_then(call, answered)
        return await replied

    def _send_call(self, call: Message, answered: Answered) -> None:
        self._number(call)
        data = marshalled(call)
        self._expect_answer(call, answered)
        self._queue(data, call)

    def send_to_bus(self, member: str, signature: str = "", *body: object) -> None:
        """Call the bus itself without waiting for a reply."""
        call = bus_call(member, signature, *body)
        call.flags |= MessageFlag.NO_REPLY_EXPECTED
        if self.usable:
            self.send(call)

    def when_sent(self, then: Callable[[], None]) -> None:
        """Call `then` once the socket has accepted all bytes of the last message; never if the connection is lost."""

        def call(sent: "asyncio.Future[Any]") -> None:
            if not sent.cancelled() and sent.exception() is None:
                then()

        if self._last_sent is not None:
            self._last_sent.add_done_callback(call)

    async def wait_until_lost(self) -> None:
        """Return once `aclose` was called. Raises BusUnavailable when the connection is lost."""
        try:
            await asyncio.shield(self._ended)
        except Exception as error:
            raise BusUnavailable(f"The connection to the {self.name} was lost ({type(error).__name__}).") from error

    async def aclose(self) -> None:
        """Wait up to FLUSH_LIMIT_S until everything was sent, then disconnect. Never raises."""
        if self.usable and self._last_sent is not None:
            await asyncio.wait([self._last_sent], timeout=FLUSH_LIMIT_S)
        if self.usable:
            self._closing = True
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
            await asyncio.wait([self._ended], timeout=FLUSH_LIMIT_S)  # until all that has arrived was read
        self._release()

    def send(self, message: Message) -> "asyncio.Future[None]":
        """Queue a message; the future is done once the socket has accepted all of its bytes."""
        if not self.usable:
            if message.message_type is MessageType.METHOD_CALL:
                raise BusUnavailable(f"The connection to the {self.name} was lost.")
            dropped: asyncio.Future[None] = self._loop.create_future()
            dropped.set_result(None)
            return dropped
        self._number(message)
        return self._queue(marshalled(message), message)

    def _queue(self, data: bytes, message: Message) -> "asyncio.Future[None]":
        sent = self._writer.send(data, message.unix_fds or ())
        sent.add_done_callback(_retrieve)
        self._last_sent = sent
        return sent

    def _release(self) -> None:
        self._closing = True
        self._end()
        self._sock.close()


def bus_call(member: str, signature: str, *body: object) -> Message:
    """Return a message that calls the bus itself."""
    return Message(
        destination=BUS,
        path="/org/freedesktop/DBus",
        interface=BUS,
        member=member,
        signature=signature,
        body=list(body),
    )


def _cause(error: Exception) -> str:
    """Why a connection failed: the part of a message after the colon."""
    if isinstance(error, TimeoutError):
        return f"no reply within {CONNECT_LIMIT_S:g} s"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _retrieve(future: "asyncio.Future[Any]") -> None:
    """Mark the exception as retrieved: `wait_until_lost` reports the loss of the connection."""
    if not future.cancelled():
        future.exception()
