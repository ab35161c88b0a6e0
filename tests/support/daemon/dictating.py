"""The real daemon as a process, on a private bus and with private sound servers."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.eventually import PATIENCE_S, eventually
from tests.support.sound.servers import SoundServer
from tests.support.sound.speech import Sample

ROOT = Path(__file__).parents[3]


class Dictating:
    """A running daemon, and a client of it that records when each of its properties changed."""

    def __init__(self, process: "subprocess.Popen[bytes]", client: BusClient, log: Path) -> None:
        self.process = process
        self.client = client
        self._log = log
        self._taken = 0
        self.changes: list[tuple[float, str, Any]] = []
        """Monotonic time, name and value of each published change."""

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def dictate(self, server: SoundServer, sample: Sample, speaker: str = "speaker1") -> str:
        """Return the text of a session with this sample."""
        await self.client.call("StartDictation")
        await self.until("Open", True)
        await asyncio.to_thread(server.play, sample.path, speaker)
        return str(await self.client.call("StopDictation"))

    async def get(self, name: str, interface: str = MICROPHONE) -> Any:
        return await self.client.get(interface, name)

    async def until(self, name: str, value: Any, interface: str = MICROPHONE, patience_s: float = PATIENCE_S) -> None:
        """Wait until a property has that value; show the log if it never has."""
        deadline_s = time.monotonic() + patience_s
        while (last := await self.get(name, interface)) != value:
            if time.monotonic() > deadline_s:
                raise AssertionError(f"{name} is {last!r} and never became {value!r}\n{self.log}")
            await asyncio.sleep(0.02)

    async def change(self, name: str, fits: Callable[[Any], bool], *, after_s: float) -> float:
        """Return the monotonic time at which PropertiesChanged published a matching value, after a time."""

        def told() -> float | None:
            self._take()
            return next((at for at, key, value in self.changes if at >= after_s and key == name and fits(value)), None)

        found = await eventually(told, what=f"a change of {name}; the log:\n{self.log}")
        assert found is not None
        return found

    async def state(self, *wanted: str) -> None:
        """Wait until the daemon is in one of these states."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (state := await self.get("State", DICTATION)) not in wanted:
            if time.monotonic() > deadline_s:
                raise AssertionError(f"state {state}, not {' or '.join(wanted)}\n{self.log}")
            await asyncio.sleep(0.02)

    def cpu_s(self) -> float:
        """Return the daemon's processor time in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def _take(self) -> None:
        new = self.client.signals[self._taken :]
        self._taken += len(new)
        for told in new:
            if told.member == "PropertiesChanged":
                self.changes += [(time.monotonic(), key, value.value) for key, value in told.body[1].items()]

    async def follow(self) -> None:
        """Record changes as they arrive."""
        while True:
            self._take()
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def dictating(
    server: SoundServer,
    bus: PrivateBus | None = None,
    config: Path | None = None,
    program: str = "coldvoxd",
    extra_environment: Mapping[str, str] = MappingProxyType({}),
    patience_s: float = PATIENCE_S,
    **settings: str,
) -> AsyncIterator[Dictating]:
    """Run the daemon with the bundled model on this sound server.

    `settings` are those of [microphone] in the form of environment variables. `config` is a settings file, for values
    that change at a reload; `program` a module to run instead of the daemon's.
    """
    with (
        contextlib.nullcontext(bus) if bus else PrivateBus() as session_bus,
        tempfile.TemporaryDirectory(prefix="coldvox-daemon-") as place,
    ):
        log = Path(place) / "log"
        environment = server.environment() | {
            "DBUS_SESSION_BUS_ADDRESS": session_bus.address,
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={place}/no-system-bus",
            "COLDVOXD_MODEL_NAME": "mini",
            "PYTHONPATH": str(ROOT),
            **{f"COLDVOXD_MICROPHONE_{name.upper()}": value for name, value in settings.items()},
            **extra_environment,
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", program, *(["--config", str(config)] if config else [])],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            async with BusClient(session_bus.address) as client:
                await client.subscribe()
                daemon = Dictating(process, client, log)
                await _until_it_answers(daemon, patience_s)
                following = asyncio.create_task(daemon.follow())
                try:
                    yield daemon
                finally:
                    following.cancel()
        except BaseException:
            print(log.read_text(errors="replace"))
            raise
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _until_it_answers(daemon: Dictating, patience_s: float) -> None:
    deadline_s = time.monotonic() + patience_s
    while True:
        assert daemon.process.poll() is None, daemon.log
        with contextlib.suppress(BusError):
            if await daemon.get("State", DICTATION) != "loading" and await daemon.get("ExecutionProvider", ENGINE):
                return
        assert time.monotonic() < deadline_s, daemon.log
        await asyncio.sleep(0.05)


def words(text: str) -> "Counter[str]":
    return Counter(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower()))


def lost_words(transcript: str, *spoken: Sample) -> int:
    """Return how many words that the model recognizes in these recordings are missing in the transcript."""
    expected = sum((words(sample.heard["fp32"]) for sample in spoken), Counter[str]())
    return (expected - words(transcript)).total()
