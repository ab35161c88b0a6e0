"""The real daemon on a private bus, with the shipped virtual microphone and accelerator, for a fault matrix row."""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from coldvoxd.bus.interface_xml import BUS_NAME, ENGINE
from coldvoxd.bus.library import Message
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.published import plain
from tests.support.eventually import eventually
from tests.support.faults.matrix_rows import Row
from tests.support.sound.speech import samples

CPU = "CPUExecutionProvider"
ACCELERATOR = "VirtualExecutionProvider"
PATIENCE_S = 60.0
LOST_AUDIO = re.compile(r"audio lost.*")
"""In the daemon's log when it, or its microphone, got no processor time for longer than its queues last."""
PAUSE_MS = 500
"""Milliseconds of silence after each sample, so that the next is a separate utterance."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A bus client's view of a row."""

    row: str
    moment: str
    utterances: int
    lost: int
    doubled: int
    wrong: int
    recovery_ratio: float | None
    """Time from detection to text, relative to a plain CPU recognition in the same run; None if not measured."""
    problem: str = ""
    plays: int = 1
    """How often the row was played for this outcome."""
    partials: int = 0
    """Number of signals with words during speech."""
    starved: str = ""
    """The daemon's report of lost audio, if a row failed in which it lost some: the machine was too busy to judge the row."""

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.problem)

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        for name in ("problem", "starved"):
            if not fields[name]:
                del fields[name]
        return fields


async def play(row: Row, *, timed: bool = True, partials: bool = False, kind: "type[Stage] | None" = None) -> Outcome:
    """Play a row with a separate daemon. An error that ends the row is the outcome's `problem`.

    The recovery ratio needs two more utterances; without `timed` it is omitted. With `partials`, words are published during
    speech. A fault may then strike such a run, where it has no consequence, so no change of provider is awaited. `kind` is the
    stage with another accelerator than the virtual one.
    """
    with PrivateBus() as bus:
        directory = Path(tempfile.mkdtemp(prefix="coldvoxd-fault-"))
        stage = (kind or Stage)(row, bus, directory, timed=timed and not partials, partials=partials)
        try:
            async with TimedClient(bus.address) as client:
                outcome = await stage.play(client)
                return outcome if outcome.holds else replace(outcome, starved=stage.lost_audio)
        except Exception as error:  # noqa: BLE001 - reported, with the daemon's log
            print(f"== {row.name}: {error}\n{stage.log}", file=sys.stderr)
            said = len(stage.said)
            problem = f"{type(error).__name__}: {error}"
            return Outcome(row.name, row.moment, said, said, 0, 0, None, problem, starved=stage.lost_audio)
        finally:
            stage.stop()
            shutil.rmtree(directory)


class TimedClient(BusClient):
    """Records when each text arrived."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.texts: dict[tuple[int, int], tuple[str, float, dict[str, Any]]] = {}
        """By (session, utterance), the first of each pair, in order: text, monotonic time, details."""
        self.speech_ended_s: list[float] = []
        self.partials = 0
        """Number of words' signals of utterances that had no text yet."""
        self.late_partials = 0
        """The same of utterances that had one."""

    def _note(self, message: Message) -> None:
        super()._note(message)
        if message.member == "SpeechEnded":
            self.speech_ended_s.append(time.monotonic())
        if message.member == "PartialTranscribed" and message.sender != "org.freedesktop.DBus":
            if tuple(message.body[:2]) in self.texts:
                self.late_partials += 1
            else:
                self.partials += 1
        if message.member == "Transcribed" and message.sender != "org.freedesktop.DBus":
            session, utterance, text, details = message.body
            plain = {name: value.value for name, value in details.items()}
            self.texts.setdefault((session, utterance), (text, time.monotonic(), plain))


class Stage:
    """One daemon; call `stop` when done."""

    accelerator = ACCELERATOR
    patience_s = PATIENCE_S
    """Seconds for each wait; only a broken program takes longer."""

    def __init__(self, row: Row, bus: PrivateBus, directory: Path, *, timed: bool, partials: bool = False) -> None:
        self.row = row
        self._timed = timed
        self._partials = partials
        self.said: list[int] = []
        self._gpu = directory / "gpu"
        self._microphone = directory / "microphone"
        self._log = directory / "log"
        self._stopped: str | None = None
        self._prepare(row.before)
        settings = {
            "COLDVOXD_MODEL_NAME": "mini",
            "COLDVOXD_MODEL_PROVIDER": self._provider(),
            "COLDVOXD_MICROPHONE_DEVICE": f"virtual:{self._microphone}",
            "XDG_RUNTIME_DIR": str(directory),
            "XDG_CONFIG_HOME": str(directory),
            "HOME": str(directory),
        }
        if timed:  # a recognition that starts before the endpoint would make the comparison meaningless
            settings["COLDVOXD_DICTATION_SPECULATE"] = "false"
        if partials:
            settings["COLDVOXD_DICTATION_PARTIALS"] = "true"
        inherited = {
            name: value for name, value in bus.environment.items() if not name.startswith(("COLDVOXD_", "NOTIFY_"))
        }
        with self._log.open("wb") as log:
            self._daemon = subprocess.Popen(
                [self._python(), "-m", "coldvoxd"],
                env=inherited | settings | self._more_environment() | dict(row.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[3],
            )

    def _prepare(self, before: Sequence[str]) -> None:
        """Have these commands carried out before a model is loaded."""
        self._gpu.with_name("gpu.script").write_text("".join(f"{line}\n" for line in before))

    def _provider(self) -> str:
        """Return the daemon's setting."""
        return f"virtual:{self._gpu}"

    def _python(self) -> str:
        return sys.executable

    def _more_environment(self) -> dict[str, str]:
        return {}

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")[-6000:]

    @property
    def lost_audio(self) -> str:
        """What the daemon reported of lost audio, which no row causes; empty if nothing was lost."""
        found = LOST_AUDIO.search(self._log.read_text(errors="replace"))
        return found[0] if found else ""

    def stop(self) -> None:
        self._daemon.terminate()
        try:
            self._daemon.wait(10)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()

    async def play(self, client: TimedClient) -> Outcome:
        await client.subscribe()
        await self._until_served(client)
        if not self.row.before:
            await self._until(client, "ExecutionProvider", self.accelerator)
            await self._until_warm()
        await client.call("StartDictation")
        for act in self.row.acts.split("; "):
            await self._act(client, act)
        if self._stopped is None:
            await self._stop_dictation(client)
        return await self._judge(client)

    async def _until_warm(self) -> None:
        """Wait until the accelerator is not occupied by anything but utterances."""

    async def _act(self, client: TimedClient, act: str) -> None:
        match act.split():
            case ["say", *numbers]:
                for number in numbers:
                    self.said.append(int(number))
                    await self._speak(int(number))
            case ["hear"]:
                await eventually(
                    lambda: len(client.texts) >= len(self.said),
                    patience_s=self.patience_s,
                    what="the texts of all utterances",
                )
            case ["on", "cpu"] | ["degraded", _] if self._partials:
                pass
            case ["on", place]:
                await self._until(client, "ExecutionProvider", {"cpu": CPU, "gpu": self.accelerator}[place])
            case ["degraded", code]:
                await self._until(client, "Degraded", code)
            case ["stop"]:
                await self._stop_dictation(client)
            case _:
                await self._command_accelerator(act)

    async def _judge(self, client: TimedClient) -> Outcome:
        heard = [plain(text) for text, _, _ in client.texts.values()]
        wanted = [plain(samples()[number].heard["fp32"]) for number in self.said]
        missing, surplus = Counter(wanted) - Counter(heard), Counter(heard) - Counter(wanted)
        doubled = sum(count for text, count in surplus.items() if text in wanted)
        wrong = surplus.total() - doubled
        if not missing and not surplus and heard != wanted:
            wrong += 1  # out of order
        if plain(self._stopped or "") != " ".join(heard):
            wrong += 1  # StopDictation differs from the signals
        wrong += client.late_partials
        ratio = None
        if self._timed and self.row.on_cpu and heard == wanted:
            ratio = await self._recovery_ratio(client)
        said, lost = len(self.said), missing.total()
        return Outcome(self.row.name, self.row.moment, said, lost, doubled, wrong, ratio, partials=client.partials)

    async def _recovery_ratio(self, client: TimedClient) -> float:
        """Compare detection to text of the affected utterance with a plain recognition of it on the CPU."""
        _, came_s, details = list(client.texts.values())[self.row.struck]
        assert details["provider"] == CPU, f"the struck utterance was recognized on {details['provider']}"
        status = dict(pair.split("=") for pair in (await self._command_accelerator("STATUS")).split())
        if self.row.hedged:
            hedge = re.search(r"also starting it on the CPU after ([0-9.]+) s", self._log.read_text(errors="replace"))
            assert hedge is not None, "the journal reports no hedge"
            detected_s = float(status["run_s"]) + float(hedge[1])
        else:
            detected_s = float(status["fault_s"])
        plain_s = await self._plain_recognition_s(client)
        return round((came_s - detected_s) / plain_s, 2)

    async def _plain_recognition_s(self, client: TimedClient) -> float:
        """Speak the same twice, without faults and on the CPU; return the average seconds from endpoint to text."""
        await self._command_accelerator("WELL")
        await self._command_accelerator("REFUSE absent 9")  # the accelerator must not return during the comparison
        before = len(client.texts)
        client.speech_ended_s.clear()
        await client.call("StartDictation")
        for _ in range(2):
            await self._speak(self.said[self.row.struck])
        await eventually(
            lambda: len(client.texts) == before + 2, patience_s=self.patience_s, what="two plain recognitions"
        )
        await client.call("StopDictation")
        took_s = [
            came_s - ended_s
            for (_, came_s, details), ended_s in zip(
                list(client.texts.values())[before:], client.speech_ended_s, strict=True
            )
            if details["provider"] == CPU
        ]
        assert took_s, "nothing was recognized on the CPU to compare with"
        return sum(took_s) / len(took_s)

    async def _speak(self, number: int) -> None:
        await asyncio.to_thread(command, self._microphone, f"SPEAK {samples()[number].path}", timeout_s=self.patience_s)
        await asyncio.to_thread(command, self._microphone, f"SILENCE {PAUSE_MS}", timeout_s=self.patience_s)

    async def _stop_dictation(self, client: TimedClient) -> None:
        self._stopped = str(await client.call("StopDictation"))
        await client.settle()

    async def _command_accelerator(self, line: str) -> str:
        return await asyncio.to_thread(command, self._gpu, line)

    async def _until_served(self, client: TimedClient) -> None:
        while True:
            assert self._daemon.poll() is None, f"the daemon ended with {self._daemon.returncode}"
            owned = await client.call(
                "NameHasOwner",
                "s",
                BUS_NAME,
                interface="org.freedesktop.DBus",
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
            )
            if owned:
                return
            await asyncio.sleep(0.05)

    async def _until(self, client: TimedClient, name: str, wanted: str) -> None:
        """Wait until a property of the engine has a value; `*` for any non-empty one."""
        deadline_s = time.monotonic() + self.patience_s
        while True:
            value = await client.get(ENGINE, name)
            if value == wanted or (wanted == "*" and value):
                return
            assert time.monotonic() < deadline_s, f"{name} stays {value!r}, and {wanted!r} was to come"
            await asyncio.sleep(0.05)
