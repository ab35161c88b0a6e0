"""The monitor of a GPU that the virtual NVML library shows: what it reports, looks that hang, and releasing the GPU."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.settings import GpuSettings
from coldvoxd.gpu import monitor as watch
from coldvoxd.gpu import nvml
from coldvoxd.gpu.health import MIB, Effect, Noted, Struck, Unwell, WellAgain
from coldvoxd.gpu.monitor import GpuMonitor
from tests.support.eventually import eventually
from tests.support.gpu.virtual_nvml import VirtualGpu

OFTEN = GpuSettings(look_s=0.05, well_after_s=0.0, braked_s=0.0)
RARELY = GpuSettings(look_s=60.0, well_after_s=0.0)


@asynccontextmanager
async def watching(
    settings: GpuSettings, worthwhile: Callable[[], bool] = lambda: True
) -> AsyncIterator[tuple[GpuMonitor, list[Effect]]]:
    told: list[Effect] = []
    over = GpuMonitor(settings, told.append, worthwhile=worthwhile)
    running = asyncio.create_task(over.run())
    try:
        yield over, told
    finally:
        running.cancel()
        await asyncio.wait({running})
        over.close()
        if not running.cancelled():
            running.result()


async def test_a_condition_is_told_when_it_begins_and_when_it_ends(gpu: VirtualGpu) -> None:
    async with watching(OFTEN) as (over, told):
        await eventually(lambda: over.sight.free_bytes, what="a look")
        gpu.be(temperature=99)
        await eventually(lambda: told, what="the heat")
        gpu.be(temperature=40)
        await eventually(lambda: len(told) == 2, what="the end of it")
    assert isinstance(told[0], Unwell)
    assert told[0].verdict.reason is Reason.GPU_OVERHEATING
    assert told[1] == WellAgain()


async def test_a_card_that_was_lost_is_opened_anew_until_it_is_there(gpu: VirtualGpu) -> None:
    async with watching(OFTEN) as (over, told):
        await eventually(lambda: over.sight.free_bytes, what="a look")
        gpu.be(trouble=15)
        await eventually(lambda: told, what="the loss")
        gpu.be(trouble=None)
        await eventually(lambda: WellAgain() in told, what="its return")
        gpu.report_xid(79)
        await eventually(lambda: isinstance(told[-1], Struck), what="an event of the GPU that is back")


async def test_an_xid_is_told_when_it_happens_and_not_at_the_next_look(gpu: VirtualGpu) -> None:
    async with watching(RARELY) as (over, told):
        await eventually(lambda: over.sight.free_bytes, what="the first look")
        gpu.report_xid(31)
        await eventually(lambda: told, what="the event")
        assert isinstance(told[0], Noted)
        unknown = FaultClass.TRANSIENT, Reason.GPU_FAULT
        assert over.refined(*unknown) == (FaultClass.STICKY, Reason.GPU_FAULT)


async def test_before_a_run_it_is_looked_at_and_the_run_does_not_wait_for_long(
    gpu: VirtualGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FRESH_S", 0.0)
    async with watching(RARELY) as (over, told):
        await eventually(lambda: over.sight.free_bytes, what="the first look")
        gpu.be(used=8000 * MIB, total=8192 * MIB)
        await over.fresh(10.0)
        assert isinstance(told[0], Unwell)
        assert told[0].verdict.reason is Reason.GPU_OUT_OF_MEMORY
        gpu.be(hang=60_000)
        await over.fresh(0.01)  # would take a minute
        gpu.be(hang=None)


async def test_a_look_that_hangs_is_left_behind_told_and_tried_again(
    gpu: VirtualGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_LIMIT_S", 0.2)
    async with watching(OFTEN) as (over, told):
        await eventually(lambda: over.sight.free_bytes, what="a look")
        gpu.be(hang=600_000)
        await eventually(lambda: told, what="the hang")
        assert isinstance(told[0], Unwell)
        assert told[0].verdict.reason is Reason.GPU_TIMEOUT
        gpu.be(hang=None)
        await eventually(lambda: WellAgain() in told, what="its end")


async def test_a_card_that_is_not_worth_it_is_let_go_of_and_can_be_watched_again(gpu: VirtualGpu) -> None:
    wanted = [True]
    async with watching(OFTEN, lambda: wanted[0]) as (over, told):
        await eventually(lambda: over.sight.free_bytes, what="a look")
        wanted[0] = False
        await eventually(lambda: over._gpu is None, what="the release of the driver")
        gpu.be(trouble=15)
        await over.look()
        await over.fresh(10.0)
        assert told == []
        wanted[0] = True
        over.look_soon()
        await eventually(lambda: told, what="the loss")


async def test_without_the_library_the_watch_ends_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", "libnvidia-ml.so.1.of-nobody")
    told: list[Effect] = []
    over = GpuMonitor(OFTEN, told.append)
    async with asyncio.timeout(60):
        await over.run()
    await over.fresh(10.0)
    over.close()
    assert (over.blind, told) == (True, [])
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
