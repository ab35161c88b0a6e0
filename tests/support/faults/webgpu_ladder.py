"""Takes a supervisor with the real WebGPU provider through load, loss, return, sleep and rest, and prints what it did as JSON.

Run by test_webgpu.py with a software Vulkan driver, whose layer fails as the file COLDVOX_VULKAN_FAULT says.
"""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from coldvoxd.core.failover_state import IdleTimeout, ProbeDue
from coldvoxd.core.recognition_state import SystemResumed, SystemSuspending
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, EngineStatus, Utterance
from coldvoxd.recognition.factory import find_backends
from coldvoxd.recognition.supervisor import Supervisor
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

LONGEST_S = 60.0


class Ladder:
    """A supervisor, and what it was seen to do."""

    def __init__(self) -> None:
        backends = find_backends(ModelSettings(name="mini", provider="webgpu"))
        # The lengths' warm-up would occupy a slow driver for a quarter of a minute.
        self.supervisor = Supervisor(replace(backends, lengths_s=()), EngineStatus())
        self.steps: list[dict[str, Any]] = []
        self._fault = Path(os.environ["COLDVOX_VULKAN_FAULT"])

    async def hear(self, step: str, number: int) -> None:
        sample = samples()[number]
        utterance = Utterance(number + 1, 1, 0, sample.wave(), EndReason.ENDPOINT)
        heard = await self.supervisor.recognize(utterance)
        engine = self.supervisor.state.engine
        self.steps.append(
            {
                "step": step,
                "right": heard.text == sample.heard["fp32"],
                "text_by": heard.provider,
                "degraded": engine.degraded,
                "device": engine.choice.device,
            }
        )

    async def on_accelerator(self) -> None:
        await eventually(lambda: self.supervisor.state.on_accelerator, patience_s=LONGEST_S, what="webgpu in use")

    async def fail_and_return(self, fault: str) -> None:
        self._fault.write_text(fault)
        await self.hear(fault, 8)
        await eventually(lambda: not self.supervisor.state.on_accelerator, patience_s=LONGEST_S, what="the CPU in use")
        self._fault.write_text("")
        timer = self.supervisor._failover._pause
        assert timer is not None
        timer.cancel()  # probe now instead of after the pause
        self.supervisor._failover._step(ProbeDue())
        await self.on_accelerator()
        await self.hear(f"after {fault}", 13)

    async def run(self) -> list[dict[str, Any]]:
        self._fault.write_text("")
        await self.supervisor.load()
        await self.on_accelerator()
        await self.hear("loaded", 0)
        await self.fail_and_return("lost")
        await self.fail_and_return("memory")
        self.supervisor.handle(SystemSuspending())
        await self.supervisor.accelerator_freed()
        await self.hear("about to sleep", 16)
        self.supervisor.handle(SystemResumed())
        await self.on_accelerator()
        await self.hear("awake", 0)
        self.supervisor.handle(IdleTimeout())
        await self.supervisor.accelerator_freed()
        await self.hear("rested", 8)
        await self.on_accelerator()
        await self.hear("needed again", 13)
        self.supervisor.close()
        return self.steps


async def main() -> list[dict[str, Any]]:
    return await Ladder().run()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
