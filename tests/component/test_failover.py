"""From the accelerator to the CPU and back, with real recognizers of the bundled model behind the shipped stand-in.

No GPU takes part: the accelerator is a real ONNX Runtime session on the CPU whose faults are injected.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coldvoxd.asr.parakeet import ParakeetRecognizer
from coldvoxd.core.failover import FaultClass, Phase, Reason
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Precision, Utterance
from coldvoxd.models import find_model
from coldvoxd.supervisor import Ladder, Supervisor
from coldvoxd.virtual.accelerator import PROVIDER, VirtualAccelerator
from coldvoxd.virtual.client import command
from tests.support.eventually import eventually
from tests.support.speech import samples

CPU = "CPUExecutionProvider"


def open_mini() -> Recognizer:
    return ParakeetRecognizer.open(find_model("mini", Precision.FP32))


@dataclass
class Stage:
    """A supervisor with an accelerator that is told how to fail."""

    socket: Path
    supervisor: Supervisor
    seen: list[EngineStatus] = field(default_factory=list)

    async def tell(self, line: str) -> str:
        return await asyncio.to_thread(command, self.socket, line)

    async def hear(self, number: int) -> Hypothesis:
        sample = samples()[number % len(samples())]
        return await self.supervisor.recognize(Utterance(number + 1, 1, 0, sample.wave(), EndReason.ENDPOINT))

    def probe_now(self) -> None:
        """Don't wait for the pause."""
        timer = self.supervisor._pause
        assert timer is not None
        timer.cancel()
        from coldvoxd.core.failover import ProbeDue

        self.supervisor._tell(ProbeDue())

    @property
    def degraded(self) -> str:
        return self.supervisor.status.degraded


def heard(number: int) -> str:
    """What the reference hears in a sample."""
    return samples()[number % len(samples())].heard["fp32"]


@asynccontextmanager
async def stage(tmp_path: Path, *before: str) -> AsyncIterator[Stage]:
    socket = tmp_path / "gpu"
    accelerator = VirtualAccelerator(socket, open_mini)
    golden = samples()[2].wave()
    seen: list[EngineStatus] = []
    supervisor = Supervisor(
        Ladder(open_mini, accelerator.open, "virtual", golden),
        EngineStatus(model="mini", precision="fp32"),
        lambda: seen.append(supervisor.status),
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
    await eventually(lambda: staged.supervisor.status.provider == PROVIDER, what="the accelerator in use")


async def test_the_cpu_serves_while_the_accelerator_loads_and_the_golden_clip_decides(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        assert staged.supervisor.status.provider == CPU
        assert (await staged.hear(0)).text == heard(0)
        await on_accelerator(staged)
        hypothesis = await staged.hear(0)
        assert (hypothesis.text, hypothesis.provider, staged.degraded) == (heard(0), PROVIDER, "")


@pytest.mark.parametrize(
    ("fault", "reason", "settled"),
    [
        ("memory", "gpu-out-of-memory", False),
        ("fault", "gpu-fault", False),
        ("nan", "gpu-wrong-output", False),
        ("illegal", "gpu-fault", True),
        ("lost", "gpu-lost", True),
    ],
)
async def test_a_fault_in_a_run_costs_no_word_and_is_told(
    tmp_path: Path, fault: str, reason: str, settled: bool
) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell(f"FAULT {fault}")
        hypothesis = await staged.hear(1)
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)
        assert (staged.supervisor.status.provider, staged.degraded) == (CPU, reason)
        assert staged.supervisor.wants_new_process is settled
        assert (await staged.hear(2)).text == heard(2)


async def test_a_burst_of_ten_with_a_fault_in_it_comes_out_whole_and_in_order(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT memory 3")
        texts = [(await staged.hear(number)).text for number in range(10)]
        assert texts == [heard(number) for number in range(10)]


async def test_utterances_begun_together_all_survive_a_fault(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT fault 4")
        hypotheses = await asyncio.gather(*(staged.hear(number) for number in range(6)))
        assert [hypothesis.text for hypothesis in hypotheses] == [heard(number) for number in range(6)]
        assert staged.supervisor._state.faults == 1, "late faults of the same fall count once"


async def test_a_probe_that_passes_comes_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT memory")
        await staged.hear(0)
        staged.probe_now()
        await on_accelerator(staged)
        assert staged.degraded == ""
        assert (await staged.hear(1)).provider == PROVIDER


@pytest.mark.parametrize("line", ["FAULT wrong 2", "FAULT empty 2", "FAULT nan 2", "REFUSE memory"])
async def test_a_probe_that_fails_stays_on_the_cpu(tmp_path: Path, line: str) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT memory")
        await staged.hear(0)
        await staged.tell(line)
        staged.probe_now()
        await eventually(lambda: staged.supervisor._state.faults == 2)
        assert staged.supervisor.status.provider == CPU
        assert staged.supervisor._state.phase is Phase.ON_CPU
        hypothesis = await staged.hear(1)
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("REFUSE absent", "no-gpu"),
        ("REFUSE driver", "driver-mismatch"),
        ("REFUSE memory", "gpu-out-of-memory"),
        ("FAULT wrong 2", "gpu-wrong-output"),
        ("FAULT empty 2", "gpu-wrong-output"),
        ("FAULT nan 2", "gpu-wrong-output"),
    ],
)
async def test_an_accelerator_that_fails_at_load_leaves_the_cpu_serving(tmp_path: Path, line: str, reason: str) -> None:
    async with stage(tmp_path, line) as staged:
        await eventually(lambda: staged.degraded == reason, what=reason)
        hypothesis = await staged.hear(0)
        assert (hypothesis.text, hypothesis.provider) == (heard(0), CPU)


async def test_a_run_that_hangs_is_hedged_and_its_lane_left_behind(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("HANG 30000")
        hypothesis = await staged.hear(1)
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)
        await eventually(lambda: staged.degraded == "gpu-timeout")
        loop = asyncio.get_running_loop()
        assert staged.supervisor.promise_kept(loop.time() + 1), "an abandoned lane starves no watchdog"
        assert (await staged.hear(2)).text == heard(2)


async def test_a_run_that_is_only_slow_keeps_the_accelerator(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("HANG 1500")
        assert (await staged.hear(1)).text == heard(1)
        await eventually(
            lambda: (
                staged.supervisor._accelerator is not None and staged.supervisor._accelerator._lane.busy_since_s is None
            )
        )
        assert (staged.supervisor.status.provider, staged.degraded) == (PROVIDER, "")
        assert (await staged.hear(2)).provider == PROVIDER


async def test_a_fault_of_both_is_told_and_never_an_empty_text(tmp_path: Path) -> None:
    """Pins that the accelerator's fault does not hide the CPU's."""
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT memory")
        staged.supervisor._cpu.drop()
        from coldvoxd.core.errors import RecognitionFailed

        with pytest.raises(RecognitionFailed):
            await staged.hear(0)


async def test_a_failover_is_one_state_for_people(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        staged.seen.clear()
        await staged.tell("FAULT memory")
        await staged.hear(0)
        told = [(status.provider, status.degraded) for status in staged.seen]
        assert told[-1] == (CPU, "gpu-out-of-memory")
        assert (CPU, "") not in told, "never healthy on the CPU in between"


def test_reasons_and_classes_have_names_for_people() -> None:
    assert all(reason.value == reason.value.lower() for reason in Reason)
    assert {fault_class.value for fault_class in FaultClass} == {"transient", "sticky", "absent", "unhealthy"}
