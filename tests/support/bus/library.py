"""The D-Bus library as other programs use it, with its own connection: a peer that shares only the encoding with ours."""

import asyncio
import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from coldvoxd.bus.library import Message, Variant
from coldvoxd.bus.library_name import FAST, MODULE, NAME, NEXT

if TYPE_CHECKING or NAME == NEXT:
    from dbus_next import introspection
    from dbus_next._private.marshaller import Marshaller
    from dbus_next._private.unmarshaller import Unmarshaller
    from dbus_next.aio import MessageBus
    from dbus_next.service import signal
else:
    from dbus_fast import introspection
    from dbus_fast._private.marshaller import Marshaller
    from dbus_fast._private.unmarshaller import Unmarshaller
    from dbus_fast.aio import MessageBus
    from dbus_fast.service import signal

__all__ = [
    "MessageBus",
    "close",
    "encoded_body",
    "introspection",
    "parsed",
    "paused",
    "plain",
    "read_message",
    "signal",
    "version",
]


def version() -> str:
    """Return the library's name and version."""
    return f"{NAME} {importlib.import_module(f'{MODULE}.__version__').__version__}"


def encoded_body(signature: str, body: list[Any]) -> bytes:
    """Return values as the library marshals them, little-endian."""
    return bytes(Marshaller(signature, body).marshall())


def parsed(data: bytes) -> Message:
    """Return the first message of the data, as the library reads it."""
    found = read_message(io.BytesIO(data))
    found.body = plain(found.body)
    return found


def read_message(stream: IO[bytes]) -> Message:
    """Read one message, as the library does."""
    found: Message = Unmarshaller(stream).unmarshall()
    return found


def plain(value: Any) -> Any:
    """Return a value that dbus-fast decoded as dbus-next and we decode it: structures as lists."""
    if NAME != FAST:
        return value
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {key: plain(element) for key, element in value.items()}
    if isinstance(value, Variant):
        return Variant(value.signature, plain(value.value))
    return value


async def close(bus: MessageBus) -> None:
    """Disconnect, as a program that ends does. Has no effect on a connection that is closed."""
    if not bus._user_disconnect:
        bus.disconnect()
        await asyncio.wait([bus._disconnect_future])
        bus._disconnect_future.exception()
        bus._stream.close()
        bus._sock.close()


@contextmanager
def paused(connection: Any) -> Iterator[None]:
    """Within the context, a connection, the library's or ours, reads nothing."""
    loop: Any = asyncio.get_running_loop()
    reader = loop._selector.get_key(connection._sock.fileno()).data[0]
    callback, arguments = reader._callback, reader._args
    loop.remove_reader(connection._sock)  # which clears both
    try:
        yield
    finally:
        loop.add_reader(connection._sock, callback, *arguments)
