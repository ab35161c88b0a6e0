"""Encoding several pieces at once, with a real recognizer and injected faults: no text depends on it."""

import asyncio
from pathlib import Path

import pytest

from coldvoxd.core.metrics import Count
from coldvoxd.core.values import EndReason, Utterance
from coldvoxd.recognition.run_times import RunLimits
from coldvoxd.recognition.supervisor import LARGEST_BATCH
from coldvoxd.virtual.accelerator import PROVIDER
from tests.support.eventually import eventually
from tests.support.failover_stage import CPU, Stage, fact, heard, on_accelerator, stage
from tests.support.sound.speech import samples

NUMBERS = (0, 1, 3, 4)


def pieces() -> tuple[Utterance, ...]:
    waves = [samples()[number].wave() for number in NUMBERS]
    return tuple(Utterance(at, 0, 0, wave, EndReason.LENGTH, speech_samples=len(wave)) for at, wave in enumerate(waves))


async def texts(staged: Stage, ahead: tuple[Utterance, ...]) -> list[str]:
    return [(await staged.supervisor.recognize(piece)).text for piece in ahead]


async def test_pieces_are_encoded_on_the_accelerator_and_teach_its_limits_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        before, times = await fact(staged, "runs"), staged.accelerator.worker.times
        ahead = await staged.supervisor.encode_ahead(pieces())
        assert await fact(staged, "runs") == before + 1
        assert all(piece.encoded is not None for piece in ahead)
        assert await texts(staged, ahead) == [heard(number) for number in NUMBERS]
        assert staged.accelerator.worker.times.durations_s == times.durations_s, "a decoder alone is no usual run"


@pytest.mark.parametrize("kind", ["memory", "fault", "nan", "broken"])
async def test_after_a_fault_fewer_pieces_are_tried_and_the_accelerator_stays(tmp_path: Path, kind: str) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell(f"FAULT {kind}")
        ahead = await staged.supervisor.encode_ahead(pieces())
        assert [piece.encoded for piece in ahead] == [None] * 4
        assert staged.supervisor.batch_limit == 2
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (PROVIDER, "")
        assert staged.count(Count.FAULTS) == 0
        assert await texts(staged, ahead) == [heard(number) for number in NUMBERS]
        await staged.tell(f"FAULT {kind}")
        await staged.supervisor.encode_ahead(pieces()[:2])
        assert staged.supervisor.batch_limit == 1


async def test_a_group_that_hangs_is_left_behind_and_its_texts_come_from_the_cpu(tmp_path: Path) -> None:
    async with stage(tmp_path, limits=RunLimits(accelerator_run_s=0.5)) as staged:
        await on_accelerator(staged)
        await staged.tell("HANG 30000")
        ahead = await staged.supervisor.encode_ahead(pieces())
        assert await texts(staged, ahead) == [heard(number) for number in NUMBERS]
        await eventually(lambda: staged.degraded == "gpu-timeout")
        assert staged.supervisor.state.engine.provider == CPU


async def test_what_a_lost_accelerator_has_encoded_is_not_used_by_the_cpu(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        ahead = await staged.supervisor.encode_ahead(pieces())
        await staged.tell("FAULT illegal 1 decoder")
        assert await texts(staged, ahead) == [heard(number) for number in NUMBERS]
        assert staged.supervisor.state.engine.provider == CPU


async def test_a_cancelled_group_is_stopped_and_the_next_text_is_as_ever(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("HANG 300")
        group = asyncio.create_task(staged.supervisor.encode_ahead(pieces()))
        worker = staged.accelerator.worker
        await eventually(lambda: worker._thread.busy_since_s is not None, what="a run in progress")
        group.cancel()
        await asyncio.wait({group})
        assert (await staged.hear(1)).text == heard(1)
        assert staged.supervisor.batch_limit == LARGEST_BATCH, "that is no failure"
