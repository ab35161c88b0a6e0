"""A message bus connection: dbus-next's, without the defects that would end the daemon."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dbus_next import DBusError, Message, MessageFlag, MessageType
from dbus_next.service import ServiceInterface

from coldvoxd.bus.interface_xml import interfaces_of_properties, introspection, introspection_of_parent
from coldvoxd.bus.receiving import ReceivingBus
from coldvoxd.bus.replies import Reply
from coldvoxd.bus.routing import children_of
from coldvoxd.bus.sending import PatientSocket
from coldvoxd.bus.signals import BUS, Signals
from coldvoxd.core.errors import BusUnavailable, shown
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
    """dbus-next's connection with the following differences. Event loop only.

    - `receiving` describes how messages are received;
    - a full socket makes the writer wait; the library treats EAGAIN as the end of the connection;
    - Introspect returns the contract's XML; the library's lacks the names of signal arguments and output arguments,
      and at a path such as /org/cold it invents a child;
    - Get, Set and GetAll accept an empty interface, which stands for all of them;
    - an error raised by a method is returned with a name from `replies`, and is not logged as well;
    - there is no ObjectManager, whose signals would broadcast the object's properties;
    - file descriptors survive a full socket;
    - after the connection has ended, messages are dropped and calls raise, whereas the library would wait forever;
    - a bus that disappears during the connection setup causes an error, whereas the library would loop.
    """

    def __init__(self, address: str, name: str = SESSION_BUS) -> None:
        super().__init__(address)
        self.name = name
        """The bus's name in messages."""
        self._writer.sock = PatientSocket(self._sock)
        self.signals = Signals(self)
        self._last_sent: asyncio.Future[Any] | None = None

    @classmethod
    async def open(cls, address: str | None = None, name: str = SESSION_BUS) -> "Connection":
        """Connect to `address`, by default the session bus; `name` is for messages. Raises BusUnavailable."""
        address = address or session_address()
        try:
            connection = cls(address, name)
        except (OSError, ValueError) as error:
            raise BusUnavailable(
                sentences(f"Cannot connect to the {name} at {address}: {_cause(error)}", f"Is the {name} running?")
            ) from error
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await connection.connect()
        except Exception as error:
            connection._release()
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
        reply = await self._answer(call)
        return reply.body[0] if reply.body else None

    async def ask_descriptor(self, call: Message) -> int:
        """Send a call and return the file descriptor of the reply, which the caller must close.

        Await this directly, not in a task: the received descriptor is closed right after the event loop step in which
        this coroutine resumes. Raises DBusError or BusUnavailable.
        """
        reply = await self._answer(call)
        if not reply.unix_fds:
            raise DBusError(f"{BUS}.Error.InvalidArgs", "the reply has no file descriptor", reply)
        return fcntl.fcntl(reply.unix_fds[0], fcntl.F_DUPFD_CLOEXEC, 0)

    def ask_then(self, call: Message, then: Callable[[Message | None], None]) -> None:
        """Send a call. `then` receives the reply, in order with other messages, or None if the connection is lost."""
        if self.usable:
            self._call(call, lambda reply, _: then(reply))
        else:
            then(None)

    async def _answer(self, call: Message) -> Message:
        name = str(call.destination)
        followed = name != BUS and self.usable
        if followed:
            self.signals.begin_to_follow(name)
        try:
            reply: Message | None = await self.call(call)
        except BusUnavailable:
            raise
        except (OSError, EOFError) as error:
            raise BusUnavailable(f"The connection to the {self.name} was lost.") from error
        finally:
            if followed:
                self.signals.unfollow(name)
        if reply is None:
            raise BusUnavailable(f"The connection to the {self.name} was closed.")
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise DBusError(reply.error_name, text, reply)
        return reply

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
            await asyncio.shield(self._disconnect_future)
        except Exception as error:
            raise BusUnavailable(f"The connection to the {self.name} was lost ({type(error).__name__}).") from error

    async def aclose(self) -> None:
        """Wait up to FLUSH_LIMIT_S until everything was sent, then disconnect. Never raises."""
        if self.usable and self._last_sent is not None:
            await asyncio.wait([self._last_sent], timeout=FLUSH_LIMIT_S)
        if self.usable:
            self.disconnect()
            await asyncio.wait([self._disconnect_future], timeout=FLUSH_LIMIT_S)
        self._release()

    def send(self, msg: Message) -> "asyncio.Future[Any]":  # type: ignore[override]  # as aio's own does
        """Queue a message; the future is done once the socket has accepted all of its bytes."""
        if not self.usable:
            if msg.message_type is MessageType.METHOD_CALL:
                raise BusUnavailable(f"The connection to the {self.name} was lost.")
            dropped: asyncio.Future[Any] = self._loop.create_future()
            dropped.set_result(None)
            return dropped
        sent: asyncio.Future[Any] = super().send(msg)
        sent.add_done_callback(_retrieve)
        self._last_sent = sent
        return sent

    def _release(self) -> None:
        """Close the socket, which the library leaves to the garbage collector."""
        self._user_disconnect = True
        self._stop_receiving()
        with suppress(OSError, ValueError):
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        if self._disconnect_future.done():
            _retrieve(self._disconnect_future)
        self._close_socket()

    def _close_socket(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.close()
        self._sock.close()

    def _setup_socket(self) -> None:
        try:
            super()._setup_socket()
        except BaseException:
            if hasattr(self, "_sock"):
                self._close_socket()
            raise

    async def _auth_readline(self) -> str:
        line = b""
        while not line.endswith(b"\r\n"):
            received = await self._loop.sock_recv(self._sock, 2)
            if not received:
                raise EOFError("the bus closed the connection")
            line += received
        return line[:-2].decode()

    def _send_reply(self, msg: Message) -> Reply:
        return Reply(self.send, msg)

    def _default_introspect_handler(self, msg: Message, send_reply: Any) -> None:
        if msg.path in self._path_exports:
            xml = introspection()
        else:
            xml = introspection_of_parent(children_of(msg.path, self._path_exports))
        send_reply(Message.new_method_return(msg, "s", [xml]))

    def _default_properties_handler(self, msg: Message, send_reply: Any) -> None:
        msg.body[:2] = [shown(name) for name in msg.body[:2] if isinstance(name, str)]  # no real name is that long
        if msg.body[0]:
            super()._default_properties_handler(msg, send_reply)
        elif msg.member == "GetAll":
            self._reply_all_properties(msg, send_reply)
        else:
            name = msg.body[1]
            msg.body[0] = interfaces_of_properties().get(name)
            if msg.body[0] is None:
                raise DBusError(f"{BUS}.Error.UnknownProperty", f"No interface has a property {name}.")
            super()._default_properties_handler(msg, send_reply)

    def _reply_all_properties(self, msg: Message, send_reply: Any) -> None:
        """Reply to GetAll with the properties of all interfaces, for a call that names none."""
        replies: list[Message] = []
        for interface in self._path_exports[msg.path]:
            msg.body[0] = interface.name
            super()._default_properties_handler(msg, Reply(replies.append, msg))
        values: dict[str, Any] = {}
        for reply in replies:
            if reply.message_type is MessageType.ERROR:
                send_reply(reply)
                return
            values |= reply.body[0]
        send_reply(Message.new_method_return(msg, "a{sv}", [values]))

    def _default_get_machine_id_handler(self, msg: Message, send_reply: Any) -> None:
        """Forward the reply of the bus, errors included. The library forwards no errors, and replies only once."""

        def answer(reply: Message | None, fault: BaseException | None) -> None:
            if reply is None or fault is not None:
                return  # the connection was lost
            if reply.message_type is MessageType.METHOD_RETURN:
                send_reply(Message.new_method_return(msg, "s", reply.body))
            else:
                text = str(reply.body[0]) if reply.body else "The bus gave no machine ID."
                send_reply(Message.new_error(msg, reply.error_name, text))

        peer = f"{BUS}.Peer"
        self._call(Message(BUS, "/org/freedesktop/DBus", peer, "GetMachineId"), answer)

    def _emit_interface_added(self, path: str, interface: ServiceInterface) -> None: ...

    def _emit_interface_removed(self, path: str, removed_interfaces: list[str]) -> None: ...


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
