"""The parts of the Plasma widget that need no Plasma: its modules, run by gjs, with a real gdbus on a private bus."""

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from coldvoxd import __version__
from coldvoxd.bus.interface_xml import DICTATION, ENGINE, OBJECT_PATH
from tests.support.bus.forger import BUS, Client, Told, on_the_bus
from tests.support.bus.private_bus import PrivateBus
from tests.support.desktop.gjs import WIDGET, called, needs_gjs
from tests.support.eventually import PATIENCE_S, eventually_answered

MODULES = WIDGET / "contents/ui"
NOT_INSTALLED = "The service coldvoxd is not installed for this user."
BROKEN = "The service coldvoxd could not be started. Run “coldvoxctl doctor” in a terminal: it reports how to fix this."
FREEDESKTOP = "org.freedesktop.DBus.Error"
THEMES = {
    "Breeze Light": ("#232629", "#eff0f1", "#da4453", "#f67400", "#3daee9"),
    "Breeze Dark": ("#fcfcfc", "#2a2e32", "#da4453", "#f67400", "#3daee9"),
    "black on white": ("#000000", "#ffffff", "#ff0000", "#ffff00", "#00ffff"),
    "white on black": ("#ffffff", "#000000", "#800000", "#808000", "#000080"),
}
"""Text, background, negative, neutral and highlight colours."""

needs_gdbus = pytest.mark.programs("gjs", "gdbus")


def color(name: str) -> dict[str, float]:
    red, green, blue = bytes.fromhex(name[1:])
    return {"r": red / 255, "g": green / 255, "b": blue / 255}


class Follower:
    """The widget's two commands, run as the widget runs them."""

    def __init__(self, bus: PrivateBus, directory: Path, owner: str) -> None:
        fifo = f"{directory}/fifo"
        self.environment = bus.environment
        self._writing, self._first, self._rare = called(
            ("bus", "writing", [fifo, owner, OBJECT_PATH]),
            ("bus", "reading", [fifo, "first"]),
            ("bus", "reading", [fifo, "rare"]),
        )
        self._rest = ""

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator["asyncio.subprocess.Process"]:
        """Run the writing command; return once it receives everything."""
        process = await asyncio.create_subprocess_shell(self._writing, env=self.environment)
        try:
            found: list[dict[str, Any]] = await self.read(self._first)
            while {"member": "Receiving"} not in found:
                found = await self.read()
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def read(self, command: str = "") -> list[dict[str, Any]]:
        """Return the events of one reading command."""
        async with asyncio.timeout(PATIENCE_S):
            process = await asyncio.create_subprocess_shell(
                command or self._rare, env=self.environment, stdout=subprocess.PIPE
            )
            output, _ = await process.communicate()
        assert output
        (found,) = await asyncio.to_thread(called, ("bus", "events", [self._rest + output.decode()]))
        self._rest = found["rest"]
        events: list[dict[str, Any]] = found["events"]
        return events


def transcribed(number: int, text: str) -> Told:
    return Told(DICTATION, "Transcribed", OBJECT_PATH, "uusa{sv}", (1, number, text, {}))


@needs_gdbus
async def test_signals_are_received_from_the_daemon_alone_and_none_is_lost_between_two_readings(tmp_path: Path) -> None:
    texts = ["One.", "it's", 'say "it\'s"', "a\\b\nc\td", "жить 😀 日本", "\u200b\x07", *map(str, range(500))]
    with PrivateBus() as bus:
        async with on_the_bus(bus.address) as daemon, on_the_bus(bus.address) as stranger:
            follower = Follower(bus, tmp_path, daemon.name)
            async with follower.following():
                await stranger.send(transcribed(1, "forged"))
                await daemon.send(Told(DICTATION, "DictationStarted", OBJECT_PATH, "u", (1,)))
                await daemon.send(
                    Told(f"{BUS}.Properties", "PropertiesChanged", OBJECT_PATH, "sa{sv}as", (ENGINE, {}, []))
                )
                await daemon.send(Told(DICTATION, "Level", OBJECT_PATH, "d", (-31.5,)))
                await daemon.send(Told(DICTATION, "SpeechStarted", OBJECT_PATH, "u", (1,)))
                for number, text in enumerate(texts, 1):
                    partial = (1, number, text, "and so on")
                    await daemon.send(Told(DICTATION, "PartialTranscribed", OBJECT_PATH, "uuss", partial))
                    await daemon.send(transcribed(number, text))
                found: list[dict[str, Any]] = []
                while len(found) < 3 + 2 * len(texts):
                    found += await follower.read()
    assert found[:3] == [
        {"member": "DictationStarted"},
        {"member": "PropertiesChanged", "iface": ENGINE},
        {"member": "Level", "dbfs": -31.5},
    ]
    said = [{"session": 1, "utterance": number, "text": text} for number, text in enumerate(texts, 1)]
    assert found[3::2] == [{"member": "PartialTranscribed", "unstable": "and so on", **one} for one in said]
    assert found[4::2] == [{"member": "Transcribed", **one} for one in said]


@needs_gdbus
async def test_gdbus_ends_with_the_command_that_runs_it(tmp_path: Path) -> None:
    """Plasma kills the shell that it has started: gdbus must be in the same process."""
    with PrivateBus() as bus:
        async with on_the_bus(bus.address) as daemon:
            follower = Follower(bus, tmp_path, daemon.name)
            async with follower.following() as process:
                assert await daemon.names_of(process.pid)
            await eventually_answered(lambda: _gone(daemon, process.pid), what="gdbus's end")


async def _gone(client: Client, pid: int) -> bool:
    return not await client.names_of(pid)


@needs_gjs
def test_incomplete_and_other_lines_are_no_events() -> None:
    line = f"{OBJECT_PATH}: {DICTATION}.Level (-3.0,)"
    found = called(
        ("bus", "events", [f"Monitoring signals from all objects owned by :1.5\n{line}\n{line[:-3]}"]),
        ("bus", "events", [""]),
        ("bus", "events", [f"{OBJECT_PATH}: {DICTATION}.Transcribed (odd)\n"]),
    )
    assert found == [
        {"events": [{"member": "Level", "dbfs": -3}], "rest": line[:-3]},
        {"events": [], "rest": ""},
        {"events": [], "rest": ""},
    ]


@needs_gjs
def test_a_service_that_is_not_there_is_told_in_a_sentence() -> None:
    refusals = [
        (f"{FREEDESKTOP}.ServiceUnknown", "The name org.coldvox.Daemon1 was not provided by any .service files", NOT_INSTALLED),
        (f"{FREEDESKTOP}.NameHasNoOwner", "Could not get owner of name 'org.coldvox.Daemon1'", NOT_INSTALLED),
        ("org.freedesktop.systemd1.NoSuchUnit", "Unit coldvoxd.service not found.", NOT_INSTALLED),
        (f"{FREEDESKTOP}.Spawn.ChildExited", "Process org.coldvox.Daemon1 exited with status 1", BROKEN),
        ("org.freedesktop.systemd1.UnitMasked", "Unit coldvoxd.service is masked.", BROKEN),
        (f"{FREEDESKTOP}.NoReply", "Did not receive a reply.", "The service coldvoxd does not respond."),
        ("org.coldvox.Error.NoMicrophone", "There is no microphone.", "There is no microphone."),
        (f"{FREEDESKTOP}.ServiceUnknown", "The name org.freedesktop.systemd1 was not provided", "The name org.freedesktop.systemd1 was not provided"),
    ]  # fmt: skip
    found = called(*(("bus", "refusal", [name, message]) for name, message, _ in refusals))
    assert found == [wanted for _, _, wanted in refusals]


@needs_gjs
def test_the_bubble_shows_the_end_of_a_long_text() -> None:
    texts = [
        ("short", ""),
        ("😀" * 200, ""),
        ("", "😀" * 200),
        ("a" * 200, "b" * 9),
        ("a", "b" * 200),
        ("a" * 69, "b" * 70),
    ]
    found = called(*(("presentation", "ending", [*text]) for text in texts))
    assert found == [
        ["short", ""],
        ["…" + "😀" * 139, ""],
        ["", "…" + "😀" * 139],
        ["…" + "a" * 129, "b" * 9],
        ["", "…" + "b" * 139],
        ["a" * 69, "b" * 70],
    ]


@needs_gjs
@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_of_the_widget_can_be_read_in_light_and_dark_themes(theme: str) -> None:
    text, background, *colors = THEMES[theme]
    inks = called(*(("contrast", "readable", [color(one), color(background), color(text)]) for one in colors))
    contrasts = called(*(("contrast", "contrast", [color(ink), color(background)]) for ink in inks))
    assert all(found >= 4.5 for found in contrasts), (inks, contrasts)
    unchanged, black = called(
        ("contrast", "readable", [color(text), color(background), color(text)]),
        ("contrast", "contrast", [color("#000000"), color("#ffffff")]),
    )
    assert unchanged == text
    assert black == pytest.approx(21)


def test_no_part_of_the_widget_is_made_transparent_or_coloured_by_the_theme_alone() -> None:
    """The theme's red and orange have a contrast of 2.5 to 3.7 to 1 on its backgrounds, and faded text loses contrast."""
    for file in MODULES.glob("*.qml"):
        source = file.read_text("utf-8")
        assert "opacity" not in source, file.name
        for line in source.splitlines():
            if re.search(r"Theme\.(negative|neutral|highlight)\w*Color", line):
                assert re.search(r"ink\(|readable\(", line), f"{file.name}: {line}"


def test_every_control_has_a_name_and_can_be_reached_with_the_keyboard() -> None:
    light = (MODULES / "Light.qml").read_text("utf-8")
    for needed in ("activeFocusOnTab: true", "Accessible.name:", "Accessible.onPressAction:", "Keys.onPressed:"):
        assert needed in light
    popup = (MODULES / "Popup.qml").read_text("utf-8")
    assert popup.count("Choice {") == len(re.findall(r"^ +label: \w+\.text$", popup, re.MULTILINE))
    for button in re.findall(r"PlasmaComponents\.Button \{.*?\n    +\}", popup, re.DOTALL):
        assert re.search(r"^ +text: ", button, re.MULTILINE)


def test_the_metadata_is_complete() -> None:
    metadata = json.loads((WIDGET / "metadata.json").read_text("utf-8"))
    plugin = metadata["KPlugin"]
    assert (plugin["Id"], plugin["Version"], plugin["License"]) == (WIDGET.name, __version__, "MIT")
    assert plugin["Website"].startswith("https://")
    assert plugin["BugReportUrl"].startswith("https://")
    assert plugin["Authors"][0]["Name"]
    for key in ("Name", "Description", "Icon", "Category"):
        assert plugin[key]
    for key in ("Name[de]", "Description[de]"):
        assert plugin[key]
    assert metadata["KPackageStructure"] == "Plasma/Applet"
    assert metadata["X-Plasma-API-Minimum-Version"] == "6.0"


def test_it_does_not_poll_while_signals_arrive() -> None:
    """The only repeating timer is that of a machine without gdbus."""
    timers = [
        timer
        for file in MODULES.glob("*.qml")
        for timer in re.findall(r"Timer \{.*?\n    \}", file.read_text("utf-8"), re.DOTALL)
    ]
    assert len(timers) == 1
    assert "running: daemon.facts.present && !signals.working" in timers[0]
