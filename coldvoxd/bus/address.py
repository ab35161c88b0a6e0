"""Connects a socket to the address of a bus, and authenticates.

https://dbus.freedesktop.org/doc/dbus-specification.html#addresses and #auth-protocol
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from urllib.parse import unquote

_BACKLOG_LOOK_S = 0.02
"""Seconds between attempts to connect while the bus has not accepted earlier connections."""
_LONGEST_LINE = 1024
"""Maximum length of a line of the authentication in bytes; the longest legitimate one has about 40."""

Endpoint = tuple[socket.AddressFamily, str | bytes | tuple[str, int]]


async def connect(address: str) -> socket.socket:
    """Connect to the first endpoint of a bus's address that accepts, and return a non-blocking socket.

    Raises ValueError if the address is malformed or of an unknown kind, and OSError.
    """
    failure: OSError | None = None
    for family, endpoint in endpoints(address):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await _connect(sock, endpoint)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or ValueError("the address is empty")


def endpoints(address: str) -> Iterator[Endpoint]:
    """Yield the endpoints of a bus's address in order. Raises ValueError at the first that is malformed."""
    for one in filter(None, address.split(";")):
        transport, colon, options = one.partition(":")
        if not colon:
            raise ValueError("the address has no transport")
        values = dict(_option(option) for option in filter(None, options.split(",")))
        if transport == "unix" and "path" in values:
            yield socket.AF_UNIX, values["path"]
        elif transport == "unix" and "abstract" in values:
            yield socket.AF_UNIX, b"\0" + os.fsencode(values["abstract"])
        elif transport == "tcp" and values.get("port", "").isdecimal():
            yield socket.AF_INET, (values.get("host", ""), int(values["port"]))
        else:
            raise ValueError(f"coldvoxd cannot connect to addresses such as {one}")


async def authenticate(sock: socket.socket) -> None:
    """Authenticate as the user of this process, and agree on passing file descriptors.

    Raises PermissionError if the bus refuses, EOFError if it closes the connection, and OSError.
    """
    user = str(os.getuid()).encode().hex()
    await _say(sock, f"\0AUTH EXTERNAL {user}")
    await _expect(sock, "OK")
    await _say(sock, "NEGOTIATE_UNIX_FD")
    await _expect(sock, "AGREE_UNIX_FD")
    await _say(sock, "BEGIN")


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("an option of the address has no value")
    return key, unquote(value)


async def _connect(sock: socket.socket, endpoint: str | bytes | tuple[str, int]) -> None:
    if sock.family != socket.AF_UNIX:
        await asyncio.get_running_loop().sock_connect(sock, endpoint)
        return
    while True:
        try:
            sock.connect(endpoint)
        except BlockingIOError:  # the bus's queue of connections is full; asyncio would take it for a connection
            await asyncio.sleep(_BACKLOG_LOOK_S)
        else:
            return


async def _say(sock: socket.socket, line: str) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, line.encode() + b"\r\n")


async def _expect(sock: socket.socket, word: str) -> None:
    """Read a line, which must begin with `word`. The bytes after it are left in the socket."""
    loop, line = asyncio.get_running_loop(), b""
    while not line.endswith(b"\r\n"):
        received = await loop.sock_recv(sock, 1)
        if not received:
            raise EOFError("the bus closed the connection")
        line += received
        if len(line) > _LONGEST_LINE:
            raise PermissionError("what the bus says is no line of the authentication")
    said = line[:-2].decode(errors="replace")
    if said.split(" ")[0] != word:
        raise PermissionError(f"the bus refuses this user: {said}")
