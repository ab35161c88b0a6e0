"""How GNOME's extension follows a daemon: the real one, on a private bus."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, OBJECT_PATH
from coldvoxd.bus.library import Variant
from coldvoxd.virtual.client import command
from tests.support.bus.forger import BUS, Told, on_the_bus, owner_changed, settled
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import daemon
from tests.support.desktop.gjs import needs_gjs, watching
from tests.support.sound.speech import samples

pytestmark = needs_gjs
NOT_INSTALLED = "The service coldvoxd is not installed for this user."
COUNTING = next(sample for sample in samples() if sample.said == "One two three four five.")


async def test_it_follows_a_daemon_that_comes_listens_goes_and_comes_again(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        async with watching(bus.environment) as watcher:
            await watcher.until_shown("gone")
            async with daemon(bus, tmp_path) as running:
                await watcher.until_shown("idle")
                watcher.wish("toggle")
                await watcher.until_shown("listening")
                speaking = asyncio.create_task(running.speak(COUNTING))
                await watcher.until(lambda told: told.get("level", -100) > -40)
                await watcher.until(lambda told: told.get("transcribed") == "One two three four five.")
                watcher.wish("toggle")
                await watcher.until_shown("idle")
                await speaking
            await watcher.until_shown("gone")
            async with daemon(bus, tmp_path):
                await watcher.until_shown("idle")
        assert not [told for told in watcher.told if "broken" in told or "failed" in told]


async def test_it_asks_for_words_while_they_are_spoken_and_shows_them(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        async with watching(bus.environment) as watcher, daemon(bus, tmp_path) as running, running.client() as client:
            await watcher.until(lambda told: "partials" in told.get("capabilities", []))
            watcher.wish("toggle true")
            await watcher.until_shown("listening")
            session = await client.get(DICTATION, "Session")
            assert (await client.call("GetSessionOptions", "u", session))["partials"].value is True
            speaking = asyncio.create_task(running.speak(COUNTING))
            # The first guess, from half a word, may be another one.
            await watcher.until(lambda told: " ".join(filter(None, told.get("partial", []))).startswith("One"))
            await watcher.until(lambda told: told.get("transcribed") == "One two three four five.")
            watcher.wish("toggle true")
            await watcher.until_shown("idle")
            await speaking


async def test_it_shows_no_strangers_signals(tmp_path: Path) -> None:
    """GDBus compares the sender with the owner of the subscribed name."""
    with PrivateBus() as bus:
        async with (
            watching(bus.environment) as watcher,
            daemon(bus, tmp_path) as running,
            running.client() as client,
            on_the_bus(bus.address) as stranger,
        ):
            await watcher.until_shown("idle")
            owner = await client.call(
                "GetNameOwner", "s", BUS_NAME, interface=BUS, destination=BUS, path="/org/freedesktop/DBus"
            )
            changed: tuple[Any, ...] = (DICTATION, {"State": Variant("s", "listening")}, [])
            for name in await stranger.names_of(watcher.pid):
                for told in (
                    Told(DICTATION, "Transcribed", OBJECT_PATH, "uusa{sv}", (7, 1, "forged", {})),
                    Told(f"{BUS}.Properties", "PropertiesChanged", OBJECT_PATH, "sa{sv}as", changed),
                    owner_changed(BUS_NAME, owner, ""),
                ):
                    await stranger.send(told, name)
            await settled(stranger, watcher.pid)
            seen = len(watcher.told)
            watcher.wish("setProvider cpu")
            await watcher.until(lambda told: told.get("done") == "setProvider")
        assert [told for told in watcher.told[seen:] if "transcribed" in told or "shown" in told] == []


async def test_a_microphone_that_is_gone_is_shown_and_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        async with watching(bus.environment) as watcher, daemon(bus, tmp_path) as running:
            await watcher.until_shown("idle")
            await asyncio.to_thread(command, running.microphone, "UNPLUG")
            told = await watcher.until(lambda told: told.get("shown", {}).get("title") == "No microphone")
            assert told["shown"]["detail"]
            await asyncio.to_thread(command, running.microphone, "PLUG")
            await watcher.until_shown("idle")
            watcher.wish("setProvider abacus")
            refused = await watcher.until(lambda told: "failed" in told)
            assert "abacus" in refused["sentence"]
            assert "GDBus.Error" not in refused["sentence"]


@pytest.mark.parametrize("wish", ["cancel", "setProvider cpu"])
async def test_nothing_but_the_wish_to_dictate_starts_a_daemon(tmp_path: Path, wish: str) -> None:
    started = tmp_path / "started"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / "org.coldvox.Daemon1.service").write_text(
        f"[D-BUS Service]\nName=org.coldvox.Daemon1\nExec={program}\n"
    )
    with PrivateBus([tmp_path]) as bus:
        async with watching(bus.environment) as watcher:
            await watcher.until_shown("gone")
            watcher.wish(wish)
            failed = await watcher.until(lambda told: "failed" in told)
            assert failed["sentence"] == NOT_INSTALLED
            assert not started.exists()
            watcher.wish("toggle")
            await watcher.until(lambda told: told.get("failed") == "toggle")
            assert started.exists()


async def test_a_restart_without_systemd_is_told() -> None:
    with PrivateBus() as bus:
        async with watching(bus.environment) as watcher:
            await watcher.until_shown("gone")
            watcher.wish("restart")
            failed = await watcher.until(lambda told: "failed" in told)
            assert "org.freedesktop.systemd1" in failed["sentence"]
