"""A supervisor with a virtual accelerator, whose faults are injected over its socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from coldvoxd.core.failover_state import ProbeDue
from coldvoxd.core.metrics import Count
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.accelerator import Accelerator
from coldvoxd.recognition.backends import Backends, Golden
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.run_times import STANDARD, RunLimits
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.recognition.worker import RecognizerWorker
from coldvoxd.virtual.accelerator import PROVIDER, VirtualAccelerator
from coldvoxd.virtual.client import command
from coldvoxd.virtual.faults import Wrap
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

CPU = "CPUExecutionProvider"


def open_mini(wrap: Wrap = lambda session: session) -> Recognizer:
    return ParakeetRecognizer.open(find_model("mini", Precision.FP32), wrap=wrap)


@dataclass
class Stage:
    """A supervisor with an accelerator whose faults are scripted."""

    socket: Path
    supervisor: Supervisor
    seen: list[EngineStatus] = field(default_factory=list)

    async def tell(self, line: str) -> str:
        return await asyncio.to_thread(command, self.socket, line)

    async def hear(self, number: int) -> Hypothesis:
        sample = samples()[number % len(samples())]
        return await self.supervisor.recognize(
            Utterance(number + 1, 1, 0, sample.wave(), EndReason.ENDPOINT, speech_samples=len(sample.wave()))
        )

    def probe_now(self) -> None:
        """Probe now instead of after the pause."""
        timer = self.supervisor._failover._pause
        assert timer is not None
        timer.cancel()
        self.supervisor._failover._step(ProbeDue())

    def count(self, what: Count) -> int:
        return self.supervisor._metrics.figures().counts[what]

    @property
    def accelerator(self) -> Accelerator:
        accelerator = self.supervisor._failover._accelerator
        assert accelerator is not None
        return accelerator

    @property
    def degraded(self) -> str:
        return self.supervisor.state.engine.degraded


async def fact(staged: Stage, name: str) -> int:
    """Return a number from the virtual accelerator's STATUS."""
    facts = dict(pair.split("=") for pair in (await staged.tell("STATUS")).split()[1:])
    return int(facts[name])


def heard(number: int) -> str:
    """Return the reference's text for a sample."""
    return samples()[number % len(samples())].heard["fp32"]


@asynccontextmanager
async def stage(
    tmp_path: Path, *before: str, readiness: Readiness = Readiness.WARM, limits: RunLimits = STANDARD
) -> AsyncIterator[Stage]:
    socket = tmp_path / "gpu"
    accelerator = VirtualAccelerator(socket, open_mini)
    golden = samples()[2].wave()
    seen: list[EngineStatus] = []
    supervisor = Supervisor(
        Backends(
            accelerator.open_on_cpu,
            accelerator.open,
            "virtual",
            Golden(golden),
            readiness=readiness,
            cpu_mapped=open_mini,
            limits=limits,
        ),
        EngineStatus(),
        lambda: seen.append(supervisor.state.engine),
    )
    staged = Stage(socket, supervisor, seen)
    for line in before:
        await staged.tell(line)
    await supervisor.load()
    try:
        yield staged
    finally:
        supervisor.close()
        accelerator.close()


async def on_accelerator(staged: Stage) -> None:
    await eventually(lambda: staged.supervisor.state.engine.provider == PROVIDER, what="the accelerator in use")


async def recognition_under_way(staged: Stage, number: int, worker: RecognizerWorker) -> asyncio.Task[Hypothesis]:
    """Start a recognition and return it once this worker is running it."""
    task = asyncio.create_task(staged.hear(number))
    await eventually(lambda: worker._thread.busy_since_s is not None, what="a run in progress")
    return task


async def given_up(task: asyncio.Task[Hypothesis]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
