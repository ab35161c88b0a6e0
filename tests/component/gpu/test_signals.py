"""Every GPU signal, reported by the virtual NVML library to a real daemon on a real bus; and a machine without a GPU.

The accelerator is the virtual one: the tests cover detection, reporting and recovery, not CUDA.
"""

import asyncio
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import daemon
from tests.support.gpu.signals import ACCELERATOR, CPU, SETTINGS, SIGNALS, GpuSignal, Seen, play

AT_ONCE = 4
"""Number of concurrent signals; recovery mostly waits for a probe's pause."""


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> dict[str, Seen | Exception]:
    """Return the results of all signals that this test run selects."""
    asked = [
        item.callspec.params["signal"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    names = {signal.name for signal in asked if isinstance(signal, GpuSignal)}

    async def play_all() -> dict[str, Seen | Exception]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(signal: GpuSignal) -> Seen | Exception:
            async with turn:
                try:
                    return await play(signal)
                except Exception as error:  # noqa: BLE001 - its own test fails with it
                    return error

        wanted = [signal for signal in SIGNALS if signal.name in names]
        found = await asyncio.gather(*(one(signal) for signal in wanted))
        return {signal.name: outcome for signal, outcome in zip(wanted, found, strict=True)}

    return asyncio.run(play_all())


@pytest.mark.heavy
@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_signal_is_told_and_recovered_from(signal: GpuSignal, seen: dict[str, Seen | Exception]) -> None:
    outcome = seen[signal.name]
    if isinstance(outcome, Exception):
        raise outcome
    assert (outcome.told, outcome.provider) == (signal.code, CPU if signal.code else ACCELERATOR)
    assert outcome.renewed == (signal.back == "a new process")


async def test_a_machine_without_the_library_uses_its_accelerator_and_says_nothing(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        settings = SETTINGS.format(look_s=0.1, microphone=bus.directory / "mic", accelerator=bus.directory / "gpu")
        async with daemon(bus, tmp_path, settings) as running, running.client() as client, asyncio.timeout(60):
            while await client.get(ENGINE, "ExecutionProvider") != ACCELERATOR:
                await asyncio.sleep(0.05)
            assert await client.get(ENGINE, "Degraded") == ""
            assert "GPU" not in running.log
