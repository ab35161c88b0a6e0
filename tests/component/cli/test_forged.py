"""Forged signals sent to the client programs; the table in tests/component/bus tests each signal separately."""

import asyncio
from pathlib import Path
from typing import Any

from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, MICROPHONE, OBJECT_PATH
from coldvoxd.bus.library import Variant
from coldvoxd.bus.peers.global_shortcuts import INTERFACE
from coldvoxd.bus.peers.portal import NAME, PATH, SESSION
from coldvoxd.bus.peers.screen_lock import SCREEN_SAVERS
from coldvoxd.cli.key_presses import REPEAT_GAP_S
from coldvoxd.cli.portal_keys import HOLD, TOGGLE
from coldvoxd.core.values import SessionOptions
from tests.component.cli.conftest import Ctl
from tests.component.cli.test_global_shortcuts import keys, tap
from tests.component.cli.test_listen import MINE, listening, next_object
from tests.support.bus.forger import Client, Told, on_the_bus, owner_changed, settled
from tests.support.bus.portal import PortalDesktop
from tests.support.bus.private_bus import PrivateBus, RunningService
from tests.support.bus.screensaver import screen_saver
from tests.support.daemon.process import daemon, default_settings
from tests.support.eventually import eventually

SAVER = "org.gnome.ScreenSaver"


async def forge(stranger: Client, pid: int, *signals: Told) -> None:
    """Send the signals to every connection of a process, and wait until it has handled them."""
    for name in await stranger.names_of(pid):
        for told in signals:
            await stranger.send(told, name)
    await settled(stranger, pid)


async def test_a_listener_prints_no_strangers_text(running: RunningService, ctl: Ctl) -> None:
    command = await listening(ctl)
    daemons_name = str(running.connection.unique_name)
    async with on_the_bus(running.bus.address) as stranger:
        await forge(
            stranger,
            command.process.pid,
            Told(DICTATION, "Transcribed", OBJECT_PATH, "uusa{sv}", (7, 1, "forged", {})),
            Told(DICTATION, "DictationStopped", OBJECT_PATH, "uss", (7, "stopped", "forged")),
            owner_changed(BUS_NAME, daemons_name, ""),
        )
        running.control.start(MINE, SessionOptions(), 0.0)
        assert await next_object(command) == {"event": "started", "session": 1}


async def test_keys_are_pressed_by_the_portal_alone(running: RunningService, ctl: Ctl) -> None:
    async with PortalDesktop(running.bus.address) as desktop, on_the_bus(running.bus.address) as stranger:
        async with keys(ctl) as follower:
            [session] = desktop.sessions
            pressed: tuple[str, tuple[Any, ...]] = ("osta{sv}", (session, TOGGLE, 0, {}))
            pid = follower.process.pid
            await forge(stranger, pid, Told(INTERFACE, "Activated", PATH, *pressed))
            await forge(stranger, pid, Told(INTERFACE, "Deactivated", PATH, *pressed))
            await asyncio.sleep(2 * REPEAT_GAP_S)  # at least the minimum interval between two taps
            await forge(
                stranger,
                pid,
                Told(SESSION, "Closed", session, "a{sv}", ({},)),
                owner_changed(NAME, str(desktop._bus.unique_name), ""),
            )
            await tap(desktop, TOGGLE)
            await eventually(lambda: running.control.session == 1, what="the session of the real key, which continues")
            await tap(desktop, HOLD)
        assert len(running.control.started) == 1


async def test_a_private_session_is_not_ended_by_a_strangers_lock(bus: PrivateBus, tmp_path: Path) -> None:
    settings = default_settings(bus.directory / "mic").replace("[model]", "release_on_lock = true\n[model]")
    async with (
        daemon(bus, tmp_path, settings) as running,
        screen_saver(bus.address, SAVER) as saver,
        running.client() as client,
        on_the_bus(bus.address) as stranger,
    ):
        await client.subscribe()
        session = await client.call("StartDictationWithOptions", "a{sv}", {"private": Variant("b", True)})
        locks = [Told(name, "ActiveChanged", path, "b", (True,)) for name, path in SCREEN_SAVERS.items()]
        await forge(stranger, running.process.pid, *locks, owner_changed(client.name, client.name, ""))
        assert await client.get(DICTATION, "Session") == session
        assert await client.get(MICROPHONE, "Open") is True
        async with client.expect_signal("DictationStopped", lambda body: body[1] == "screen-locked"):
            saver.lock()
        for name in SCREEN_SAVERS:
            unlock = Told(name, "ActiveChanged", SCREEN_SAVERS[name], "b", (False,))
            await forge(stranger, running.process.pid, unlock)
        assert await client.get(MICROPHONE, "Open") is False
