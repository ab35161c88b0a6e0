"""contrib/examples with the real daemon: each script as described in its head, including a restart of the daemon."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import DICTATION
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import PATIENCE_S, eventually
from tests.support.sound.speech import Sample, samples

EXAMPLES = Path(__file__).parents[2] / "contrib" / "examples"

pytestmark = pytest.mark.programs("jq", "busctl", "gjs")
BUSCTL_LINES = [line for line in (EXAMPLES / "README.md").read_text("utf-8").splitlines() if line.startswith("busctl")]


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
async def running(bus: PrivateBus, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(bus, tmp_path) as running:
        yield running


class Script:
    """A running script, and the lines that it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._reading = [
            asyncio.ensure_future(self._read(process.stdout, self.lines)),
            asyncio.ensure_future(self._read(process.stderr, self.errors)),
        ]

    async def ended(self) -> int:
        await asyncio.wait_for(asyncio.gather(self.process.wait(), *self._reading), PATIENCE_S)
        assert self.process.returncode is not None
        return self.process.returncode

    async def _read(self, stream: asyncio.StreamReader | None, into: list[str]) -> None:
        assert stream is not None
        while line := await stream.readline():
            into.append(line.decode().rstrip("\n"))


@asynccontextmanager
async def script(bus: PrivateBus, name: str, *arguments: str, **environment: str) -> AsyncIterator[Script]:
    """Run `contrib/examples/NAME` until the end of the block."""
    path = f"{Path(sys.executable).parent}:{bus.environment['PATH']}"
    command = [str(EXAMPLES / name), *arguments]
    process = await asyncio.create_subprocess_exec(
        *([sys.executable, *command] if name.endswith(".py") else command),
        env=bus.environment | {"PATH": path} | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    running = Script(process)
    try:
        yield running
    finally:
        print("\n".join((*running.lines, *running.errors)))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # also a process that the shell is just starting
        await running.ended()


async def dictated(running: RunningDaemon, sample: Sample) -> str:
    """Dictate one utterance in a session, and return its text."""
    async with running.client() as client:
        await client.call("StartDictation")
        await running.speak(sample)
        return str(await client.call("StopDictation"))


async def heard_by(running: RunningDaemon, listens: Script | Path, sample: Sample) -> str:
    """Dictate until the script has received the text: a script does not report when it starts to listen."""

    def content() -> str:
        return (
            "\n".join(listens.lines) if isinstance(listens, Script) else listens.read_text() if listens.exists() else ""
        )

    for _ in range(5):
        text = await dictated(running, sample)
        for _ in range(20):
            if text in content():
                return text
            await asyncio.sleep(0.05)
    raise AssertionError(f"{text} was not heard: {content()}")


async def test_notes_are_appended(bus: PrivateBus, running: RunningDaemon, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("mine\n")
    async with script(bus, "notes.sh", str(notes)):
        text = await heard_by(running, notes, samples()[0])
    mine, *noted = notes.read_text().splitlines()
    assert mine == "mine"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d  " + re.escape(text), noted[-1])


async def test_what_is_said_runs_its_command_and_no_other(
    bus: PrivateBus, running: RunningDaemon, tmp_path: Path
) -> None:
    done, table = tmp_path / "done", tmp_path / "table"
    said = samples()[0].heard["fp32"]
    table.write_text(
        f'# words = command\nsomething else = touch {tmp_path}/wrong\n{said.upper()} = echo "done" >>{done}\n'
    )
    async with script(bus, "commands.sh", str(table)):
        for _ in range(5):
            await dictated(running, samples()[3])
            await dictated(running, samples()[0])
            await asyncio.sleep(0.3)
            if done.exists():
                break
    assert set(done.read_text().splitlines()) == {"done"}
    assert not (tmp_path / "wrong").exists()


async def test_waybar_shows_the_state_and_never_starts_the_daemon(bus: PrivateBus, tmp_path: Path) -> None:
    async with script(bus, "waybar.sh") as bar:

        def shown() -> dict[str, object]:
            return dict(json.loads(bar.lines[-1])) if bar.lines else {}

        await eventually(lambda: shown().get("alt") == "away", what="no daemon")
        async with daemon(bus, tmp_path) as running, running.client() as client:
            await eventually(lambda: shown()["alt"] == "idle", what="the daemon idle")
            await client.call("ToggleDictation")
            await eventually(lambda: shown()["alt"] == "listening", what="the daemon listening")
            await client.call("CancelDictation")
            await eventually(lambda: shown()["class"] == ["idle"], what="the daemon idle again")
        await eventually(lambda: shown()["alt"] == "away", what="the daemon gone")
        assert all(set(json.loads(line)) == {"text", "alt", "class", "tooltip"} for line in bar.lines)


async def test_python_dictates_one_private_utterance(bus: PrivateBus, running: RunningDaemon) -> None:
    async with script(bus, "dictate.py") as one:
        await eventually(lambda: "speak" in one.errors, what="the session")
        await running.speak(samples()[0])
        assert await one.ended() == 0
        assert one.lines == [samples()[0].heard["fp32"]]


async def test_python_tells_why_it_can_not(bus: PrivateBus, running: RunningDaemon) -> None:
    async with running.client() as other, script(bus, "dictate.py") as refused:
        del other
        await eventually(lambda: "speak" in refused.errors, what="the session")
        async with script(bus, "dictate.py") as second:
            assert await second.ended() == 1
            assert second.errors[0].startswith("org.coldvox.Error.AlreadyActive: ")


async def test_python_transcribes_a_file(bus: PrivateBus, running: RunningDaemon, tmp_path: Path) -> None:
    del running
    async with script(bus, "transcribe.py", str(samples()[0].path)) as one:
        assert await one.ended() == 0
        assert one.lines == [samples()[0].heard["fp32"]]
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"fLaC nonsense")
    async with script(bus, "transcribe.py", str(broken)) as failing:
        assert await failing.ended() == 1
        assert failing.errors[0].startswith("org.coldvox.Error.")


async def test_javascript_prints_through_a_restart(bus: PrivateBus, tmp_path: Path) -> None:
    async with script(bus, "dictate.js") as listener:
        await eventually(lambda: listener.errors == ["coldvoxd is not here"], what="gjs")
        texts = []
        for _ in range(2):
            async with daemon(bus, tmp_path) as running:
                texts.append(await dictated(running, samples()[0]))
                await eventually(lambda: listener.lines == texts, what="the text")
        assert listener.errors == ["coldvoxd is not here", "coldvoxd is here"] * 2 + ["coldvoxd is not here"]


async def test_bash_listens_through_a_restart(bus: PrivateBus, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with daemon(bus, tmp_path) as running:
        listening = script(bus, "notes.sh", str(notes))
        await listening.__aenter__()
        await heard_by(running, notes, samples()[0])
    try:
        async with daemon(bus, tmp_path) as running:
            text = await dictated(running, samples()[3])
            await eventually(lambda: text in notes.read_text(), what="the text after the restart")
    finally:
        await listening.__aexit__(None, None, None)


async def test_each_busctl_line_works_as_it_stands(bus: PrivateBus, running: RunningDaemon) -> None:
    assert len(BUSCTL_LINES) == 6
    printed = []
    for line in BUSCTL_LINES:
        process = await asyncio.create_subprocess_shell(
            line, env=bus.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == 0, output
        printed.append(output.decode().strip())
    assert printed[1] == 'v s "listening"'
    assert printed[2:] == ['s ""', "b true", "", 'v s ""']
    async with running.client() as client:
        assert await client.get(DICTATION, "State") == "idle"
