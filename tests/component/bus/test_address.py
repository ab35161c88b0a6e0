"""Addresses of buses, and the authentication."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coldvoxd.bus.address import authenticate, connect, endpoints
from coldvoxd.bus.connection import Connection
from coldvoxd.core.errors import BusUnavailable
from tests.support.bus.private_bus import PrivateBus


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("unix:path=/run/user/1/bus", [(socket.AF_UNIX, "/run/user/1/bus")]),
        ("unix:guid=0a,path=/a%20b%2cc,;", [(socket.AF_UNIX, "/a b,c")]),
        ("unix:abstract=/tmp/x", [(socket.AF_UNIX, b"\0/tmp/x")]),
        ("tcp:host=localhost,port=12;unix:path=/x", [(socket.AF_INET, ("localhost", 12)), (socket.AF_UNIX, "/x")]),
    ],
)
def test_an_address_is_read(address: str, found: list[object]) -> None:
    assert list(endpoints(address)) == found


@pytest.mark.parametrize(
    "address",
    ["no address", "unix:", "unix:path", "unix:tmpdir=/tmp", "tcp:host=x,port=y", "autolaunch:", "launchd:env=X"],
)
def test_any_other_address_is_an_error(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        list(endpoints(address))


@pytest.mark.parametrize("address", [";", "no address", "unix:path=/a\0b", "unix:path=" + "/x" * 200])
async def test_what_cannot_be_connected_to_is_a_sentence(address: str) -> None:
    with pytest.raises(BusUnavailable, match=r"Cannot connect to the session bus at .*Is the session bus running"):
        await Connection.open(address)


async def test_the_next_endpoint_is_tried(bus: PrivateBus) -> None:
    connection = await Connection.open(f"unix:path={bus.directory}/nowhere;{bus.address}")
    assert len(await connection.bus_id()) == 32
    await connection.aclose()


async def test_a_bus_that_does_not_accept_is_waited_for(tmp_path: Path) -> None:
    """The kernel refuses a connection to a full queue immediately; asyncio would take it for a connection."""
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        first = await connect(f"unix:path={path}")
        waiting = asyncio.ensure_future(connect(f"unix:path={path}"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        accepted = [listener.accept()[0] for _ in range(1)]
        second = await waiting
        for sock in (first, second, *accepted):
            sock.close()


@asynccontextmanager
async def bus_that_says(path: Path, *lines: bytes) -> AsyncIterator[list[bytes]]:
    """Run a bus that answers each line with the next of these; after the last it hangs up."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in lines:
            heard.append(await reader.readline())
            writer.write(line)
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield heard


async def test_the_user_is_named_and_descriptors_are_agreed_on(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    async with bus_that_says(path, b"OK 0a\r\n", b"AGREE_UNIX_FD\r\n", b"") as heard:
        sock = await connect(f"unix:path={path}")
        await authenticate(sock)
        assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""
        sock.close()
    user = str(os.getuid()).encode().hex()
    assert heard == [f"\0AUTH EXTERNAL {user}\r\n".encode(), b"NEGOTIATE_UNIX_FD\r\n", b"BEGIN\r\n"]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ((b"REJECTED ANONYMOUS\r\n",), "refuses this user: REJECTED ANONYMOUS"),
        ((b"OK 0a\r\n", b"ERROR not here\r\n"), "refuses this user: ERROR not here"),
        ((b"\xff\xfe\r\n",), "refuses this user"),
        ((b"x" * 4096,), "no line of the authentication"),
        ((b"OK",), "closed the connection"),
        ((b"OK 0a\r\n", b"AGREE_UNIX_FD\r\n", b""), "was lost"),
    ],
)
async def test_a_bus_that_refuses_is_a_sentence(tmp_path: Path, lines: tuple[bytes, ...], text: str) -> None:
    path = tmp_path / "bus"
    async with bus_that_says(path, *lines):
        with pytest.raises(BusUnavailable, match=f"Cannot connect to the session bus at .*{text}") as error:
            await Connection.open(f"unix:path={path}")
        assert "running" not in str(error.value)
