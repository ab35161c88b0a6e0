"""From the accelerator to the CPU and back, with real recognizers of the bundled model behind the virtual accelerator.

No GPU is used: the accelerator is a real ONNX Runtime session on the CPU with injected faults.
"""

import asyncio
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault, Stopped
from coldvoxd.core.failover_state import FaultClass, Phase, Reason
from coldvoxd.core.metrics import Count
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, EngineStatus, Utterance
from coldvoxd.native.providers import likely_accelerators
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.factory import find_backends
from coldvoxd.recognition.run_times import RunLimits
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.accelerator import PROVIDER
from coldvoxd.virtual.faults import FaultyRecognizer, Plan, Script
from tests.support.eventually import eventually
from tests.support.failover_stage import (
    CPU,
    fact,
    given_up,
    heard,
    on_accelerator,
    open_mini,
    recognition_under_way,
    stage,
)
from tests.support.sound.speech import samples


async def test_the_cpu_serves_while_the_accelerator_loads_and_the_golden_clip_decides(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        assert staged.supervisor.state.engine.provider == CPU
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
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (CPU, reason)
        assert staged.supervisor.state.wants_new_process is settled
        assert (await staged.hear(2)).text == heard(2)


async def test_a_provider_is_usable_once_it_passed_its_trial_and_stays_so_while_time_may_heal_it(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as staged:
        assert staged.seen[0].usable_providers == ()
        assert staged.supervisor.state.engine.usable_providers == ("cpu",)
        await on_accelerator(staged)
        assert set(staged.supervisor.state.engine.usable_providers) == {"virtual", "cpu"}
        await staged.tell("FAULT memory")
        await staged.hear(1)
        assert staged.degraded == "gpu-out-of-memory"
        assert set(staged.supervisor.state.engine.usable_providers) == {"virtual", "cpu"}
        await staged.tell("FAULT wrong 2")
        staged.probe_now()
        await eventually(lambda: staged.degraded == "gpu-wrong-output")
        assert staged.supervisor.state.engine.usable_providers == ("cpu",)
        staged.probe_now()
        await on_accelerator(staged)
        assert set(staged.supervisor.state.engine.usable_providers) == {"virtual", "cpu"}


async def test_a_provider_that_is_compiled_in_and_absent_is_not_usable(tmp_path: Path) -> None:
    async with stage(tmp_path, "REFUSE absent") as staged:
        await eventually(lambda: staged.degraded == "no-gpu")
        assert staged.supervisor.state.engine.usable_providers == ("cpu",)


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
        assert staged.supervisor.state.failover.faults == 1, "late faults of the same failover count once"


@pytest.mark.parametrize("late", [False, True])
async def test_a_fault_of_a_run_that_was_dropped_is_the_accelerators_all_the_same(tmp_path: Path, late: bool) -> None:
    """A run that started at a pause may fail after the speaker has continued and before it ends."""
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        assert (await staged.hear(0)).provider == PROVIDER
        runs = await fact(staged, "runs")
        await staged.tell(f"FAULT memory 1 encoder {3000 if late else 300}")
        if late:
            await staged.tell("CPU HANG 2000")
        dropped = asyncio.create_task(staged.hear(1))
        while await fact(staged, "runs") == runs:
            await asyncio.sleep(0.01)
        if late:
            await eventually(lambda: staged.count(Count.HEDGES) == 1, what="the CPU's run of it")  # which takes seconds
        dropped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dropped
        await eventually(lambda: staged.degraded == "gpu-out-of-memory", what="the fault reported")
        assert staged.supervisor.state.failover.faults == 1
        hypothesis = await staged.hear(2)
        assert (hypothesis.text, hypothesis.provider) == (heard(2), CPU)


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
        await eventually(lambda: staged.supervisor.state.failover.faults == 2)
        assert staged.supervisor.state.engine.provider == CPU
        assert staged.supervisor.state.failover.phase is Phase.ON_CPU
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


async def test_a_cpu_that_fails_on_the_golden_clip_leaves_the_accelerator_to_be_tried_again(tmp_path: Path) -> None:
    async with stage(tmp_path, "CPU PASS 1", "CPU FAULT nan 2") as staged:
        await eventually(lambda: staged.degraded, what="the end of the trial")
        assert staged.degraded == "gpu-fault", "not no-gpu, which is final"
        assert staged.supervisor.state.failover.phase is Phase.ON_CPU
        staged.probe_now()
        await on_accelerator(staged)
        assert staged.degraded == ""


@pytest.mark.parametrize("part", ["start", "encoder", "decoder"])
@pytest.mark.parametrize("kind", ["memory", "nan", "broken"])
async def test_a_fault_inside_a_real_run_costs_no_word(tmp_path: Path, kind: str, part: str) -> None:
    """The kind `broken` is ONNX Runtime's own exception; `nan` is the real output times NaN."""
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell(f"FAULT {kind} {part}")
        hypothesis = await staged.hear(1)
        assert hypothesis.text == heard(1)
        assert "faults=1" in await staged.tell("STATUS") or part == "start"
        assert (await staged.hear(2)).text == heard(2)


async def test_what_a_process_may_have_died_of_is_heard_again_on_the_cpu_and_counted(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("CPU FAULT empty")
        wave = samples()[1].wave()
        speech = Utterance(1, 1, 0, wave, EndReason.ENDPOINT, speech_samples=len(wave))
        hypothesis = await staged.supervisor.recognize_on_cpu(speech)
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)
        assert staged.count(Count.NO_WORDS_RETRIES) == staged.count(Count.NO_WORDS_RETRIES_RECOVERED) == 1


async def test_silence_stays_silence(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        quiet = np.random.default_rng(1).normal(0, 1e-4, 16_000).astype(np.float32)
        hypothesis = await staged.supervisor.recognize(Utterance(1, 1, 0, quiet, EndReason.ENDPOINT))
        assert hypothesis.text == ""
        assert staged.count(Count.NO_WORDS_RETRIES) == 0


@pytest.mark.parametrize("readiness", [Readiness.COLD, Readiness.MAPPED])
async def test_a_cpu_that_is_not_loaded_takes_over_all_the_same(tmp_path: Path, readiness: Readiness) -> None:
    async with stage(tmp_path, readiness=readiness) as staged:
        await on_accelerator(staged)
        standby = staged.supervisor._cpu
        await eventually(lambda: not standby.packed.is_open, what="the CPU's model released")
        await staged.tell("FAULT memory")
        hypothesis = await staged.hear(1)
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)
        await eventually(lambda: standby.packed.is_open, what="the CPU's model loaded again")
        assert (await staged.hear(2)).text == heard(2)


async def test_a_recognition_that_nobody_wants_any_more_is_stopped_and_is_no_fault(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        for number in range(5):
            dropped = asyncio.create_task(staged.hear(number))
            await asyncio.sleep(0.002 * number)  # before it starts, and later in it each time
            await given_up(dropped)
            assert (await staged.hear(number)).text == heard(number)
        assert staged.count(Count.FAULTS) == staged.count(Count.LATE_RESULTS) == 0
        assert staged.supervisor.state.engine.provider == PROVIDER


async def test_a_run_that_hangs_although_it_was_stopped_is_left_behind(tmp_path: Path) -> None:
    async with stage(tmp_path, limits=RunLimits(accelerator_run_s=0.5)) as staged:
        await on_accelerator(staged)
        await staged.tell("HANG 30000")
        await given_up(await recognition_under_way(staged, 1, staged.accelerator.worker))
        await eventually(lambda: staged.degraded == "gpu-timeout", what="the abandoned call thread")
        assert (await staged.hear(1)).text == heard(1)


async def test_a_run_on_the_cpu_that_hangs_although_it_was_stopped_is_left_behind(tmp_path: Path) -> None:
    async with stage(tmp_path, "REFUSE absent", limits=RunLimits(cpu_run_s=1.0)) as staged:
        await eventually(lambda: staged.degraded, what="an accelerator that is not there")
        await staged.tell("CPU HANG 30000")
        await given_up(await recognition_under_way(staged, 1, staged.supervisor._cpu.packed))
        assert (await staged.hear(2)).text == heard(2)


async def test_a_machine_without_an_accelerator_stays_on_the_cpu_without_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    without_driver = partial(likely_accelerators, ("/nonexistent",), Path("/nonexistent"), Path("/nonexistent"))
    supervisor = Supervisor(find_backends(ModelSettings(name="mini"), without_driver), EngineStatus())
    await supervisor.load()
    assert (supervisor.state.engine.provider, supervisor.state.engine.degraded) == (CPU, "")
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []
    supervisor.close()


async def test_an_accelerator_that_hangs_while_it_loads_is_left_behind(tmp_path: Path) -> None:
    async with stage(tmp_path, "OPENING 20000", limits=RunLimits(accelerator_load_s=0.5)) as staged:
        assert (await staged.hear(0)).text == heard(0)
        await eventually(lambda: staged.degraded == "gpu-timeout")
        assert staged.supervisor.promise_kept(asyncio.get_running_loop().time() + 1000)


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


@pytest.mark.parametrize(
    ("kind", "part"), [("memory", "decoder"), ("nan", "decoder"), ("nan", "encoder"), ("wrong", "decoder")]
)
def test_a_fault_that_was_told_waits_for_a_run_that_is_not_dropped(kind: str, part: str) -> None:
    """A run that started at a pause is dropped if the speaker continues, perhaps before the part that was to fail."""
    script = Script()
    recognizer = FaultyRecognizer(open_mini, script)
    utterance = Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT)
    script.tell(Plan(kind, part))
    dropped = CancellationToken()
    dropped.ask()
    with pytest.raises(Stopped):
        recognizer.recognize(utterance, dropped)
    assert (script.pending, script.faults) == (1, 0)
    if kind == "wrong":
        assert recognizer.recognize(utterance).text == "Something else entirely."
    else:
        with pytest.raises(ProviderFault):
            recognizer.recognize(utterance)
    assert (script.pending, script.faults) == (0, 1)
    assert recognizer.recognize(utterance).text == samples()[0].heard["fp32"]
    recognizer.close()
