"""The desktop clients' JavaScript, run by gjs: the part that presents a state, and the part that watches the bus."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import PATIENCE_S

ROOT = Path(__file__).parents[3]
SCRIPTS = Path(__file__).parent
EXTENSION = ROOT / "contrib/desktop/gnome-shell/coldvoxd@coldvox.org"
WIDGET = ROOT / "contrib/desktop/plasma/org.coldvox.dictation"

needs_gjs = pytest.mark.programs("gjs")


def presented(facts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the presentation of each of these facts."""
    done = subprocess.run(
        ["gjs", "-m", str(SCRIPTS / "present.js"), str(EXTENSION)],
        input=json.dumps(facts),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def called(*calls: tuple[str, str, Sequence[Any]]) -> list[Any]:
    """Call functions of the Plasma widget's modules, each given as module, function and arguments; return their results."""
    done = subprocess.run(
        ["gjs", "-m", str(SCRIPTS / "widget.js"), str(WIDGET / "contents/ui")],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Watcher:
    """The extension's connection to a daemon, and its reports so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    def wish(self, line: str) -> None:
        """Act like a click: `toggle`, `cancel`, `selectDevice NAME`, `setProvider NAME`, `quit`."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def until(self, fits: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Return the next matching report."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self._process.stdout.readline():
                self.told.append(json.loads(line))
                if fits(self.told[-1]):
                    return self.told[-1]
        raise AssertionError(f"gjs has ended: {self.told}")

    async def until_shown(self, kind: str) -> dict[str, Any]:
        """Return the next presentation of that kind."""
        found = await self.until(lambda told: told.get("shown", {}).get("kind") == kind)
        shown: dict[str, Any] = found["shown"]
        return shown


@asynccontextmanager
async def watching(environment: Mapping[str, str]) -> AsyncIterator[Watcher]:
    """Run a watcher, which must print nothing on standard error."""
    process = await asyncio.create_subprocess_exec(
        "gjs",
        str(SCRIPTS / "watch.js"),
        str(EXTENSION),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    watcher = Watcher(process)
    try:
        yield watcher
    finally:
        watcher.wish("quit")
        _, errors = await process.communicate()
        print(errors.decode(), end="")
    assert process.returncode == 0
    assert not errors.decode()
