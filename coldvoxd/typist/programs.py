"""Runs the desktop's small programs, never with text among their arguments, which every user can read."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress

from coldvoxd.typist.errors import NoAnswer, ProgramMissing, Refused, TooMuch

LIMIT_S = 5.0
PACKAGES = {
    "wl-copy": "wl-clipboard",
    "wl-paste": "wl-clipboard",
}
"""Debian packages that are not named like the program."""


def missing(program: str) -> ProgramMissing:
    return ProgramMissing(f"{program} is not installed: sudo apt install {PACKAGES.get(program, program)}")


async def start(
    program: str, *arguments: str, environment: Mapping[str, str], output: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    """Start `program` with a pipe to it. Raises ProgramMissing if it isn't installed, and Refused if it can't be started."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            # The program that holds the clipboard reports on a pipe to us, and must outlive us: SIGPIPE stays ignored.
            restore_signals=False,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Its start cannot be cancelled: asyncio would take the exit code itself (see `send_signal`).
        with suppress(OSError):
            process = await starting
            send_signal(process, signal.SIGKILL)
            await process.wait()
        raise
    except FileNotFoundError:
        raise missing(program) from None
    except OSError as error:
        raise Refused(f"{program} cannot be started: {error.strerror}") from error


def send_signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal to a program, unless it has ended.

    asyncio's own methods take the exit code of a program that has just ended, and its watcher then warns that it is
    unknown.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def run(
    program: str,
    *arguments: str,
    environment: Mapping[str, str],
    given: bytes = b"",
    limit_s: float = LIMIT_S,
    limit_bytes: int | None = None,
) -> bytes:
    """Return what `program` prints.

    Raises Refused if it isn't installed or fails, TooMuch if it prints more than `limit_bytes`, and NoAnswer after
    `limit_s` seconds.
    """
    process = await start(program, *arguments, environment=environment)
    try:
        async with asyncio.timeout(limit_s):
            if limit_bytes is None:
                printed, complaint = await process.communicate(given)
            else:
                printed, complaint = await _bounded(process, limit_bytes)
    except TimeoutError:
        raise NoAnswer(f"{program} did not exit within {limit_s:g} s") from None
    finally:
        if process.returncode is None:
            send_signal(process, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        words = complaint.decode(errors="replace").strip().splitlines()
        raise Refused(f"{program} failed: {words[0]}" if words else f"{program} failed and gave no reason")
    return printed


async def _bounded(process: asyncio.subprocess.Process, limit_bytes: int) -> tuple[bytes, bytes]:
    """Return standard output and standard error. Raises TooMuch."""
    assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - `start` makes pipes
    process.stdin.close()
    printed = bytearray()
    while part := await process.stdout.read(1 << 16):
        printed += part
        if len(printed) > limit_bytes:
            raise TooMuch(f"more than {limit_bytes >> 20} MB")
    complaint = await process.stderr.read()
    await process.wait()
    return bytes(printed), complaint
