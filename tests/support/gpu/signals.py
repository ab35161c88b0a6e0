"""The GPU's possible signals, each with the daemon's required reaction on the bus, and its recovery."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Message
from coldvoxd.gpu.health import MIB
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import eventually
from tests.support.gpu.virtual_nvml import VirtualGpu

CPU = "CPUExecutionProvider"
ACCELERATOR = "VirtualExecutionProvider"
PATIENCE_S = 90.0
SETTINGS = """
[microphone]
device = "virtual:{microphone}"
[model]
name = "mini"
provider = "virtual:{accelerator}"
[gpu]
watch = "always"
look_s = {look_s}
braked_s = 0.5
well_after_s = 0.5
[replacement]
quiet_s = 0.2
cool_down_s = 0.0
"""


@dataclass(frozen=True, slots=True)
class GpuSignal:
    """A change of the GPU, as keys of tests/support/gpu/virtual_nvml.c."""

    name: str
    code: str
    """Expected value of Degraded; empty if recognition stays on the GPU."""
    worse: Mapping[str, Any] = field(default_factory=dict)
    better: Mapping[str, Any] = field(default_factory=dict)
    xid: int = 0
    at_start: bool = False
    """Whether the state exists before the daemon starts."""
    back: str = "a probe"
    """What returns recognition to the GPU: a probe, or a new process."""


SIGNALS = (
    GpuSignal("temperature over the limit", "gpu-overheating", {"temperature": 97}, {"temperature": 50}),
    GpuSignal("clocks braked by the hardware, for heat", "gpu-overheating", {"reasons": "0x40"}, {"reasons": 0}),
    GpuSignal("hardly any memory free", "gpu-out-of-memory", {"used": 8100 * MIB}, {"used": 512 * MIB}),
    GpuSignal("the driver hangs", "gpu-timeout", {"hang": 3_600_000}, {"hang": None}),
    GpuSignal("GPU lost", "gpu-lost", {"trouble": 15}, {"trouble": None}, back="a new process"),
    GpuSignal("GPU must be reset", "gpu-lost", {"trouble": 16}, {"trouble": None}, back="a new process"),
    GpuSignal("uncorrectable memory error", "gpu-memory-errors", {"uncorrected": 1}, back="a new process"),
    GpuSignal("Xid 48, memory error", "gpu-memory-errors", xid=48, back="a new process"),
    GpuSignal("Xid 79, fallen off the bus", "gpu-lost", xid=79, back="a new process"),
    GpuSignal("Xid 119, firmware doesn't answer", "gpu-lost", xid=119, back="a new process"),
    GpuSignal("Xid 31, another program's fault", "", xid=31, back="-"),
    GpuSignal("driver and library differ at the start", "driver-mismatch", {"init": 18}, {"init": 0}, at_start=True),
    GpuSignal("no driver at the start", "no-gpu", {"init": 9}, {"init": 0}, at_start=True),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A bus client's view of the reaction."""

    name: str
    told: str
    """Degraded, after its change."""
    provider: str
    """ExecutionProvider at that time."""
    after_s: float | None
    """Seconds from the change of the GPU to the change on the bus; None if that was before any client could read it."""
    back: str
    back_s: float | None
    """Seconds from the recovery (or from the first change if none is needed) to recognition on the GPU."""
    renewed: bool
    """Whether a new process took over."""


class TimedClient(BusClient):
    """Records when each change of the provider was published."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.changes: list[tuple[float, str, str]] = []
        """Monotonic time, provider, and reason."""

    def _note(self, message: Message) -> None:
        super()._note(message)
        if message.member == "ProviderChanged":
            self.changes.append((time.monotonic(), message.body[1], message.body[2]))


async def play(signal: GpuSignal, *, look_s: float = 0.2) -> Seen:
    """Play a signal with a separate real daemon on a private bus, which uses the shipped virtual accelerator."""
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-gpu-"))
    gpu = VirtualGpu(directory)
    if signal.at_start:
        gpu.be(**signal.worse)
    try:
        with PrivateBus() as bus:
            bus.extra_environment = {**gpu.environment, "XDG_RUNTIME_DIR": str(directory)}
            places = {"microphone": bus.directory / "mic", "accelerator": bus.directory / "gpu"}
            settings = SETTINGS.format(look_s=look_s, **places)
            async with daemon(bus, directory, settings) as running, TimedClient(bus.address) as client:
                await client.subscribe("ProviderChanged")
                return await _watch(signal, gpu, running, client)
    finally:
        shutil.rmtree(directory)


async def _watch(signal: GpuSignal, gpu: VirtualGpu, running: RunningDaemon, client: TimedClient) -> Seen:
    worse_s = time.monotonic()
    if not signal.at_start:
        await until(client, "ExecutionProvider", ACCELERATOR)
        client.changes.clear()
        worse_s = time.monotonic()
        gpu.be(**signal.worse)
    if signal.xid:
        gpu.report_xid(signal.xid)
    if not signal.code:
        await eventually(lambda: f"Xid {signal.xid}" in running.log, patience_s=PATIENCE_S, what="a line in the log")
        provider = str(await client.get(ENGINE, "ExecutionProvider"))
        return Seen(signal.name, str(await client.get(ENGINE, "Degraded")), provider, None, signal.back, None, False)
    if signal.at_start:
        await until(client, "Degraded", signal.code)
        after_s = None
    else:
        await eventually(lambda: client.changes, patience_s=PATIENCE_S, what=f"the change told by {signal.code}")
        told_s, _, reason = client.changes[0]
        assert reason == signal.code, client.changes
        after_s = told_s - worse_s
    told = signal.code if after_s is not None else str(await client.get(ENGINE, "Degraded"))
    provider = client.changes[0][1] if client.changes else str(await client.get(ENGINE, "ExecutionProvider"))
    better_s = worse_s
    if signal.better:
        better_s = time.monotonic()
        gpu.be(**signal.better)
    await until(client, "ExecutionProvider", ACCELERATOR)
    back_s = time.monotonic() - better_s
    await until(client, "Degraded", "")
    renewed = "re-executed, consecutive number" in running.log
    return Seen(signal.name, told, provider, after_s, signal.back, back_s, renewed)


async def until(client: BusClient, name: str, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await _asked(client, name) != wanted:
            await asyncio.sleep(0.05)


async def _asked(client: BusClient, name: str) -> str:
    """Return a property; empty while one process replaces another."""
    try:
        return str(await client.get(ENGINE, name))
    except BusError:
        return ""
