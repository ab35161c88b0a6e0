"""coldvoxctl shortcut portal: keys that are held, tapped and repeated, on the real daemon."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coldvoxd.bus.contract import DICTATION
from coldvoxd.cli.globalshortcuts import HOLD, TAP_S, TOGGLE, Keys
from coldvoxd.core.errors import AlreadyActive, NotActive
from tests.component.cli.conftest import Ctl, Running
from tests.support.bus import PrivateBus
from tests.support.daemon import RunningDaemon, daemon
from tests.support.eventually import eventually
from tests.support.portal import NO, PortalDesktop


@pytest.fixture
async def desktop(bus: PrivateBus) -> AsyncIterator[PortalDesktop]:
    async with PortalDesktop(bus.address) as desktop:
        yield desktop


@pytest.fixture
async def running(bus: PrivateBus, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(bus, tmp_path) as running:
        yield running


@asynccontextmanager
async def keys(ctl: Ctl) -> AsyncIterator[Running]:
    """Bound, and let go of with an interrupt."""
    follower = await ctl("shortcut", "portal")
    assert await follower.line() == f"Dictate while held: Press {HOLD}"
    assert await follower.line() == f"Start and stop dictation: Press {TOGGLE}"
    yield follower
    follower.process.send_signal(signal.SIGINT)
    assert (await follower.ended()).exit == 0


async def state_is(running: RunningDaemon, wanted: str) -> None:
    async with running.client() as client, asyncio.timeout(20):
        while await client.get(DICTATION, "State") != wanted:
            await asyncio.sleep(0.02)


async def test_a_key_dictates_while_it_is_held(ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon) -> None:
    async with keys(ctl):
        for _ in range(2):
            desktop.press(HOLD, down=True)
            await state_is(running, "listening")
            desktop.press(HOLD, down=True)  # as a key that repeats
            await asyncio.sleep(TAP_S + 0.1)
            desktop.press(HOLD, down=False)
            await state_is(running, "idle")
    assert desktop.applications == ["org.coldvox.coldvoxd"]
    await eventually(lambda: not desktop.sessions, what="the session given back")


async def test_the_same_key_tapped_starts_and_stops(ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon) -> None:
    async with keys(ctl):
        for wanted in ("listening", "idle", "listening", "idle"):
            desktop.press(HOLD, down=True)
            desktop.press(HOLD, down=False)
            await state_is(running, wanted)


async def test_the_other_key_starts_and_stops(ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon) -> None:
    async with keys(ctl):
        for wanted in ("listening", "idle"):
            desktop.press(TOGGLE, down=True)
            desktop.press(TOGGLE, down=False)
            await state_is(running, wanted)


async def test_a_session_that_runs_already_is_ended_by_the_release(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon
) -> None:
    async with keys(ctl), running.client() as other:
        await other.call("StartDictation")
        desktop.press(HOLD, down=True)
        await asyncio.sleep(TAP_S + 0.1)
        desktop.press(HOLD, down=False)
        await state_is(running, "idle")


async def test_what_goes_wrong_is_told_and_the_next_press_tries_again(ctl: Ctl, desktop: PortalDesktop) -> None:
    async with keys(ctl) as follower:
        assert follower.process.stderr is not None
        for _ in range(2):
            desktop.press(TOGGLE, down=True)
            assert b"coldvoxd" in await asyncio.wait_for(follower.process.stderr.readline(), 30)


async def test_a_portal_that_ends_takes_the_keys_along(ctl: Ctl, desktop: PortalDesktop) -> None:
    for end in (desktop.close_sessions, desktop.end):
        follower = await ctl("shortcut", "portal")
        await follower.line()
        await follower.line()
        ended = end()
        if ended is not None:
            await ended
        result = await follower.ended()
        assert (result.exit, "portal has ended" in result.err) == (3, True)


async def test_a_refusal_and_a_missing_portal_are_told(ctl: Ctl, desktop: PortalDesktop) -> None:
    desktop.answers = [NO]
    refused = await (await ctl("shortcut", "portal")).ended()
    assert (refused.exit, "answered with no" in refused.err) == (1, True)
    await desktop.end()
    missing = await (await ctl("shortcut", "portal")).ended()
    assert (missing.exit, "coldvoxctl shortcut install" in missing.err) == (1, True)


async def test_a_lost_release_and_an_ended_session_leave_nothing_stuck() -> None:
    done: list[str] = []

    async def start() -> None:
        done.append("start")
        if done.count("start") == 2:
            raise AlreadyActive("it runs")

    async def stop() -> None:
        done.append("stop")
        raise NotActive("it has ended by itself")

    async def toggle() -> None:
        done.append("toggle")

    keys = Keys(start, stop, toggle)
    await keys.released(HOLD, 0.0)  # pressed before we listened
    await keys.pressed(HOLD, 1.0)
    await keys.pressed(HOLD, 2.0)  # the release between was lost
    await keys.released(HOLD, 3.0)
    await keys.pressed(HOLD, 4.0)
    await keys.released(HOLD, 5.0)
    await keys.pressed(TOGGLE, 6.0)
    await keys.pressed("unknown", 7.0)
    assert done == ["start", "stop", "start", "stop", "toggle"]
