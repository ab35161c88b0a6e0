"""coldvoxctl shortcut portal: held, tapped and repeated keys, with the real daemon."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import DICTATION
from coldvoxd.cli.key_presses import FAILED, REPEAT_DELAY_S, REPEAT_GAP_S, EventClock, Presses
from coldvoxd.cli.portal_keys import HOLD, NO_KEY, TAP_S, TOGGLE
from coldvoxd.core.errors import NoMicrophone
from tests.component.cli.conftest import Ctl, Running
from tests.support.bus.notifications import NotificationService
from tests.support.bus.portal import NO, PortalDesktop
from tests.support.bus.private_bus import BusClient, PrivateBus, RunningService, running_service
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually


@pytest.fixture
async def desktop(bus: PrivateBus) -> AsyncIterator[PortalDesktop]:
    async with PortalDesktop(bus.address) as desktop:
        yield desktop


@pytest.fixture
async def running(bus: PrivateBus, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(bus, tmp_path) as running:
        yield running


@asynccontextmanager
async def keys(ctl: Ctl, *options: str) -> AsyncIterator[Running]:
    """Yield the command with its keys bound; end it with an interrupt."""
    follower = await ctl("shortcut", "portal", *options)
    assert await follower.line() == f"Dictate while held: Press {HOLD}"
    assert await follower.line() == f"Start and stop dictation: Press {TOGGLE}"
    yield follower
    follower.process.send_signal(signal.SIGINT)
    assert (await follower.ended()).exit == 0


async def state_is(running: RunningDaemon | RunningService, wanted: str) -> None:
    async with running.client() as client, asyncio.timeout(20):
        while await client.get(DICTATION, "State") != wanted:
            await asyncio.sleep(0.02)


async def hold(desktop: PortalDesktop) -> None:
    """Hold the key for longer than a tap."""
    desktop.press(HOLD, down=True)
    await asyncio.sleep(TAP_S + 0.1)


async def tap(desktop: PortalDesktop, name: str = HOLD) -> None:
    """Tap the key, and wait for at least the minimum interval between two taps."""
    desktop.press(name, down=True)
    await asyncio.sleep(0.03)
    desktop.press(name, down=False)
    await asyncio.sleep(2 * REPEAT_GAP_S)


def sessions(client: BusClient) -> int:
    """Return the number of sessions that have started since the client subscribed."""
    return sum(signal.member == "DictationStarted" for signal in client.signals)


async def test_a_key_dictates_while_it_is_held(ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon) -> None:
    async with keys(ctl):
        for _ in range(2):
            await hold(desktop)
            await state_is(running, "listening")
            desktop.press(HOLD, down=False)
            await state_is(running, "idle")
    assert desktop.applications == ["org.coldvox.coldvoxd"]
    await eventually(lambda: not desktop.sessions, what="the session being released")


@pytest.mark.parametrize("releases", [False, True], ids=["presses alone", "releases and presses, as on X11"])
@pytest.mark.parametrize("name", [HOLD, TOGGLE])
async def test_a_key_that_repeats_begins_one_session(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon, name: str, releases: bool
) -> None:
    async with keys(ctl), running.client() as client:
        await client.subscribe()
        desktop.press(name, down=True)
        await asyncio.sleep(TAP_S + 0.1)
        for _ in range(15):
            if releases:
                desktop.press(name, down=False)
            desktop.press(name, down=True)
            await asyncio.sleep(1 / 30)
        await state_is(running, "listening")
        desktop.press(name, down=False)
        if name == TOGGLE:
            await asyncio.sleep(2 * REPEAT_GAP_S)
            await tap(desktop, TOGGLE)
        await state_is(running, "idle")
        assert sessions(client) == 1


async def test_the_same_key_tapped_starts_and_stops(ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon) -> None:
    async with keys(ctl):
        for wanted in ("listening", "idle", "listening", "idle"):
            await tap(desktop)
            await state_is(running, wanted)


async def test_two_taps_in_quick_succession_start_and_stop(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon
) -> None:
    async with keys(ctl), running.client() as client:
        await client.subscribe()
        await tap(desktop)
        await tap(desktop)
        await eventually(lambda: any(signal.member == "DictationStopped" for signal in client.signals))
        assert sessions(client) == 1


async def test_taps_whose_signals_arrive_late_and_together_start_and_stop(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon
) -> None:
    async with keys(ctl) as follower, running.client() as client:
        await client.subscribe()
        follower.process.send_signal(signal.SIGSTOP)
        for down, timestamp_ms in ((True, 5_000), (False, 5_080), (True, 5_300), (False, 5_380)):
            desktop.press(TOGGLE, down=down, timestamp_ms=timestamp_ms)
        follower.process.send_signal(signal.SIGCONT)
        await eventually(lambda: any(signal.member == "DictationStopped" for signal in client.signals))
        assert sessions(client) == 1


async def test_the_other_key_starts_and_stops(ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon) -> None:
    async with keys(ctl):
        for wanted in ("listening", "idle"):
            await tap(desktop, TOGGLE)
            await state_is(running, wanted)


@pytest.mark.parametrize("name", [HOLD, TOGGLE])
async def test_a_key_starts_its_session_with_the_options_of_the_command(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon, name: str
) -> None:
    async with keys(ctl, "--words", "--max-seconds", "60"), running.client() as other:
        await tap(desktop, name)
        await state_is(running, "listening")
        options = await other.call("GetSessionOptions", "u", await other.get(DICTATION, "Session"))
        assert (options["words"].value, options["max-seconds"].value) == (True, 60)
        await tap(desktop, name)
        await state_is(running, "idle")


async def test_a_session_that_runs_already_is_ended_by_the_release(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon
) -> None:
    async with keys(ctl), running.client() as other:
        for press in (hold, tap):
            await other.call("StartDictation")
            await press(desktop)
            desktop.press(HOLD, down=False)
            await state_is(running, "idle")


async def test_after_a_tap_whose_session_was_stopped_elsewhere_the_next_tap_starts(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon
) -> None:
    async with keys(ctl), running.client() as other:
        for end in ("StopDictation", "CancelDictation", "ToggleDictation"):
            await tap(desktop)
            await state_is(running, "listening")
            await other.call(end)
            await state_is(running, "idle")
            await tap(desktop)
            await state_is(running, "listening")
            await tap(desktop)
            await state_is(running, "idle")


async def test_after_a_tap_whose_session_reached_its_time_limit_the_next_tap_starts(
    ctl: Ctl, desktop: PortalDesktop, bus: PrivateBus, tmp_path: Path
) -> None:
    settings = f"{default_settings(bus.directory / 'mic')}[dictation]\nmax_seconds = 1\n"
    async with daemon(bus, tmp_path, settings) as running, keys(ctl), running.client() as client:
        await client.subscribe()
        for number in (1, 2):
            await tap(desktop)
            await eventually(lambda number=number: sessions(client) == number)  # type: ignore[misc]
            await state_is(running, "idle")


async def test_after_a_tap_whose_session_a_restart_ended_the_next_tap_starts(
    ctl: Ctl, desktop: PortalDesktop, bus: PrivateBus, tmp_path: Path
) -> None:
    async with keys(ctl):
        async with daemon(bus, tmp_path) as before:
            await tap(desktop)
            await state_is(before, "listening")
        async with daemon(bus, tmp_path) as after:
            await state_is(after, "idle")
            await tap(desktop)
            await state_is(after, "listening")


async def test_a_key_held_over_a_restart_of_the_daemon_goes_on_to_dictate(
    ctl: Ctl, desktop: PortalDesktop, bus: PrivateBus, tmp_path: Path
) -> None:
    async with keys(ctl):
        async with daemon(bus, tmp_path) as before:
            await hold(desktop)
            await state_is(before, "listening")
        async with daemon(bus, tmp_path, until="listening") as after:
            desktop.press(HOLD, down=False)
            await state_is(after, "idle")


async def test_a_release_stops_no_session_but_that_of_its_press(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon
) -> None:
    async with keys(ctl), running.client() as other:
        await other.subscribe()
        await hold(desktop)
        await state_is(running, "listening")
        await other.call("CancelDictation")
        await other.call("StartDictation")
        desktop.press(HOLD, down=False)
        await asyncio.sleep(2 * REPEAT_GAP_S)
        await hold(desktop)  # would start a third session if the release had stopped the second one
        desktop.press(HOLD, down=False)
        await state_is(running, "idle")
        assert sessions(other) == 2


async def test_a_press_while_the_last_text_is_awaited_starts_after_it(
    ctl: Ctl, desktop: PortalDesktop, bus: PrivateBus
) -> None:
    async with running_service(bus) as service, keys(ctl), service.client() as other:
        pending = service.control.text_pending = asyncio.Event()
        await other.call("StartDictation")
        stopping = asyncio.ensure_future(other.call("StopDictation"))
        await state_is(service, "transcribing")
        await hold(desktop)
        pending.set()
        await stopping
        await state_is(service, "listening")
        desktop.press(HOLD, down=False)
        await state_is(service, "idle")


async def test_what_goes_wrong_is_shown_and_the_next_press_tries_again(
    ctl: Ctl, desktop: PortalDesktop, bus: PrivateBus
) -> None:
    async with running_service(bus) as service, NotificationService(bus.address) as shown, keys(ctl) as follower:
        assert follower.process.stderr is not None
        service.control.fault = NoMicrophone("There is no microphone: plug one in.")
        for name, count in ((TOGGLE, 1), (HOLD, 2)):
            await tap(desktop, name)
            assert b"plug one in" in await asyncio.wait_for(follower.process.stderr.readline(), 30)
            await eventually(lambda count=count: len(shown.shown) == count)  # type: ignore[misc]
        assert [body[1] for body in shown.shown] == [0, 1], "the second replaces the first"
        assert shown.shown[0][3:5] == [FAILED, "There is no microphone: plug one in."]
        service.control.fault = None
        for wanted in ("listening", "idle"):
            await tap(desktop)
            await state_is(service, wanted)


async def test_without_a_daemon_and_without_notifications_a_press_is_reported(ctl: Ctl, desktop: PortalDesktop) -> None:
    async with keys(ctl) as follower:
        assert follower.process.stderr is not None
        for _ in range(2):
            await tap(desktop, TOGGLE)
            assert b"coldvoxd" in await asyncio.wait_for(follower.process.stderr.readline(), 30)


@pytest.mark.parametrize("unbound", [{HOLD, TOGGLE}, None], ids=["an empty list", "no list"])
async def test_a_desktop_that_binds_no_key_is_reported(
    ctl: Ctl, desktop: PortalDesktop, bus: PrivateBus, unbound: set[str] | None
) -> None:
    desktop.unbound = unbound
    async with NotificationService(bus.address) as shown:
        ended = await (await ctl("shortcut", "portal")).ended()
    assert (ended.exit, ended.out) == (1, "")
    assert "assigned no key" in ended.err
    assert "systemctl --user restart coldvoxd-keys" in ended.err
    assert [body[3] for body in shown.shown] == [FAILED]


async def test_a_key_that_was_not_bound_is_named(ctl: Ctl, desktop: PortalDesktop) -> None:
    desktop.unbound = {HOLD}
    follower = await ctl("shortcut", "portal")
    assert await follower.line() == f"Dictate while held: {NO_KEY}"
    assert await follower.line() == f"Start and stop dictation: Press {TOGGLE}"


async def test_a_portal_that_ends_takes_the_keys_along(ctl: Ctl, desktop: PortalDesktop) -> None:
    for end in (desktop.close_sessions, desktop.end):
        follower = await ctl("shortcut", "portal")
        await follower.line()
        await follower.line()
        ended = end()
        if ended is not None:
            await ended
        result = await follower.ended()
        assert (result.exit, "portal has exited" in result.err) == (3, True)


@pytest.mark.usefixtures("desktop")
async def test_a_bus_that_ends_takes_the_keys_along(ctl: Ctl, bus: PrivateBus) -> None:
    follower = await ctl("shortcut", "portal")
    await follower.line()
    bus.kill()
    assert (await follower.ended()).exit == 3


@pytest.mark.parametrize("ends", ["the portal", "this program"])
async def test_a_key_that_is_held_when_keys_end_is_let_go_of(
    ctl: Ctl, desktop: PortalDesktop, running: RunningDaemon, ends: str
) -> None:
    follower = await ctl("shortcut", "portal")
    await follower.line()
    await hold(desktop)
    await state_is(running, "listening")
    if ends == "the portal":
        await desktop.end()
    else:
        follower.process.send_signal(signal.SIGTERM)
    await follower.ended()
    await state_is(running, "idle")


async def test_a_refusal_and_a_missing_portal_are_told(ctl: Ctl, desktop: PortalDesktop) -> None:
    desktop.answers = [NO]
    refused = await (await ctl("shortcut", "portal")).ended()
    assert (refused.exit, "denied in the desktop" in refused.err) == (1, True)
    await desktop.end()
    missing = await (await ctl("shortcut", "portal")).ended()
    assert (missing.exit, "coldvoxctl shortcut install" in missing.err) == (1, True)


def test_auto_repeat_is_neither_a_press_nor_a_release() -> None:
    key = Presses()
    key.released(0.0, 0.0)  # pressed before the command listened
    assert key.released_by(9.0) is None
    assert key.pressed(10.0)
    assert not key.pressed(10.5)
    key.released(10.53, 10.53)
    assert key.released_before(10.53) is None
    assert not key.pressed(10.53)
    key.released(10.56, 10.57)
    assert key.due_s == pytest.approx(10.57 + REPEAT_GAP_S)
    assert key.released_by(10.56 + REPEAT_GAP_S) is None
    assert key.released_by(10.58 + REPEAT_GAP_S) == 10.56
    assert key.released_by(11.0) is None
    assert key.pressed(11.0)


def test_a_press_long_after_the_last_one_is_a_press_though_no_release_came() -> None:
    key = Presses()
    assert key.pressed(1.0)
    assert not key.pressed(1.0 + 0.9 * REPEAT_DELAY_S)
    assert key.pressed(1.0 + 2 * REPEAT_DELAY_S)


def test_a_second_tap_soon_after_the_first_is_a_press() -> None:
    key = Presses()
    assert key.pressed(1.0)
    key.released(1.05, 1.05)
    assert key.released_before(1.12) == 1.05
    assert key.pressed(1.12)


def test_two_taps_that_arrive_together_are_told_apart_by_their_timestamps() -> None:
    clock, key = EventClock(), Presses()
    assert key.pressed(clock.local(5_000, 100.0))
    arrival_s = 102.0
    key.released(clock.local(5_100, arrival_s), arrival_s)
    second_s = clock.local(5_300, arrival_s)
    assert key.released_before(second_s) == pytest.approx(100.1)
    assert key.pressed(second_s)


def test_auto_repeat_that_arrives_apart_is_recognized_by_its_timestamps() -> None:
    clock, key = EventClock(), Presses()
    assert key.pressed(clock.local(5_000, 100.0))
    key.released(clock.local(5_500, 100.5), 100.5)
    repeat_s = clock.local(5_500, 100.9)
    assert key.released_before(repeat_s) is None
    assert not key.pressed(repeat_s)


def test_times_without_or_with_odd_timestamps_are_those_of_arrival() -> None:
    clock = EventClock()
    assert clock.local(0, 7.0) == 7.0
    assert clock.local(90_000, 7.5) == 7.5
    assert clock.local(90_500, 9.0) == 8.0
    assert clock.local(1_000, 10.0) == 10.0  # the desktop's clock was set back
    assert clock.local(1_500, 10.7) == 10.5
