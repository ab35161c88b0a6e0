"""The model leaves memory when it is not used, and what needs it waits for it; no words are lost."""

import asyncio
import math
from pathlib import Path

from coldvoxd.core.recognition_state import ModelNeeded, ModelUnneeded
from coldvoxd.recognition.unloading import Unloading
from tests.support.eventually import eventually
from tests.support.failover_stage import CPU, Stage, heard, on_accelerator, stage


def is_in_memory(staged: Stage) -> bool:
    cpu = staged.supervisor._cpu
    return cpu.open_worker is not None or staged.accelerator.worker.is_open


async def unloaded(staged: Stage) -> None:
    await eventually(lambda: not is_in_memory(staged), what="a model out of memory")
    await eventually(lambda: staged.supervisor._cpu.settled, what="released memory")


async def test_an_unloaded_model_is_loaded_by_what_needs_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        staged.supervisor.handle(ModelUnneeded())
        await unloaded(staged)
        assert staged.supervisor.state.engine.ready
        assert staged.degraded == ""
        assert (await staged.hear(0)).text == heard(0)
        await on_accelerator(staged)


async def test_the_begin_of_a_session_loads_it_in_the_background(tmp_path: Path) -> None:
    async with stage(tmp_path, "REFUSE absent") as staged:
        await eventually(lambda: staged.degraded == "no-gpu")
        staged.supervisor.handle(ModelUnneeded())
        await unloaded(staged)
        staged.supervisor.handle(ModelNeeded())
        await eventually(lambda: staged.supervisor._cpu.packed.is_open, what="the model back in memory")
        hypothesis = await staged.hear(1)
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)


async def test_it_is_unloaded_after_its_time_again_and_again(tmp_path: Path) -> None:
    busy_until_s = -math.inf
    async with stage(tmp_path, "REFUSE absent") as staged:
        await eventually(lambda: staged.degraded == "no-gpu")
        unloading = Unloading(0.2, staged.supervisor, lambda: busy_until_s)
        keeping = asyncio.create_task(unloading.keep())
        await unloaded(staged)
        busy_until_s = math.inf
        unloading.needed()
        assert (await staged.hear(2)).text == heard(2)
        busy_until_s = asyncio.get_running_loop().time()
        await unloaded(staged)
        busy_until_s = math.inf  # a file, which does not say that it begins
        assert (await staged.hear(3)).text == heard(3)
        busy_until_s = asyncio.get_running_loop().time()
        await unloaded(staged)
        keeping.cancel()


async def test_a_changed_time_counts_at_once_and_a_model_that_was_loaded_again_is_unloaded(tmp_path: Path) -> None:
    """The new time used to be read up to 15 s later."""
    async with stage(tmp_path, "REFUSE absent") as staged:
        await eventually(lambda: staged.degraded == "no-gpu")
        unloading = Unloading(0, staged.supervisor, lambda: -math.inf)
        keeping = asyncio.create_task(unloading.keep())
        for _ in range(3):
            await asyncio.sleep(0)  # it waits for a setting that enables it
        unloading.use_settings(1e-9)
        await eventually(lambda: unloading._unloaded_s is not None, patience_s=10)
        await unloaded(staged)
        staged.supervisor._cpu.load()  # as a reload of the settings does
        await eventually(lambda: staged.supervisor._cpu.packed.is_open)
        unloading.use_settings(0.2)
        await unloaded(staged)
        keeping.cancel()
