"""The focus in sway, and its changes, from its IPC socket (sway-ipc(7))."""

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Any

from coldvoxd.core.text_formats import json_value
from coldvoxd.typist.errors import Refused, why
from coldvoxd.userdirs import base_directories

LIMIT_S = 5.0
_MAGIC = b"i3-ipc"
_SUBSCRIBE, _GET_TREE = 2, 4
_KINDS = ("window", "workspace")


async def tree(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the tree of outputs, workspaces and windows. Raises Refused."""
    try:
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_unix_connection(environment["SWAYSOCK"])
            try:
                writer.write(_MAGIC + struct.pack("=II", 0, _GET_TREE))
                return await _message(reader)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError, ValueError) as error:
        raise Refused(f"cannot ask sway for its windows: {why(error)}") from error


async def listens(environment: Mapping[str, str]) -> bool:
    """Return whether there is a sway at SWAYSOCK."""
    try:
        async with asyncio.timeout(LIMIT_S):
            _, writer = await asyncio.open_unix_connection(environment["SWAYSOCK"])
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def socket_of(process: int, environment: Mapping[str, str]) -> str:
    """Return the path of the socket of the sway with this process number, whose SWAYSOCK is not known; empty if none."""
    runtime = base_directories.runtime_directory(environment)
    found = runtime.glob(f"sway-ipc.*.{process}.sock") if runtime and process else ()
    return next(map(str, found), "")


class FocusEvents:
    """Reports whether the focus left the window that had it. Event loop only."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use `watch` instead."""
        self._reader = reader
        self._writer = writer
        self._moved = False
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def watch(cls, environment: Mapping[str, str]) -> "FocusEvents":
        """Watch from now on; the caller closes the object. Raises Refused."""
        try:
            async with asyncio.timeout(LIMIT_S):
                events = cls(*await asyncio.open_unix_connection(environment["SWAYSOCK"]))
                kinds = json.dumps(_KINDS).encode()
                events._writer.write(_MAGIC + struct.pack("=II", len(kinds), _SUBSCRIBE) + kinds)
                await events._next()
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            raise Refused(f"cannot listen to sway: {why(error)}") from error
        events._reading = asyncio.create_task(events._read(), name="sway's focus")
        return events

    @property
    def moved(self) -> bool:
        """Whether another window or workspace got the focus since, even for a moment."""
        return self._moved

    async def close(self) -> None:
        """Close the connection."""
        if self._reading:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._writer.close()

    async def _read(self) -> None:
        try:
            while True:
                if (await self._next()).get("change") == "focus":
                    self._moved = True
        except (OSError, EOFError, ValueError):
            self._moved = True  # unknown from now on

    async def _next(self) -> Mapping[str, Any]:
        return await _message(self._reader)


async def _message(reader: asyncio.StreamReader) -> Mapping[str, Any]:
    head = await reader.readexactly(len(_MAGIC) + 8)
    length, _ = struct.unpack("=II", head[len(_MAGIC) :])
    message = json_value(await reader.readexactly(length))
    return message if isinstance(message, dict) else {}
