"""Hundreds of requests to reload during dictation lose no words."""

import asyncio
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import DICTATION
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.daemon.published import plain, texts_of
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

REQUESTS = 300
INTERVAL_S = 0.01
"""Seconds between two requests: all of them in 3 s, as a settings editor that saves at each key press sends them."""


async def request_reloads(running: RunningDaemon) -> None:
    for _ in range(REQUESTS):
        running.hang_up()
        await asyncio.sleep(INTERVAL_S)


@pytest.mark.heavy
async def test_300_reloads_in_3_s_lose_no_sentence(tmp_path: Path) -> None:
    spoken = [samples()[number] for number in (2, 4, 1, 0)]
    with PrivateBus() as bus:
        async with daemon(bus, tmp_path) as running, running.client() as client:
            await client.subscribe()
            process = running.process.pid
            loads = running.log.count("settings reloaded")
            session = await client.call("StartDictation")
            requests = asyncio.create_task(request_reloads(running))
            for sample in spoken:
                await running.speak(sample)
            await requests
            transcript = await client.call("StopDictation")
            assert plain(transcript) == plain(" ".join(sample.heard["fp32"] for sample in spoken))
            published = texts_of(session, client.signals)
            assert plain(published.joined) == plain(transcript)
            assert (published.doubles, [reason for reason, _ in published.stops]) == (0, ["stopped"])
            await eventually(lambda: running.log.count("settings reloaded") > loads, what="a reload")
            assert running.process.pid == process
            assert running.process.poll() is None
            assert await client.get(DICTATION, "State") == "idle"
