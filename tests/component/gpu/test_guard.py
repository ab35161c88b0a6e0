"""The GPU guard, with a real dispatcher: changes while it examines the GPU."""

import asyncio
import math
from pathlib import Path

from coldvoxd.core.settings import GpuSettings, ModelSettings
from coldvoxd.core.values import EngineStatus
from coldvoxd.gpu.guard import GpuGuard
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.factory import find_backends, virtual_accelerator
from coldvoxd.recognition.supervisor import Supervisor
from tests.support.eventually import eventually


async def test_a_session_that_begins_while_the_card_is_looked_at_keeps_the_accelerator(tmp_path: Path) -> None:
    settings = ModelSettings(name="mini", provider=f"virtual:{tmp_path / 'gpu'}")
    switch = Dispatcher(lambda model, on_change: Supervisor(find_backends(model), EngineStatus(), on_change), settings)
    asked = 0

    def busy_until_s() -> float:
        nonlocal asked
        asked += keeper._measuring
        return math.inf if keeper._measuring else 0.0

    keeper = GpuGuard(GpuSettings(watch="never", idle_release_s=0.2), busy_until_s)
    tasks = [asyncio.create_task(switch.load()), asyncio.create_task(keeper.keep(switch))]
    try:
        await eventually(lambda: switch.state.on_accelerator)
        await eventually(lambda: asked > 1, what="a second decision")
        assert switch.state.on_accelerator
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        keeper.close()
        switch.close()
        virtual_accelerator(settings).close()
