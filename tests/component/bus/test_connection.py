"""The service's connection: its name, bursts of calls, and a bus that stalls or disconnects."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from coldvoxd.bus.connection import SYSTEM_BUS, Connection
from coldvoxd.bus.peers.logind import system_address
from coldvoxd.bus.peers.upower import UPower
from coldvoxd.core.errors import BusUnavailable, NameTaken
from coldvoxd.core.values import EngineStatus, SessionOptions
from tests.support.bus.private_bus import (
    BusClient,
    PrivateBus,
    RunningService,
    ScriptedControl,
    running_service,
    serve,
)
from tests.support.eventually import eventually

BURST = 2000


async def test_a_second_daemon_is_told_who_has_the_name(running: RunningService, client: BusClient) -> None:
    connection, _, second = await serve(ScriptedControl(), running.bus.address)
    with pytest.raises(NameTaken, match=rf"process {os.getpid()} \(:1\.\d+\)"):
        await second.own_name()
    await connection.aclose()
    assert await client.call("StartDictation") == 1


async def test_the_name_is_free_after_close(bus: PrivateBus) -> None:
    for _ in range(2):
        async with running_service(bus):
            pass


async def test_what_was_sent_before_close_arrives(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    async with client.expect_signal("Transcribed", lambda body: bool(body[2] == "the last words")):
        for _ in range(200):
            running.control.say("words")
        running.control.say("the last words")
        await running.connection.aclose()
    await running.connection.wait_until_lost()


async def test_after_close_the_announcer_does_nothing_and_raises_nothing(running: RunningService) -> None:
    async with running.client() as client:
        await client.call("StartDictation")
    await running.connection.aclose()
    running.control.say("not heard")
    running.announcer.level(-20.0)
    running.control.toggle(":1.1", 0.0)
    await running.connection.aclose()


async def test_messages_name_the_bus_that_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/system")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/session")
    for opening, name in ((UPower.open(), "system bus"), (Connection.open(), "session bus")):
        with pytest.raises(BusUnavailable, match=f"Cannot connect to the {name} .* Is the {name} running") as fault:
            await opening
        assert str(fault.value).count(" bus ") == 2


async def test_a_lost_connection_to_the_system_bus_is_named(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    connection = await Connection.open(system_address(), SYSTEM_BUS)
    watching = asyncio.ensure_future(connection.wait_until_lost())
    await asyncio.sleep(0)
    bus.kill()
    with pytest.raises(BusUnavailable, match="The connection to the system bus was lost"):
        await watching
    await connection.aclose()


async def test_a_bus_that_goes_away_is_noticed(running: RunningService) -> None:
    watching = asyncio.ensure_future(running.connection.wait_until_lost())
    await asyncio.sleep(0)
    running.bus.kill()
    with pytest.raises(BusUnavailable, match="was lost"):
        await watching
    running.control.start(":1.1", SessionOptions(), 0.0)
    running.control.say("not heard")
    with pytest.raises(BusUnavailable):
        await running.service.own_name()


async def test_no_bus_is_an_error_that_says_so(bus: PrivateBus) -> None:
    with pytest.raises(BusUnavailable, match="Cannot connect to the session bus"):
        await Connection.open(f"unix:path={bus.directory}/nowhere")
    with pytest.raises(BusUnavailable):
        await Connection.open("no address at all")


async def test_a_bus_that_hangs_up_while_we_connect_is_an_error(bus: PrivateBus) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    path = f"{bus.directory}/rude"
    async with await asyncio.start_unix_server(hang_up, path):
        with pytest.raises(BusUnavailable, match="Cannot connect to the session bus"):
            await Connection.open(f"unix:path={path}")


async def test_a_burst_survives_a_bus_that_stands_still(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    text = "words " * 50
    running.bus.freeze()
    for _ in range(BURST):
        running.control.say(text)
    # The socket's buffer is full long before the end; the loop must keep running anyway.
    await eventually(lambda: running.connection.backlog > BURST // 4, what="a full socket")
    turns = 0
    while turns < 100:
        await asyncio.sleep(0)
        turns += 1
    assert running.connection.backlog > 0
    running.bus.thaw()
    await eventually(lambda: len(client.bodies("Transcribed")) == BURST, what="all signals of the burst")
    assert [body[1] for body in client.bodies("Transcribed")] == list(range(1, BURST + 1))
    assert await client.call("StopDictation") == " ".join([text] * BURST)


async def test_a_burst_survives_a_client_that_does_not_read(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    with client.deaf():
        for _ in range(BURST):
            running.control.say("words " * 50)
        async with running.client() as other:
            await other.settle()
    await eventually(lambda: len(client.bodies("Transcribed")) == BURST, what="all signals of the burst")


async def test_levels_come_at_most_15_a_second(running: RunningService, client: BusClient) -> None:
    began_s = time.monotonic()
    deadline_s = began_s + 0.5
    while time.monotonic() < deadline_s:
        running.announcer.level(-20.0)
        await asyncio.sleep(0.002)
    await client.settle()
    levels = client.bodies("Level")
    assert levels[0] == [-20.0]
    assert 2 <= len(levels) <= 1 + (time.monotonic() - began_s) * 15


async def test_levels_are_left_out_while_the_bus_is_behind(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    running.bus.freeze()
    for _ in range(BURST):
        running.control.say("words " * 50)
    await eventually(lambda: running.connection.backlog > BURST // 4, what="a full socket")
    running.announcer.level(-20.0)
    running.bus.thaw()
    await client.settle()
    assert client.bodies("Level") == []


async def test_properties_are_told_when_they_change_and_only_then(running: RunningService, client: BusClient) -> None:
    control = running.control
    running.announcer.state_changed()
    await client.settle()
    assert client.bodies("PropertiesChanged") == []
    control.engine = EngineStatus(model="mini", precision="int8", provider="CPUExecutionProvider", ready=True)
    running.announcer.state_changed()
    running.announcer.state_changed()
    await client.settle()
    [[interface, changed, invalidated]] = client.bodies("PropertiesChanged")
    assert interface == "org.coldvox.Engine1"
    assert {key: value.value for key, value in changed.items()} == {
        "Model": "mini",
        "Precision": "int8",
        "ExecutionProvider": "CPUExecutionProvider",
        "Provider": "cpu",
    }
    assert invalidated == []
    assert await client.get("org.coldvox.Engine1", "Model") == "mini"


async def test_state_and_session_follow_a_session(client: BusClient) -> None:
    async with client.expect_signal("PropertiesChanged") as changed:
        session = await client.call("StartDictation")
    assert changed.body[0] == "org.coldvox.Dictation1"
    assert {key: value.value for key, value in changed.body[1].items()} == {"State": "listening", "Session": session}
    assert await client.get("org.coldvox.Dictation1", "Session") == session
    await client.call("StopDictation")
    await client.settle()
    assert client.bodies("PropertiesChanged")[-1][1]["Session"].value == 0
    assert await client.get("org.coldvox.Dictation1", "State") == "idle"
