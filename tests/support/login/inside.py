"""Common parts of the long trials, which run as a user's program beside the real service, as clients of its bus."""

import asyncio
import contextlib
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldvoxd.bus.connection import session_address
from coldvoxd.bus.interface_xml import BUS_NAME, ENGINE
from coldvoxd.virtual.client import CommandRefused, command
from tests.support.bus.private_bus import BusClient, BusError
from tests.support.login.login import UNIT, Sample, samples
from tests.support.login.user_manager import ROOT, UserManager, install_daemon, user_manager

PAUSE_MS = 900
"""Milliseconds between two sentences: more than hangover_ms, so that they are two utterances."""

SETTINGS = """\
[model]
name = "mini"
provider = "{provider}"
[microphone]
device = "virtual:{runtime}/coldvoxd/mic"
[replacement]
quiet_s = 1.0
cool_down_s = 0.0
"""

_UNLIMITED = "[Unit]\nStartLimitIntervalSec=0\n"


class Trial(UserManager):
    """A login with the shipped virtual microphone and, if requested, the virtual accelerator."""

    def install(self, *, accelerator: bool = False) -> None:
        """Install and start the service, without a restart limit."""
        self.write(f".config/systemd/user/{UNIT}.d/trial.conf", _UNLIMITED)
        provider = f"virtual:{self.runtime}/coldvoxd/gpu" if accelerator else "cpu"
        install_daemon(self, SETTINGS.format(runtime=self.runtime, provider=provider))
        self.systemctl("enable", UNIT)  # systemd forgets the restart count of a unit that no other unit wants
        self.systemctl("start", UNIT)

    def perform(self, module: str, *arguments: str, patience_s: float) -> dict[str, Any]:
        """Run a trial of tests.support.faults; return its findings. Its progress goes to standard error."""
        program = (sys.executable, "-m", f"tests.support.faults.{module}", *arguments)
        done = self.run(*program, environment={"PYTHONPATH": str(ROOT)}, patience_s=patience_s, check=False)
        print(done.stderr, file=sys.stderr)
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"{module}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}") from None
        return found


@contextlib.contextmanager
def trial(*, accelerator: bool = False) -> Iterator[Trial]:
    """Run a login with the service started; print its journal if the body fails."""
    with user_manager(kind=Trial) as here:
        try:
            here.install(accelerator=accelerator)
            yield here
        except BaseException:
            print(here.journal(), here.logs(), file=sys.stderr)
            raise


@dataclass(frozen=True, slots=True)
class Said:
    """A spoken sentence."""

    sample: Sample
    heard_s: float
    """Loop time at which the microphone had delivered all of it; infinity if it had not."""


class Scene:
    """A witness on the bus, the microphone's commands, and the daemon's process."""

    def __init__(self, witness: BusClient, chance: random.Random) -> None:
        self.witness = witness
        self.chance = chance
        self.runtime = Path(os.environ["XDG_RUNTIME_DIR"])

    async def pid(self) -> int:
        """Return the daemon's process ID, 0 if its name has no owner."""
        try:
            return int(await self.ask_bus("GetConnectionUnixProcessID", BUS_NAME))
        except BusError:
            return 0

    async def ask_bus(self, member: str, name: str) -> Any:
        """Call the bus itself. Raises BusError."""
        bus = "org.freedesktop.DBus"
        path = "/org/freedesktop/DBus"
        return await self.witness.call(member, "s", name, interface=bus, destination=bus, path=path)

    async def show(self, what: str) -> str:
        """Return a property of the unit."""
        return (await _output("systemctl", "--user", "show", "--value", f"--property={what}", UNIT)).strip()

    async def journal(self) -> str:
        return await _output("journalctl", "--user", "--user-unit", UNIT, "--no-pager", "--output=cat")

    async def command(self, stand_in: str, line: str) -> str:
        return await asyncio.to_thread(command, self.runtime / "coldvoxd" / stand_in, line)

    async def until(self, probe: Callable[[], Any], what: str, patience_s: float = 60.0) -> Any:
        """Return the first true result of a function, or of a coroutine that it returns."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + patience_s
        while True:
            answer = probe()
            answer = await answer if asyncio.iscoroutine(answer) else answer
            if answer:
                return answer
            if loop.time() > deadline_s:
                raise AssertionError(f"{what} did not come within {patience_s:g} s")
            await asyncio.sleep(0.02)

    async def loaded(self) -> None:
        """Wait until the model is loaded and a session can start."""

        async def idle() -> bool:
            with contextlib.suppress(BusError):
                return bool(await self.witness.get("org.coldvox.Dictation1", "State") == "idle")
            return False

        await self.until(idle, "an idle daemon")

    async def provider(self) -> str:
        return str(await self.witness.get(ENGINE, "ExecutionProvider"))

    async def speak(self, sentences: list[Sample], said: list[Said]) -> None:
        """Speak sentences with pauses; record in `said` which were heard whole. End early if the microphone ends."""
        loop = asyncio.get_running_loop()
        for sample in sentences:
            said.append(Said(sample, float("inf")))
            try:
                await self.command("mic", f"SPEAK {sample.file}")
                said[-1] = Said(sample, loop.time())
                await self.command("mic", f"SILENCE {PAUSE_MS}")
            except (OSError, CommandRefused):
                return


@asynccontextmanager
async def scene(seed: int) -> AsyncIterator[Scene]:
    async with BusClient(session_address()) as witness:
        await witness.subscribe()
        stage = Scene(witness, random.Random(seed))
        await stage.loaded()
        yield stage


def sentences(chance: random.Random, count: int) -> list[Sample]:
    return chance.sample(samples(), count)


def report(found: Mapping[str, Any]) -> int:
    print(json.dumps(found, indent=2))
    return 0 if found["passed"] else 1


async def _output(*program: str) -> str:
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode(errors="replace")
