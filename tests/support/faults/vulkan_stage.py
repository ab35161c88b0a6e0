"""The real daemon on WebGPU over a software Vulkan driver, whose layer fails as a row of the fault matrix says."""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import vulkan
from tests.support.bus.private_bus import BusClient
from tests.support.eventually import eventually
from tests.support.faults.matrix_stage import CPU, Stage, TimedClient

ACCELERATOR = "WebGpuExecutionProvider"
SOURCE = Path(__file__).with_name("vulkan_layer.c")
LAYER = "VK_LAYER_COLDVOX_fault"
WARM_S = 240.0
"""Seconds for running every length once: a dozen on an idle machine."""
WARM = "is warmed up for every length"


@cache
def layer_folder() -> Path:
    """Compile the layer, and return the folder with its manifest. Requires gcc and Vulkan's headers."""
    folder = vulkan.LAVAPIPE.parent / "layer"
    folder.mkdir(exist_ok=True)
    library = folder / "libcoldvox_fault.so"
    subprocess.run(
        ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-o", library, SOURCE],
        check=True,
        capture_output=True,
        text=True,
    )
    declared = {
        "name": LAYER,
        "type": "GLOBAL",
        "library_path": str(library),
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "faults for tests",
    }
    (folder / "layer.json").write_text(json.dumps({"file_format_version": "1.2.0", "layer": declared}))
    return folder


def layer_variables(fault: Path) -> dict[str, str]:
    """Return the variables that put the layer before the driver; the file `fault` says how it fails."""
    return {
        "VK_LAYER_PATH": str(layer_folder()),
        "VK_INSTANCE_LAYERS": LAYER,
        "COLDVOX_VULKAN_FAULT": str(fault),
        **vulkan.MODEST,
    }


class VulkanStage(Stage):
    """A daemon whose accelerator is a real GPU provider. Capital letters in a row name a fault of the layer."""

    accelerator = ACCELERATOR
    patience_s = 240.0
    """A second fault is followed by a pause of 12 s at most and, if the driver is too slow for the golden clip, of 24 and 48 s."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._before_rest = ""
        super().__init__(*arguments, **named)

    def _prepare(self, before: Sequence[str]) -> None:
        self._gpu.write_text(" ".join(before).lower())

    def _provider(self) -> str:
        return "webgpu"

    def _python(self) -> str:
        return str(vulkan.PYTHON)

    def _more_environment(self) -> dict[str, str]:
        return vulkan.variables(vulkan.LAVAPIPE) | layer_variables(self._gpu)

    async def _act(self, client: TimedClient, act: str) -> None:
        if act == "rest":
            await self._rest(client)
        else:
            await super()._act(client, act)

    async def _command_accelerator(self, line: str) -> str:
        self._gpu.write_text(line.lower())
        return "OK"

    async def _until_warm(self) -> None:
        await eventually(lambda: WARM in self._log.read_text(errors="replace"), patience_s=WARM_S, what=WARM)

    async def _rest(self, client: TimedClient) -> None:
        """End the session, wait until the accelerator has been released, and start another one."""
        self._before_rest = str(await client.call("StopDictation"))
        await self._until(client, "ExecutionProvider", CPU)
        await client.call("StartDictation")

    async def _stop_dictation(self, client: TimedClient) -> None:
        await super()._stop_dictation(client)
        self._stopped = f"{self._before_rest} {self._stopped}".strip()


async def device(client: BusClient) -> str:
    """Return the name of the accelerator's device, as clients read it."""
    return str(await client.get("org.coldvox.Engine1", "ProviderDevice"))
