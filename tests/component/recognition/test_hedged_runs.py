"""Runs that hang, are late or slow: the CPU takes over, and what counts as a fault."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.errors import ModelMissing, RecognitionFailed
from coldvoxd.core.metrics import Count
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import EndReason, Utterance
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.run_times import RunLimits
from coldvoxd.virtual.accelerator import PROVIDER
from tests.support.eventually import eventually
from tests.support.failover_stage import CPU, heard, on_accelerator, stage
from tests.support.sound.speech import samples


async def test_a_run_that_hangs_is_hedged_and_its_lane_left_behind(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("HANG 30000")
        hypothesis = await staged.hear(1)
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)
        await eventually(lambda: staged.degraded == "gpu-timeout")
        loop = asyncio.get_running_loop()
        assert staged.supervisor.promise_kept(loop.time() + 1), "an abandoned call thread breaks no promise"
        assert (await staged.hear(2)).text == heard(2)


async def test_a_run_that_is_only_slow_keeps_the_accelerator(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("HANG 1500")
        assert (await staged.hear(1)).text == heard(1)
        await eventually(lambda: staged.accelerator.worker._thread.busy_since_s is None)
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (PROVIDER, "")
        assert (await staged.hear(2)).provider == PROVIDER


@pytest.mark.parametrize("kind", ["memory", "fault", "nan", "broken"])
async def test_a_fault_that_the_cpu_repeats_acquits_the_accelerator(tmp_path: Path, kind: str) -> None:
    """The utterance gets its own error; the accelerator stays in use, without a pause and without a strike."""
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        staged.seen.clear()
        for number in range(3):
            await staged.tell(f"FAULT {kind}")
            await staged.tell(f"CPU FAULT {kind} 2")
            with pytest.raises(RecognitionFailed):
                await staged.hear(number)
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (PROVIDER, "")
        assert {(status.provider, status.degraded) for status in staged.seen} <= {(PROVIDER, "")}
        assert staged.supervisor.state.failover.faults == 0
        assert (staged.count(Count.FAULTS), staged.count(Count.FAULTS_REPRODUCED)) == (0, 3)
        hypothesis = await staged.hear(3)
        assert (hypothesis.text, hypothesis.provider) == (heard(3), PROVIDER)


async def test_a_late_fault_that_the_cpu_repeats_acquits_the_accelerator_too(tmp_path: Path) -> None:
    """The hedged run fails after the CPU has failed on the same audio."""
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("FAULT nan 1 encoder 2500")
        await staged.tell("CPU FAULT nan 2")
        with pytest.raises(RecognitionFailed):
            await staged.hear(1)
        assert staged.count(Count.HEDGES) == 1
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (PROVIDER, "")
        assert (staged.supervisor.state.failover.faults, staged.count(Count.FAULTS_REPRODUCED)) == (0, 1)
        assert (await staged.hear(2)).provider == PROVIDER


async def test_a_broken_context_is_told_whatever_the_cpu_makes_of_the_audio(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT illegal")
        await staged.tell("CPU FAULT fault 2")
        with pytest.raises(RecognitionFailed):
            await staged.hear(0)
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (CPU, "gpu-fault")
        assert staged.supervisor.state.wants_new_process


async def test_a_cpu_that_cannot_run_acquits_nobody(tmp_path: Path) -> None:
    """The CPU has no model, so it never processed the audio, and the accelerator's fault stands."""
    async with stage(tmp_path, readiness=Readiness.COLD) as staged:
        await on_accelerator(staged)
        standby = staged.supervisor._cpu
        await eventually(lambda: not standby.packed.is_open and standby.settled, what="the CPU's model released")

        def refuse() -> Recognizer:
            raise ModelMissing("the model's directory was removed")

        standby.packed._open = refuse
        await staged.tell("FAULT nan")
        with pytest.raises(ModelMissing):
            await staged.hear(0)
        assert staged.degraded == "gpu-wrong-output"
        assert staged.count(Count.FAULTS_REPRODUCED) == 0


async def test_an_accelerator_that_is_overtaken_three_times_in_a_row_is_left(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("HANG 2500 9")
        for number in range(1, 4):
            hypothesis = await staged.hear(number)
            assert (hypothesis.text, hypothesis.provider) == (heard(number), CPU)
            await eventually(lambda: not staged.accelerator.hedging.occupied)
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (CPU, "gpu-timeout")


async def test_while_a_run_is_late_the_next_utterances_go_to_the_cpu_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("HANG 4000")
        texts = [(await staged.hear(number)).text for number in (1, 2, 3)]
        assert texts == [heard(number) for number in (1, 2, 3)]
        assert staged.count(Count.HEDGES) == 1


async def test_a_late_fault_is_news_and_never_an_answer(tmp_path: Path) -> None:
    """The run that the CPU overtook has permanently broken the accelerator."""
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("FAULT illegal 1 encoder 3000")
        assert (await staged.hear(1)).text == heard(1)
        await eventually(lambda: staged.supervisor.state.wants_new_process)
        assert staged.degraded == "gpu-fault"
        assert staged.count(Count.LATE_RESULTS) == 1


async def test_speech_without_words_is_heard_again_and_the_accelerator_doubted(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT empty")
        hypothesis = await staged.hear(1)
        assert (hypothesis.text, hypothesis.provider, staged.degraded) == (heard(1), PROVIDER, "")
        await staged.tell("FAULT empty 2")
        hypothesis = await staged.hear(2)
        assert (hypothesis.text, hypothesis.provider) == (heard(2), CPU)
        assert staged.degraded == "gpu-wrong-output"
        assert staged.count(Count.NO_WORDS_RETRIES_RECOVERED) == 2


async def test_a_run_that_hangs_on_the_cpu_is_begun_anew_in_two_pieces(tmp_path: Path) -> None:
    async with stage(tmp_path, "REFUSE absent", limits=RunLimits(cpu_run_s=1.0)) as staged:
        await eventually(lambda: staged.degraded == "no-gpu")
        await staged.tell("CPU HANG 30000")
        together = np.concatenate((samples()[0].wave(), np.zeros(8000, np.float32), samples()[1].wave()))
        hypothesis = await staged.supervisor.recognize(Utterance(1, 1, 0, together, EndReason.LENGTH))
        assert hypothesis.text == f"{heard(0)} {heard(1)}"
        starts = [word.start_s for word in hypothesis.words]
        assert starts == sorted(starts)
        assert staged.count(Count.SPLITS) == 1
        assert staged.supervisor.promise_kept(asyncio.get_running_loop().time() + 1)


async def test_waiting_behind_others_is_no_fault_of_the_accelerator(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.hear(0)
        await staged.tell("HANG 300 9")
        hypotheses = await asyncio.gather(*(staged.hear(number) for number in range(1, 9)))
        assert [hypothesis.text for hypothesis in hypotheses] == [heard(number) for number in range(1, 9)]
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (PROVIDER, "")
