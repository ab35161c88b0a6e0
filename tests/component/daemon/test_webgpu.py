"""The daemon on a real GPU provider, WebGPU on a software Vulkan driver: dictation, `auto`, and a driver that fails.

Not a word on speed: over software it is slower than the CPU, which is what `auto` must find out.
"""

import asyncio
from pathlib import Path

import pytest

from tests.support import vulkan
from tests.support.bus.private_bus import BusClient
from tests.support.daemon.published import plain
from tests.support.faults.matrix_rows import Row
from tests.support.faults.matrix_stage import Outcome, TimedClient, play
from tests.support.faults.vulkan_rows import IN_CI, vulkan_rows
from tests.support.faults.vulkan_stage import ACCELERATOR, VulkanStage, device, layer_variables
from tests.support.sound.speech import samples

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not vulkan.PYTHON.with_name("complete").exists(),
        reason="needs a software Vulkan driver of Debian 13: run contrib/test.sh --system, as root",
    ),
]
ROWS = {row.name: row for row in vulkan_rows()}
ENGINE = "org.coldvox.Engine1"


@pytest.mark.parametrize("name", IN_CI)
async def test_no_text_is_lost_doubled_or_wrong_when_the_driver_fails(name: str) -> None:
    outcome = await play(ROWS[name], timed=False, kind=VulkanStage)
    assert not outcome.problem
    assert (outcome.lost, outcome.doubled, outcome.wrong) == (0, 0, 0)


CPU = "CPUExecutionProvider"


def test_load_loss_return_sleep_and_rest_of_a_real_provider(tmp_path: Path) -> None:
    more = layer_variables(tmp_path / "fault")
    steps = vulkan.run(
        "tests.support.faults.webgpu_ladder", driver=vulkan.LAVAPIPE, more=more, python=str(vulkan.PYTHON)
    )
    print(steps)
    assert all(step["right"] for step in steps)
    places = {step["step"]: step["text_by"] for step in steps}
    on_cpu = {"lost", "memory", "about to sleep"}
    assert {name for name, provider in places.items() if provider == CPU} >= on_cpu
    degraded = {step["step"]: step["degraded"] for step in steps}
    assert degraded["lost"] == "gpu-lost"
    assert degraded["loaded"] == degraded["needed again"] == ""
    assert "llvmpipe" in steps[0]["device"]


class Seen(VulkanStage):
    """Notes what clients read at the end."""

    told: dict[str, str]

    async def _judge(self, client: TimedClient) -> Outcome:
        told = {name: str(await client.get(ENGINE, name)) for name in ("ExecutionProvider", "ProviderNote", "Degraded")}
        type(self).told = told | {"device": await device(client)}
        for _, _, details in client.texts.values():
            type(self).told |= {"text provider": details["provider"]}
        return await super()._judge(client)


async def test_dictation_on_webgpu_names_provider_and_device() -> None:
    outcome = await play(Row("dictation", "always", "say 0; hear", on_cpu=False), timed=False, kind=Seen)
    assert outcome.holds, outcome.problem
    assert Seen.told["ExecutionProvider"] == ACCELERATOR
    assert "llvmpipe" in Seen.told["device"]


class Automatic(Seen):
    """A daemon that may choose."""

    def _provider(self) -> str:
        return "auto"

    def _more_environment(self) -> dict[str, str]:
        return super()._more_environment() | {"ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1"}

    async def _until_chosen(self, client: BusClient) -> None:
        while not await client.get(ENGINE, "ProviderNote"):
            await asyncio.sleep(0.05)

    async def play(self, client: TimedClient) -> Outcome:
        await client.subscribe()
        await self._until_served(client)
        await asyncio.wait_for(self._until_chosen(client), 60)
        await client.call("StartDictation")
        await self._act(client, "say 0")
        await self._act(client, "hear")
        await self._stop_dictation(client)
        return await self._judge(client)


async def test_auto_prefers_the_cpu_to_a_software_driver_and_says_so() -> None:
    outcome = await play(Row("auto", "always", "", on_cpu=False), timed=False, kind=Automatic)
    assert outcome.holds, outcome.problem
    told = Automatic.told
    assert (told["ExecutionProvider"], told["Degraded"], told["device"]) == ("CPUExecutionProvider", "", "")
    assert told["ProviderNote"].startswith("auto uses the CPU: webgpu on llvmpipe")
    assert plain(samples()[0].heard["fp32"])
