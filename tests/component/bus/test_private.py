"""Private sessions, and sessions that are bound to their caller."""

import asyncio

import pytest

from coldvoxd.bus.library import Variant
from coldvoxd.core.values import State, StopReason
from tests.support.bus.library import paused
from tests.support.bus.private_bus import BusClient, BusError, RunningService
from tests.support.eventually import eventually

PRIVATE = {"private": Variant("b", True)}
BOUND = {"bind-to-caller": Variant("b", True)}


async def test_text_of_a_private_session_reaches_its_owner_alone(
    running: RunningService, client: BusClient, stranger: BusClient
) -> None:
    session = await client.call("StartDictationWithOptions", "a{sv}", PRIVATE)
    async with client.expect_signal("Transcribed") as transcribed:
        running.control.say("a secret")
    assert transcribed.signal is not None
    assert transcribed.signal.destination == client.name
    assert transcribed.body[2] == "a secret"
    assert await client.call("StopDictation") == "a secret"
    await client.settle()
    await stranger.settle()
    assert client.bodies("DictationStopped") == [[session, "stopped", "a secret"], [session, "stopped", ""]]
    assert stranger.bodies("Transcribed") == []
    assert stranger.bodies("DictationStarted") == [[session]]
    assert stranger.bodies("DictationStopped") == [[session, "stopped", ""]]


async def test_an_owner_that_subscribed_to_nothing_gets_its_text(running: RunningService) -> None:
    async with running.client() as owner:
        session = await owner.call("StartDictationWithOptions", "a{sv}", PRIVATE)
        running.control.say("a secret")
        async with owner.expect_signal("DictationStopped") as stopped:
            running.control.finish(StopReason.TIME_LIMIT)
        assert owner.bodies("Transcribed")[0][2] == "a secret"
        assert stopped.body == [session, "time-limit", "a secret"]


async def test_a_private_session_can_be_ended_by_nobody_else(
    running: RunningService, client: BusClient, stranger: BusClient
) -> None:
    await client.call("StartDictationWithOptions", "a{sv}", PRIVATE)
    for member in ("StopDictation", "CancelDictation", "ToggleDictation"):
        with pytest.raises(BusError, match=r"org\.coldvox\.Error\.NotOwner"):
            await stranger.call(member)
    assert running.control.state is State.LISTENING
    await client.call("CancelDictation")


@pytest.mark.parametrize("options", [BOUND, PRIVATE], ids=["bound", "private"])
async def test_a_bound_session_ends_when_its_caller_leaves(
    running: RunningService, stranger: BusClient, options: dict[str, Variant]
) -> None:
    async with running.client() as caller:
        session = await caller.call("StartDictationWithOptions", "a{sv}", options)
        running.control.say("unfinished")
        async with stranger.expect_signal("DictationStopped") as stopped:
            await caller.leave()
    assert stopped.body == [session, "caller-left", ""]
    assert running.control.left == [caller.name]


async def test_a_session_that_is_not_bound_outlives_its_caller(running: RunningService, stranger: BusClient) -> None:
    async with running.client() as caller:
        await caller.call("StartDictation")
        name = caller.name
        with pytest.raises(BusError, match="AlreadyActive"):
            await caller.call("StartDictationWithOptions", "a{sv}", BOUND)
    await eventually_gone(stranger, name)
    assert running.control.left == []
    assert await stranger.get("org.coldvox.Dictation1", "State") == "listening"


async def test_a_caller_is_no_longer_watched_after_its_session(running: RunningService, stranger: BusClient) -> None:
    async with running.client() as caller:
        for _ in range(2):
            await caller.call("StartDictationWithOptions", "a{sv}", BOUND)
            await caller.call("StopDictation")
        await stranger.call("StartDictation")
        name = caller.name
        assert running.service._calls._callers._watches == {}
    await eventually_gone(stranger, name)
    assert running.control.left == []
    assert await stranger.get("org.coldvox.Dictation1", "State") == "listening"


async def test_a_second_bound_start_does_not_unbind_the_first(running: RunningService, stranger: BusClient) -> None:
    async with running.client() as caller:
        await caller.call("StartDictationWithOptions", "a{sv}", BOUND)
        with pytest.raises(BusError, match="AlreadyActive"):
            await caller.call("StartDictationWithOptions", "a{sv}", BOUND)
        async with stranger.expect_signal("DictationStopped") as stopped:
            await caller.leave()
    assert stopped.body[1] == "caller-left"


async def test_a_caller_that_leaves_at_once_leaves_no_session_behind(
    running: RunningService, stranger: BusClient
) -> None:
    for _ in range(20):
        async with running.client() as caller:
            caller.call_and_forget("StartDictationWithOptions", "a{sv}", BOUND)
        name = caller.name
        await eventually_gone(stranger, name)
        # The bus decides whether the session started before the caller left; the daemon must end it.
        await eventually(lambda: running.control.session == 0, what="the end of the session")
        await stranger.settle()
    assert await stranger.call("StartDictation") > 0


async def test_no_session_begins_for_a_caller_that_had_left_before_it_was_watched(
    running: RunningService, stranger: BusClient
) -> None:
    with paused(running.connection):  # the daemon is busy, and reads the call after the caller has left
        async with running.client() as caller:
            caller.call_and_forget("StartDictationWithOptions", "a{sv}", BOUND)
            await caller.call(
                "GetId",
                interface="org.freedesktop.DBus",
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
            )
    await stranger.settle()
    callers = running.service._calls._callers
    await eventually(lambda: not callers._watches, what="the end of the attempt")
    assert running.control.started == []
    assert await stranger.call("StartDictation") == 1


@pytest.mark.programs("busctl")
async def test_busctl_which_calls_and_exits_gets_an_answer_and_its_session_ends(
    running: RunningService, stranger: BusClient
) -> None:
    async with stranger.expect_signal("DictationStopped") as stopped:
        process = await asyncio.create_subprocess_exec(
            "busctl",
            f"--address={running.bus.address}",
            "call",
            "org.coldvox.Daemon1",
            "/org/coldvox/Daemon1",
            "org.coldvox.Dictation1",
            "StartDictationWithOptions",
            "a{sv}",
            "1",
            "bind-to-caller",
            "b",
            "true",
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"u 1\n")
    assert stopped.body == [1, "caller-left", ""]


async def eventually_gone(client: BusClient, name: str) -> None:
    """Wait until the bus, and then the daemon, must have seen that the name has no owner."""

    async def present() -> bool:
        return bool(
            await client.call(
                "NameHasOwner",
                "s",
                name,
                interface="org.freedesktop.DBus",
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
            )
        )

    while await present():
        await asyncio.sleep(0)
    await client.settle()
