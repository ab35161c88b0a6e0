"""Dictation while a key is held in sway: run by the binding that `coldvoxctl shortcut install --hold` writes.

sway reports the release of a key only if no other key was pressed in between. However, it repeats the binding of a held
key until another key is pressed, and announces each run of a binding to subscribers of its IPC (sway-ipc(7)). The
session therefore ends with the binding of the release, or when the repetitions stop. On a machine that stalls they are
late: the session continues if sway announces another one together with its reply to a question.

Each repetition also starts a process. One that gets a processor only after the release must not start a session: it began
before the release, whose time is in the lock file.
"""

import asyncio
import fcntl
import os
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.client_options import Options
from coldvoxd.cli.key_presses import FAILED, start_after_last
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.text_formats import json_value

HELD = "shortcut held"
"""Part of the command of the binding that sway repeats."""
RELEASED = "nop coldvoxd-released"
"""The command of the binding for the release."""
LOCK = "coldvoxd-held.lock"
"""Lock file below $XDG_RUNTIME_DIR: the binding takes it with flock(1), so that only the first repetition starts this
program."""
STARTERS = frozenset({"flock", "sh", "dash", "bash"})
"""Names of the processes between sway and this one."""
SUBSCRIBE, GET_VERSION, GET_INPUTS = 2, 7, 100
"""Message types of sway-ipc(7)."""
_MAGIC = b"i3-ipc"
_HEADER = struct.Struct("<6sII")
DEFAULT_DELAY_MS, DEFAULT_RATE = 600, 25
"""Defaults of sway-input(5): repeat_delay in ms, and repeat_rate in repetitions per second."""
MISSED = 5
"""Number of missing repetitions that count as a release."""
SLACK_S = 0.3
"""Seconds added for a busy machine, and again after sway has replied to a question."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """How keys repeat: limits for the first repetition and between two; None if keys do not repeat."""

    first_s: float | None
    next_s: float | None

    @classmethod
    def of(cls, inputs: list[dict[str, Any]]) -> "Repetition":
        """The slowest of the keyboards in the reply to GET_INPUTS."""
        keyboards = [device for device in inputs if device.get("type") == "keyboard" and "repeat_rate" in device]
        rates = [device["repeat_rate"] for device in keyboards] or [DEFAULT_RATE]
        delays = [device["repeat_delay"] for device in keyboards] or [DEFAULT_DELAY_MS]
        if min(rates) <= 0:
            return cls(None, None)
        return cls(max(delays) / 1000 + MISSED / min(rates) + SLACK_S, MISSED / min(rates) + SLACK_S)


class Sway:
    """A connection to sway's IPC, opened by `connected`. Event loop only; raises ColdvoxError if sway exits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use `connected` instead."""
        self._reader = reader
        self._writer = writer
        self._receiving: asyncio.Task[Any] | None = None

    @classmethod
    @asynccontextmanager
    async def connected(cls) -> AsyncIterator["Sway"]:
        """Connect to the sway whose socket $SWAYSOCK names."""
        if not (socket := os.environ.get("SWAYSOCK")):
            raise ColdvoxError("SWAYSOCK is not set: sway itself runs this command, from a key binding.")
        try:
            reader, writer = await asyncio.open_unix_connection(socket)
        except OSError as error:
            raise ColdvoxError(
                f"Cannot connect to sway at {socket}: {error.strerror or error}. sway itself runs this command, from a key "
                "binding."
            ) from error
        connection = cls(reader, writer)
        try:
            yield connection
        finally:
            writer.close()
            if connection._receiving:
                connection._receiving.cancel()

    async def ask(self, kind: int, payload: str = "") -> Any:
        """The reply to a message."""
        self._send(kind, payload)
        return await self.receive()

    async def receive(self) -> Any:
        """The next reply or event."""
        try:
            _, length, _ = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
            return json_value(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            raise ColdvoxError("sway has exited, or its reply cannot be read.") from error

    async def release(self, repetition: Repetition) -> None:
        """Return when the key was released, or another one was pressed. Requires a subscription to `binding`."""
        limit_s = repetition.first_s
        while (command := await self._command(limit_s)) != RELEASED:
            if command is None and not await self._repeats_late():
                return
            limit_s = repetition.next_s

    async def _repeats_late(self) -> bool:
        """Return whether sway announces another repetition before its reply to a question, or soon after."""
        self._send(GET_VERSION)
        while (message := await self._message(None)) and "human_readable" not in message:
            if (command := _command_of(message)) == RELEASED or HELD in command:
                return command != RELEASED
        return await self._command(SLACK_S) not in {None, RELEASED}

    async def _command(self, limit_s: float | None) -> str | None:
        """Return the command of our next binding that runs; None if none runs within the limit."""
        loop = asyncio.get_running_loop()
        end_s = None if limit_s is None else loop.time() + limit_s
        while message := await self._message(None if end_s is None else max(0.0, end_s - loop.time())):
            if (command := _command_of(message)) == RELEASED or HELD in command:
                return command
        return None

    async def _message(self, limit_s: float | None) -> dict[str, Any] | None:
        """Return the next reply or event; None if there is none within the limit."""
        # Cancelling the receipt could lose a part of the message.
        receiving = self._receiving or asyncio.create_task(self.receive(), name="sway's next message")
        done, _ = await asyncio.wait([receiving], timeout=limit_s)
        self._receiving = None if done else receiving
        return receiving.result() if done else None

    def _send(self, kind: int, payload: str = "") -> None:
        self._writer.write(_HEADER.pack(_MAGIC, len(payload), kind) + payload.encode())


def _command_of(message: dict[str, Any]) -> str:
    """Return the command of the binding that a message announces; empty if it announces none."""
    return str(message.get("binding", {}).get("command", ""))


async def dictate_while_held(options: Options, output: Output) -> None:
    """Start a session with these options, and stop it when the key is released. Raises ColdvoxError."""
    if (released_s := _last_release_s()) is not None and _bound_s() < released_s:
        return
    async with Sway.connected() as sway, DaemonClient.connected() as daemon:
        repetition = Repetition.of(await sway.ask(GET_INPUTS))
        await sway.ask(SUBSCRIBE, '["binding"]')
        try:
            session = await daemon.listening() or await start_after_last(daemon, options)
        except ColdvoxError as error:
            await daemon.notify(FAILED, str(error))
            await sway.release(repetition)  # otherwise the next repetition would try again
            raise
        try:
            await sway.release(repetition)
        finally:  # also if sway exits, because no release will be received
            _unlock()
            if await daemon.listening() == session:
                await daemon.begin_to_stop()
        output.result({"session": session})


def _lock_file() -> Path | None:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / LOCK if runtime else None


def _last_release_s() -> float | None:
    """Return when the last session ended, in seconds of CLOCK_BOOTTIME; None if that is not known."""
    file = _lock_file()
    with suppress(OSError, ValueError):
        return float(file.read_text(encoding="ascii")) if file else None
    return None


def _bound_s() -> float:
    """Return when sway ran the binding that started this process, in seconds of CLOCK_BOOTTIME, down to a clock tick.

    That is when the first of the processes between sway and this one began (proc_pid_stat(5)).
    """
    process, began_s = os.getpid(), time.clock_gettime(time.CLOCK_BOOTTIME)
    with suppress(OSError, ValueError, IndexError):
        while True:
            name, _, rest = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            if process != os.getpid() and name.partition("(")[2] not in STARTERS:
                break
            fields = rest.split()
            began_s = min(began_s, int(fields[19]) / os.sysconf("SC_CLK_TCK"))
            process = int(fields[1])
    return began_s


def _unlock() -> None:
    """Allow the next press immediately: flock(1) holds the lock until this process exits, and shares it with us.

    Processes of earlier repetitions read from the lock file when that was.
    """
    if file := _lock_file():
        with suppress(OSError):
            file.write_text(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.3f}", encoding="ascii")
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if entry.readlink().name == LOCK:
                fcntl.flock(int(entry.name), fcntl.LOCK_UN)
