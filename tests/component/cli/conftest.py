"""coldvoxctl as real processes on a private bus with the service on it."""

import asyncio
import fcntl
import json
import os
import struct
import sys
import termios
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.bus.private_bus import BUSES, PrivateBus, RunningService, running_service

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Result:
    """The exit code and output of a command."""

    exit: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Objects on stdout with --json, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The object on stderr with --json."""
        found = json.loads(self.err)
        assert isinstance(found, dict)
        return found


class Running:
    """A command that is still running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """Return the next line of output."""
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode().removesuffix("\n")

    async def ended(self, within_s: float = 30) -> Result:
        """Wait until the command exits, and return the rest of its output."""
        out, err = await asyncio.wait_for(self.process.communicate(), within_s)
        assert self.process.returncode is not None
        texts = [printed.decode(errors="surrogateescape") for printed in (out or b"", err or b"")]
        return Result(self.process.returncode, *texts)


class Terminal:
    """A terminal of 40 columns, and what was written to it."""

    def __init__(self) -> None:
        self.ours, self.its = os.openpty()
        fcntl.ioctl(self.its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))

    def written(self) -> str:
        """Return everything, once the command has exited."""
        os.close(self.its)
        content = b""
        try:
            while piece := os.read(self.ours, 1 << 16):
                content += piece
        except OSError:  # EIO: the other end is closed
            pass
        os.close(self.ours)
        return content.decode(errors="surrogateescape")


class Ctl(Protocol):
    """Starts `coldvoxctl ARGUMENTS`, on the private bus unless another environment is given."""

    async def __call__(
        self,
        *arguments: str | bytes,
        environment: dict[str, str] | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> Running: ...


@pytest.fixture(params=BUSES)
def bus(request: pytest.FixtureRequest) -> Iterator[PrivateBus]:
    """A private bus of each kind."""
    with PrivateBus(kind=request.param) as bus:
        yield bus


@pytest.fixture
async def running(bus: PrivateBus) -> AsyncIterator[RunningService]:
    async with running_service(bus) as running:
        yield running


@pytest.fixture
async def ctl(bus: PrivateBus) -> AsyncIterator[Ctl]:
    started: list[asyncio.subprocess.Process] = []

    async def start(
        *arguments: str | bytes,
        environment: dict[str, str] | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> Running:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "coldvoxd.cli.main",
            *arguments,
            cwd=ROOT,
            env=bus.environment if environment is None else environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
        )
        started.append(process)
        return Running(process)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()
