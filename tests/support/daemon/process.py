"""The daemon: a real process with the shipped virtual microphone, on a private bus."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.bus.interface_xml import DICTATION
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.eventually import PATIENCE_S
from tests.support.sound.speech import Sample

ROOT = Path(__file__).parents[3]


@dataclass
class RunningDaemon:
    """A daemon that owns its name."""

    bus: PrivateBus
    process: "subprocess.Popen[bytes]"
    microphone: Path
    settings: Path
    log_file: Path
    killed: bool = False

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def client(self) -> BusClient:
        return BusClient(self.bus.address)

    async def speak(self, sample: Sample) -> None:
        """Play the sample into the microphone to its end, and then silence for longer than the hangover."""
        await asyncio.to_thread(command, self.microphone, f"SPEAK {sample.path}")
        await asyncio.to_thread(command, self.microphone, "SILENCE 1200")

    def kill(self) -> None:
        """Kill the daemon, as a crash would."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def begin_to_speak(self, sample: Sample) -> None:
        """Play the sample into the microphone to its end, without audio after it."""
        command(self.microphone, f"SPEAK {sample.path}")

    def hang_up(self) -> None:
        """Send SIGHUP, as `systemctl reload` does."""
        self.process.send_signal(signal.SIGHUP)


@asynccontextmanager
async def daemon(
    bus: PrivateBus,
    directory: Path,
    settings: str = "",
    under: Sequence[str] = (),
    until: str = "idle",
    python: str = sys.executable,
    pass_fds: Sequence[int] = (),
    exit_code: int = 0,
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[RunningDaemon]:
    """Run the daemon with the bundled model, in the state `until`; print its log at the end.

    `under` precedes its command, which `python` runs; it inherits `pass_fds`. `exit_code` is the expected one, at
    SIGTERM or before.
    """
    microphone, file, log = bus.directory / "mic", directory / "coldvoxd.toml", directory / "log"
    file.write_text(settings or default_settings(microphone))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*under, python, "-m", "coldvoxd", "--config", str(file)],
            cwd=ROOT,
            env=bus.environment,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
        )
    running = RunningDaemon(bus, process, microphone, file, log)
    try:
        async with running.client() as client, asyncio.timeout(patience_s):
            while True:
                assert process.poll() is None, running.log
                try:
                    if await client.get(DICTATION, "State") == until:
                        break
                except BusError:
                    pass
                await asyncio.sleep(0.05)
        yield running
        process.terminate()
        ended = exit_code if not running.killed else -signal.SIGKILL
        assert await asyncio.to_thread(process.wait, 30) == ended
    finally:
        process.kill()
        process.wait()
        print(running.log, end="")


def default_settings(microphone: Path) -> str:
    """Return settings with the bundled model and the virtual microphone."""
    return f'[microphone]\ndevice = "virtual:{microphone}"\n[model]\nname = "mini"\nprovider = "cpu"\n'
