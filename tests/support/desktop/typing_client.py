"""coldvox-type as a real process, on a private bus on which the test publishes the texts."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from coldvoxd.core.seams import SeamedText
from coldvoxd.core.values import SessionOptions, StopReason, Transcript
from coldvoxd.typist.ledger import Ledger
from tests.support.bus.notifications import NotificationService
from tests.support.bus.private_bus import PrivateBus, RunningService, running_service
from tests.support.eventually import PATIENCE_S, eventually

ROOT = Path(__file__).parents[3]

_AT_START = ("ready", "texts cannot be typed yet: ", "another coldvox-type is running: ")


class TypingProcess:
    """The client's process on the bus at an address; `told` are its reports."""

    def __init__(self, address: str, environment: Mapping[str, str], directory: Path) -> None:
        self.environment = {
            **environment,
            "DBUS_SESSION_BUS_ADDRESS": address,
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(directory / "config"),
        }
        self.settings = directory / "config" / "coldvoxd" / "type.toml"
        self.settings.parent.mkdir(parents=True, exist_ok=True)
        self.memory = Path(environment["XDG_RUNTIME_DIR"]) / "coldvox-type"
        self._log = directory / "coldvox-type.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def told(self) -> list[str]:
        """Its reports, without those of its start."""
        return [line for line in self._lines() if not line.startswith(_AT_START)]

    @property
    def notices(self) -> list[str]:
        """What it reported at its start."""
        return [line for line in self._lines() if line.startswith(_AT_START) and line != "ready"]

    def _lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    async def begin(self) -> None:
        """Start the client; it is listening when this returns."""
        with self._log.open("ab") as log:
            before = self._log.read_text().count("ready\n")
            self._process = subprocess.Popen(self.command(), env=self.environment, stdout=log, stderr=log)
        await eventually(lambda: self._log.read_text().count("ready\n") > before, what="coldvox-type")

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)

    def ask_to_end(self) -> None:
        """Send SIGTERM without waiting for its end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    async def has_ended(self) -> int:
        """Wait for its end; return its exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, PATIENCE_S)

    def kill(self) -> None:
        """Kill the client, as a crash would."""
        self.end(signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Within the context, the client does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def offers(self) -> bool:
        """Return whether a program of the client offers a text to a paste."""
        return any("--foreground" in command or "-verbose" in command for command in self.children().values())

    async def last(self) -> tuple[int, str]:
        """Run `coldvox-type --last`; return its exit code and output."""
        return await self._run("--last")

    async def allow(self) -> tuple[int, str]:
        """Run `coldvox-type --allow`; return its exit code and output."""
        return await self._run("--allow")

    async def _run(self, option: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *self.command(option), env=self.environment, stderr=asyncio.subprocess.PIPE
        )
        _, words = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode is not None
        return process.returncode, words.decode().strip()

    @property
    def undelivered(self) -> str:
        """The texts that it keeps for `--last`, joined; empty if there are none."""
        return Ledger(self.memory).undelivered()

    @property
    def place(self) -> Mapping[str, object]:
        """What it keeps of the place behind the last text; empty if nothing."""
        return Ledger(self.memory).place()

    def children(self) -> dict[int, str]:
        """Return the command line of each program that the client runs, by process ID."""
        assert self._process is not None
        found = {}
        for number in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                found[int(number)] = Path(f"/proc/{number}/cmdline").read_text().replace("\0", " ").strip()
        return found

    def command(self, *arguments: str) -> list[str]:
        """Return its command line."""
        return [sys.executable, "-m", "coldvoxd.typist", *arguments]


class TypingClient(TypingProcess):
    """A client with a service that publishes what a test says."""

    def __init__(self, running: RunningService, environment: Mapping[str, str], directory: Path) -> None:
        super().__init__(running.bus.address, environment, directory)
        self.running = running

    async def hear(self, *texts: str) -> str:
        """Publish these texts in one session, one by one; return the report of the last."""
        self.running.control.start(":1.0", SessionOptions(), 0.0)
        for text in texts:
            expected = len(self.told) + 1
            self.running.control.say(text)
            await self._until_told(expected)
        self.running.control.toggle(":1.0", 0.0)
        return self.told[-1]

    async def say_all(self, *texts: str) -> None:
        """Publish these texts in one session at once, without waiting for their outcomes."""
        self.running.control.start(":1.0", SessionOptions(), 0.0)
        for text in texts:
            self.running.control.say(text)
        self.running.control.toggle(":1.0", 0.0)

    def start(self) -> None:
        """Start a session."""
        self.running.control.start(":1.0", SessionOptions(), 0.0)

    def say(self, seam: str, body: str, pending: str) -> None:
        """Publish a text of the session as a daemon with seams does, without waiting for its outcome."""
        text = body[:1].upper() + body[1:] + pending
        self.running.control.say(text, seamed=SeamedText(body, pending, seam))

    async def hear_next(self, seam: str, body: str, pending: str) -> str:
        """Publish a text like `say`, wait for its outcome, and return the report."""
        expected = len(self.told) + 1
        self.say(seam, body, pending)
        await self._until_told(expected)
        return self.told[-1]

    def close_sentence(self) -> None:
        """Publish that the sentence of the session's last text is over."""
        self.running.control.close_sentence()

    def stop(self, reason: StopReason = StopReason.STOPPED) -> None:
        """End the session."""
        self.running.control.finish(reason)

    def again(self, session: int, utterance: int, text: str, seamed: SeamedText | None = None) -> None:
        """Publish a text again, as a daemon does after a restart."""
        known = Transcript(
            session,
            utterance,
            text,
            0.0,
            1.0,
            0.5,
            "CPUExecutionProvider",
            1.0,
            retried=True,
            seamed=seamed or SeamedText(text, "", " "),
        )
        self.running.announcer.transcribed(known, with_words=False, to=None)

    async def _until_told(self, lines: int) -> None:
        await eventually(lambda: len(self.told) >= lines, what="what became of the text")


@asynccontextmanager
async def typing_client(environment: Mapping[str, str], directory: Path) -> AsyncIterator[TypingClient]:
    """Run the client with a desktop's notification service: `client.shown`."""
    with PrivateBus() as bus:
        async with running_service(bus) as running:
            client = TypingClient(running, environment, directory)
            await client.begin()
            try:
                yield client
            finally:
                print("\n".join(client.told))
                client.end(signal.SIGKILL)


@asynccontextmanager
async def notifications(client: TypingClient) -> AsyncIterator[NotificationService]:
    async with NotificationService(client.running.bus.address) as desktop:
        yield desktop
