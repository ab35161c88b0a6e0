"""Connects to an X server: its socket, from DISPLAY, and its authentication cookie."""

import asyncio
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path


async def open_display(environment: Mapping[str, str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """Connect to DISPLAY; return the streams and the MIT-MAGIC-COOKIE-1, empty if there is none. Raises OSError."""
    host, number = _parsed(environment.get("DISPLAY", ""))
    return *await _connected(host, number), _cookie(environment, number)


def _parsed(display: str) -> tuple[str, int]:
    """Return the host, empty for this machine, and the display number."""
    found = re.fullmatch(r"(?:unix(?=:)|(.*)):(\d+)(?:\.\d+)?", display)
    if not found:
        raise ConnectionRefusedError("this form of DISPLAY is not known")
    return found[1] or "", int(found[2])


async def _connected(host: str, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if host:
        return await asyncio.open_connection(host, 6000 + number)
    path = f"/tmp/.X11-unix/X{number}"  # noqa: S108 - where X servers listen
    try:
        return await asyncio.open_unix_connection(path)
    except OSError:
        return await asyncio.open_unix_connection(f"\0{path}")


def _cookie(environment: Mapping[str, str], number: int) -> bytes:
    """Return the cookie for display `number` from the X authority file; empty if the file has none."""
    file = Path(environment.get("XAUTHORITY") or Path(environment.get("HOME", "/"), ".Xauthority"))
    try:
        content = file.read_bytes()
    except OSError:
        return b""
    mine = os.fsencode(socket.gethostname())
    found = b""
    for address, display, name, key in _entries(content):
        if name == b"MIT-MAGIC-COOKIE-1" and display in {b"", str(number).encode()} and (not found or address == mine):
            found = key
    return found


def _entries(content: bytes) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """Return address, display number, name and key of each entry of an X authority file."""
    entries, at = [], 0
    while at + 2 < len(content):
        at += 2  # skip the address family
        fields = []
        for _ in range(4):
            length = int.from_bytes(content[at : at + 2], "big")
            fields.append(content[at + 2 : at + 2 + length])
            at += 2 + length
        entries.append((fields[0], fields[1], fields[2], fields[3]))
    return entries
