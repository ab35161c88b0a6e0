"""More calls than the daemon can serve: only their sender is affected."""

import asyncio
import struct
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE
from tests.support.bus.private_bus import BusClient, PrivateBus, RunningService
from tests.support.bus.raw import NO_REPLY, RawClient, message, text
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

FLOOD = 20_000
FURTHER = 1000
"""Calls of the flood that may be served before another client's. A sender has a burst of about 256 and 200 a second."""
HONEST = 200


def flood_of(count: int, *, flags: int = NO_REPLY) -> bytes:
    call = {"interface": ENGINE, "signature": "s", "body": text("cpu"), "flags": flags}
    return b"".join(message("SetProvider", serial=n, **call) for n in range(1, count + 1))  # type: ignore[arg-type]


async def test_another_clients_stop_comes_before_the_rest_of_a_flood(
    running: RunningService, client: BusClient
) -> None:
    await client.call("StartDictation")
    served = running.control.providers
    async with RawClient(running.bus.address) as raw:
        sending = asyncio.create_task(raw.send(flood_of(FLOOD)))
        await eventually(lambda: len(served) > HONEST, what="the flood")
        before = len(served)
        assert await client.call("StopDictation") == ""
        assert len(served) - before <= FURTHER
        await sending
    await client.settle()
    assert len(served) < FLOOD // 2  # over the quota, so dropped
    assert await client.call("StartDictation") == 2


async def test_calls_over_the_quota_are_refused_and_those_within_are_served(running: RunningService) -> None:
    async with RawClient(running.bus.address) as raw:
        await raw.send(flood_of(FLOOD // 4) + flood_of(100, flags=0))
        answers = await raw.received(b"sending more.")
        assert b"org.freedesktop.DBus.Error.LimitsExceeded" in answers
        await eventually(lambda: len(running.control.providers) >= HONEST, what="the calls within the quota")


async def test_a_script_that_calls_200_times_is_served_whether_or_not_it_waits(
    running: RunningService, client: BusClient, stranger: BusClient
) -> None:
    for _ in range(HONEST):
        await client.call("SetProvider", "s", "cpu", interface=ENGINE)
    for _ in range(2):  # dbus-daemon lets a client have at most 128 pending replies
        await asyncio.gather(*(stranger.call("SetProvider", "s", "cpu", interface=ENGINE) for _ in range(HONEST // 2)))
    assert len(running.control.providers) == 2 * HONEST


async def test_calls_that_wait_for_their_turn_are_served_before_the_name_is_given_up(running: RunningService) -> None:
    served, intake = running.control.providers, running.connection._intake
    async with RawClient(running.bus.address) as raw:
        await raw.send(flood_of(HONEST))
        await eventually(lambda: len(served) == HONEST, what="the calls that need not wait")
        await raw.send(flood_of(HONEST))
        await eventually(lambda: len(served) + intake.waiting == HONEST * 2, what="the calls that wait")
        assert intake.waiting
        await running.service.release_name()
        assert len(served) == HONEST * 2


async def test_a_flood_of_signals_is_dropped(running: RunningService, client: BusClient) -> None:
    connection = running.connection
    signal = message("Spam", interface="org.example.Spam", kind=4, to=str(connection.unique_name), serial=1)
    async with RawClient(running.bus.address) as raw:
        await raw.send(signal * FLOOD)
        await raw.send(message("Ping", serial=7))
        await raw.received(struct.pack("<I", 7))
    assert await client.call("StartDictation") == 1


async def dictated(client: BusClient, running: RunningDaemon) -> list[str]:
    await client.call("StartDictation")
    await running.speak(samples()[1])
    return str(await client.call("StopDictation")).split()


@pytest.mark.heavy
async def test_a_flood_costs_a_dictation_no_word_and_sigterm_is_heard(bus: PrivateBus, tmp_path: Path) -> None:
    async with daemon(bus, tmp_path) as running, running.client() as client, RawClient(bus.address) as raw:
        expected = await dictated(client, running)
        assert expected
        flood = flood_of(200)

        async def send() -> None:
            while True:  # 50 times the quota; without a pause dbus-broker disconnects some client of this user
                await raw.send(flood)
                await asyncio.sleep(0.02)

        sending = asyncio.create_task(send())
        try:
            assert await dictated(client, running) == expected
            running.process.terminate()
            assert await asyncio.to_thread(running.process.wait, 30) == 0
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
