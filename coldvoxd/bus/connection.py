"""A connection to a message bus: dbus-next's, with the faults mended that would take the daemon down."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dbus_next import DBusError, Message, MessageFlag, MessageType
from dbus_next.service import ServiceInterface

from coldvoxd.bus.interface_xml import OBJECT_PATH, introspection
from coldvoxd.bus.receiving import ReceivingBus
from coldvoxd.bus.replies import Reply
from coldvoxd.bus.sending import PatientSocket
from coldvoxd.bus.signals import BUS, Signals
from coldvoxd.core.errors import BusUnavailable, shown
from coldvoxd.userdirs import base_directories

CONNECT_LIMIT_S = 10.0
FLUSH_LIMIT_S = 1.0


def session_address() -> str:
    """Where the session bus is, or BusUnavailable.

    The systemd user bus stands in where the variable is missing, as in a login over ssh or from cron.
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
    """The library's connection and what is different about it. Event loop only.

    - messages are received as `receiving` says;
    - a full socket makes the writer wait; the library takes EAGAIN for the end of the connection;
    - our object is introspected from the contract's XML; the library's own has no names of signal and out arguments;
    - an error that a method raises is answered and not logged besides, with the names of `replies`;
    - no ObjectManager, whose signals would tell the object's properties to nobody in particular;
    - file descriptors are sent whole through a full socket;
    - after the end, messages are dropped and calls raise, where the library would wait forever;
    - a bus that goes away while we connect is an error, where the library would spin.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._writer.sock = PatientSocket(self._sock)
        self.signals = Signals(self)
        self._last_sent: asyncio.Future[Any] | None = None

    @classmethod
    async def open(cls, address: str | None = None) -> "Connection":
        """Connect to `address`, by default the session bus, or raise BusUnavailable."""
        address = address or session_address()
        try:
            connection = cls(address)
        except (OSError, ValueError) as error:
            raise BusUnavailable(
                f"The bus at {address} can't be reached: {error}. Is the session bus running?"
            ) from error
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await connection.connect()
        except Exception as error:
            connection._release()
            raise BusUnavailable(f"The bus at {address} lets nobody in: {error or type(error).__name__}.") from error
        return connection

    async def bus_id(self) -> str:
        """The GUID of the bus, on which alone its clients' unique names are valid. Raises BusUnavailable."""
        return str(await self.ask_bus("GetId"))

    async def is_connected(self, name: str) -> bool:
        """Whether a name, unique or well-known, has an owner. Raises BusUnavailable."""
        return bool(await self.ask_bus("NameHasOwner", "s", name))

    async def ask_bus(self, member: str, signature: str = "", *body: object) -> Any:
        """Call the bus itself; the first value of its answer. Raises DBusError or BusUnavailable."""
        return await self.ask(bus_call(member, signature, *body))

    async def ask(self, call: Message) -> Any:
        """The first value of the answer, None where there is none. Raises DBusError or BusUnavailable."""
        reply = await self._answer(call)
        return reply.body[0] if reply.body else None

    async def ask_descriptor(self, call: Message) -> int:
        """The file descriptor that is the answer, the caller's to close. Raises DBusError or BusUnavailable.

        Not to be wrapped in a task: what was received is closed right after the step in which this goes on.
        """
        reply = await self._answer(call)
        if not reply.unix_fds:
            raise DBusError(f"{BUS}.Error.InvalidArgs", "the answer holds no file descriptor", reply)
        return fcntl.fcntl(reply.unix_fds[0], fcntl.F_DUPFD_CLOEXEC, 0)

    def ask_then(self, call: Message, then: Callable[[Message | None], None]) -> None:
        """Send a call; `then` gets the answer in its place among the messages, None when the bus has gone."""
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
            raise BusUnavailable("The bus has gone.") from error
        finally:
            if followed:
                self.signals.unfollow(name)
        if reply is None:
            raise BusUnavailable("The connection to the bus was closed.")
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise DBusError(reply.error_name, text, reply)
        return reply

    def tell_bus(self, member: str, signature: str = "", *body: object) -> None:
        """Call the bus itself and want no answer."""
        call = bus_call(member, signature, *body)
        call.flags |= MessageFlag.NO_REPLY_EXPECTED
        if self.usable:
            self.send(call)

    def when_sent(self, then: Callable[[], None]) -> None:
        """Call `then` once the socket has taken all bytes of what was sent last; not where the bus goes away."""

        def call(sent: "asyncio.Future[Any]") -> None:
            if not sent.cancelled() and sent.exception() is None:
                then()

        if self._last_sent is not None:
            self._last_sent.add_done_callback(call)

    async def wait_until_lost(self) -> None:
        """Return when the connection was closed by us; raise BusUnavailable when the bus has gone."""
        try:
            await asyncio.shield(self._disconnect_future)
        except Exception as error:
            raise BusUnavailable(f"The session bus has gone ({type(error).__name__}).") from error

    async def aclose(self) -> None:
        """Let what was sent go out, for a second at most, then leave the bus."""
        if self.usable and self._last_sent is not None:
            await asyncio.wait([self._last_sent], timeout=FLUSH_LIMIT_S)
        if self.usable:
            self.disconnect()
            await asyncio.wait([self._disconnect_future], timeout=FLUSH_LIMIT_S)
        self._release()

    def send(self, msg: Message) -> "asyncio.Future[Any]":  # type: ignore[override]  # as aio's own does
        """Queue a message; the future ends when the socket has taken all of its bytes."""
        if not self.usable:
            if msg.message_type is MessageType.METHOD_CALL:
                raise BusUnavailable("The session bus has gone.")
            dropped: asyncio.Future[Any] = self._loop.create_future()
            dropped.set_result(None)
            return dropped
        sent: asyncio.Future[Any] = super().send(msg)
        sent.add_done_callback(_retrieve)
        self._last_sent = sent
        return sent

    def _release(self) -> None:
        """Give the socket back; the library leaves that to the garbage collector."""
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
        if msg.path == OBJECT_PATH and msg.path in self._path_exports:
            send_reply(Message.new_method_return(msg, "s", [introspection()]))
        else:
            super()._default_introspect_handler(msg, send_reply)

    def _default_properties_handler(self, msg: Message, send_reply: Any) -> None:
        msg.body[:2] = [shown(name) for name in msg.body[:2] if isinstance(name, str)]  # no real one is that long
        super()._default_properties_handler(msg, send_reply)

    def _default_get_machine_id_handler(self, msg: Message, send_reply: Any) -> None:
        """The bus's answer, its error included; the library sends neither an error nor its second answer."""

        def answer(reply: Message | None, fault: BaseException | None) -> None:
            if reply is None or fault is not None:
                return  # the connection is gone
            if reply.message_type is MessageType.METHOD_RETURN:
                send_reply(Message.new_method_return(msg, "s", reply.body))
            else:
                text = str(reply.body[0]) if reply.body else "The bus gave no machine ID."
                send_reply(Message.new_error(msg, reply.error_name, text))

        peer = f"{BUS}.Peer"
        self._call(Message(BUS, "/org/freedesktop/DBus", peer, "GetMachineId"), answer)

    def _default_get_managed_objects_handler(self, msg: Message, send_reply: Any) -> None:  # noqa: ARG002
        raise DBusError(f"{BUS}.Error.UnknownInterface", "There is no org.freedesktop.DBus.ObjectManager here.")

    def _emit_interface_added(self, path: str, interface: ServiceInterface) -> None: ...

    def _emit_interface_removed(self, path: str, removed_interfaces: list[str]) -> None: ...


def bus_call(member: str, signature: str, *body: object) -> Message:
    """A call of the bus itself."""
    return Message(
        destination=BUS,
        path="/org/freedesktop/DBus",
        interface=BUS,
        member=member,
        signature=signature,
        body=list(body),
    )


def _retrieve(future: "asyncio.Future[Any]") -> None:
    """Whoever needs to know that the bus has gone awaits `wait_until_lost`."""
    if not future.cancelled():
        future.exception()
