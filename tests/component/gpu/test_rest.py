"""An idle GPU is released, and used again by the next session, with a real daemon on a real bus.

The virtual NVML library reports the memory; the accelerator is the virtual one.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.gpu.health import MIB
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import eventually
from tests.support.gpu.signals import ACCELERATOR, CPU, SETTINGS, until
from tests.support.gpu.virtual_nvml import VirtualGpu
from tests.support.sound.speech import samples

PATIENCE_S = 60.0
SAMPLE = samples()[0]


@asynccontextmanager
async def resting_daemon(tmp_path: Path) -> AsyncIterator[tuple[RunningDaemon, VirtualGpu]]:
    """Yield a daemon that releases the GPU after one second, and the GPU."""
    gpu = VirtualGpu(tmp_path)
    with PrivateBus() as bus:
        bus.extra_environment = {**gpu.environment, "XDG_RUNTIME_DIR": str(tmp_path)}
        accelerator = bus.directory / "gpu"
        settings = SETTINGS.format(look_s=0.1, microphone=bus.directory / "mic", accelerator=accelerator)
        settings = settings.replace("[gpu]\n", "[gpu]\nidle_release_s = 1.0\n")
        async with daemon(bus, tmp_path, settings) as running:
            yield running, gpu


async def changed(client: BusClient, provider: str, reason: str) -> None:
    def seen() -> bool:
        return any(body[1:] == [provider, reason] for body in client.bodies("ProviderChanged"))

    await eventually(seen, patience_s=PATIENCE_S, what=f"{provider} because of {reason}")


async def dictate(running: RunningDaemon, client: BusClient) -> str:
    """Start in the middle of the sentence: its first words were spoken earlier."""
    speaking = asyncio.create_task(running.speak(SAMPLE))
    await asyncio.sleep(0.4)  # of spoken audio
    await client.call("StartDictation")
    await speaking
    return str(await client.call("StopDictation"))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


@pytest.mark.heavy
async def test_the_card_rests_while_nobody_dictates_and_the_cpu_serves_until_it_is_back(tmp_path: Path) -> None:
    async with resting_daemon(tmp_path) as (running, gpu), running.client() as client:
        await client.subscribe("ProviderChanged", "Transcribed")
        gpu.be(process=f"{running.process.pid} {1900 * MIB}")
        await changed(client, CPU, "idle")
        assert await client.get(ENGINE, "Degraded") == ""
        gpu.be(process=None)  # all memory was released: this accelerator keeps no context
        await eventually(
            lambda: "1900 MiB of its memory were freed, 0 MiB are still in use" in running.log, what="the freed memory"
        )
        accelerator = running.bus.directory / "gpu"
        await asyncio.to_thread(command, accelerator, "OPENING 20000")
        client.signals.clear()
        assert words(await dictate(running, client)) == words(SAMPLE.heard["fp32"]), "its beginning is included too"
        [(_, _, _, details)] = client.bodies("Transcribed")
        assert details["provider"].value == CPU
        await changed(client, ACCELERATOR, "accelerator-ready")
        await changed(client, CPU, "idle")
        assert "re-executed, consecutive number" not in running.log


@pytest.mark.heavy
async def test_what_a_context_keeps_goes_with_the_process_and_the_next_one_leaves_the_card_alone(
    tmp_path: Path,
) -> None:
    async with resting_daemon(tmp_path) as (running, gpu), running.client() as client:
        await client.subscribe("ProviderChanged", "Transcribed")
        gpu.be(process=f"{running.process.pid} {1900 * MIB}")
        await changed(client, CPU, "idle")
        gpu.be(process=f"{running.process.pid} {300 * MIB}")
        await eventually(
            lambda: "1600 MiB of its memory were freed, 300 MiB are still in use" in running.log,
            what="the remaining memory",
        )
        await eventually(lambda: "re-executed, consecutive number" in running.log, what="a new process")
        gpu.be(process=None)
        await until(client, "ExecutionProvider", CPU)
        accelerator = running.bus.directory / "gpu"
        assert "opened=0" in await asyncio.to_thread(command, accelerator, "STATUS"), "the GPU was not touched"
        assert set(await client.get(ENGINE, "UsableProviders")) == {"virtual", "cpu"}, (
            "as found by the previous process"
        )
        client.signals.clear()
        assert words(await dictate(running, client)) == words(SAMPLE.heard["fp32"])
        await changed(client, ACCELERATOR, "accelerator-ready")
