"""Checks of the Plasma widget in the real shell: it starts nothing, does not poll, and can be read and operated."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from accessible import Node, reading
from plasma import DARK, LIGHT, Plasma
from stage import RUNTIME, Stage, StageError, settled, until

from coldvoxd.bus.interface_xml import BUS_NAME
from coldvoxd.bus.library import Message, MessageType
from tests.support.bus.library import MessageBus

BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
REST_S = 5.0
"""Seconds without a change in which the widget must not ask for anything."""
LEAST_CONTRAST = 4.5
"""Contrast of text that WCAG 2.1 requires (1.4.3)."""
PANEL_HEIGHT, INDICATOR_WIDTH = 40, 120
REDNESS = 40
"""By how much the red of a pixel of the level and its icon exceeds its green, of 255."""
CONTROLS = (
    ("push button", "Ready to listen"),
    ("push button", "Start dictating"),
    ("push button", "Restart the service"),
    ("combo box", "Microphone"),
    ("combo box", "Runs on"),
)
"""Roles and names of the indicator and the popup's controls."""
PIXEL = re.compile(r"^\s*(\d+): \((\d+),(\d+),(\d+)")


class Trap:
    """A service file of the daemon whose program records the start and fails."""

    def __init__(self, stage: Stage) -> None:
        self._record = stage.inside(f"{RUNTIME}/started")
        self._services = stage.inside(f"{RUNTIME}/dbus-1/services")
        self._stage = stage

    async def set(self) -> None:
        self._services.mkdir(parents=True, exist_ok=True)
        service = f"[D-BUS Service]\nName={BUS_NAME}\nExec=/bin/sh -c 'touch {RUNTIME}/started; exit 1'\n"
        (self._services / f"{BUS_NAME}.service").write_text(service)
        await self._stage.ask(BUS, BUS_PATH, BUS, "ReloadConfig")

    @property
    def sprung(self) -> bool:
        return self._record.exists()


async def check_widget(desktop: Plasma, stage: Stage) -> None:
    """Check the widget beside a daemon that is idle; leaves it idle. Raises StageError."""
    trap = Trap(stage)
    await trap.set()
    await stage.end_daemon()
    await desktop.show_menu()
    await desktop.hide_menu()
    if trap.sprung:
        raise StageError("the widget started the daemon by looking at it")
    await desktop.click_light()
    await until(lambda: trap.sprung, "the start that a click wishes for")
    stage.launch_daemon()
    await stage.state_is("idle")
    await check_rest(stage)
    await check_operation(desktop, stage)
    for scheme in (DARK, LIGHT):
        await desktop.use_colors(scheme)
        await check_contrast(desktop, stage)


async def check_rest(stage: Stage) -> None:
    """Check that an idle daemon is not asked for anything."""
    await settled()
    async with calls(stage) as found:
        await asyncio.sleep(REST_S)
    if found:
        raise StageError(f"the idle daemon was asked within {REST_S:g} s: {found}")


@asynccontextmanager
async def calls(stage: Stage) -> AsyncIterator[list[str]]:
    """Collect the methods that are called on the daemon within the context."""
    owner = await stage.ask(BUS, BUS_PATH, BUS, "GetNameOwner", "s", BUS_NAME)
    bus = await MessageBus(bus_address=stage.address).connect()
    rules = [f"type='method_call',destination='{name}'" for name in (owner, BUS_NAME)]
    become = Message(BUS, BUS_PATH, f"{BUS}.Monitoring", "BecomeMonitor", signature="asu", body=[rules, 0])
    found: list[str] = []

    def note(message: Message) -> None:
        if message.message_type is MessageType.METHOD_CALL and message.destination in {owner, BUS_NAME}:
            found.append(f"{message.interface}.{message.member}")

    bus.add_message_handler(note)
    reply = await bus.call(become)
    if reply is None or reply.message_type is MessageType.ERROR:
        raise StageError(f"calls on the bus cannot be watched: {reply and reply.body}")
    try:
        yield found
    finally:
        bus.disconnect()


async def check_operation(desktop: Plasma, stage: Stage) -> None:
    """Check that a screen reader finds the controls by their names, and that they work without a pointer."""
    await desktop.show_menu()
    async with reading(stage) as reader:

        async def finds(role: str, name: str) -> list[Node]:
            return await reader.find(role, name)

        for role, name in CONTROLS:
            await until(lambda role=role, name=name: finds(role, name), f"the {role} “{name}” for a screen reader")
        (popup, *_) = await reader.find("dialog", "Ready to listen")
        if popup.description:
            raise StageError(f"the popup still shows what an earlier request failed for: “{popup.description}”")
        await stage.run("xdotool", "key", "Escape")
        await settled()
        (light, *_) = await reader.find("push button", "Ready to listen")
        if light.description != "Start dictating":
            raise StageError(f"the indicator's description is “{light.description}”")
        await reader.press(light)
    await stage.state_is("listening")
    await stage.bus.call("CancelDictation")
    await stage.state_is("idle")
    await desktop.take_keyboard()
    await desktop.focus_panel()
    await stage.run("xdotool", "key", "space")
    await stage.state_is("listening")
    await stage.bus.call("CancelDictation")
    await stage.state_is("idle")
    await desktop.hide_menu()


async def check_contrast(desktop: Plasma, stage: Stage) -> None:
    """Check the contrast of the level and the icon on the panel during dictation, by the pixels of the screen."""
    await stage.bus.call("StartDictation")
    await stage.state_is("listening")
    await settled()
    picture = await desktop.screenshot("contrast")
    await stage.bus.call("CancelDictation")
    await stage.state_is("idle")
    found = await contrast_on_panel(stage, picture, desktop.width, desktop.height)
    if found < LEAST_CONTRAST:
        raise StageError(f"the level has a contrast of {found:.2f}:1 on the panel")


async def contrast_on_panel(stage: Stage, picture: Path, width: int, height: int) -> float:
    """Return the contrast of the most frequent red to the most frequent colour in the indicator's part of the panel."""
    area = f"{INDICATOR_WIDTH}x{PANEL_HEIGHT}+{width - 2 * INDICATOR_WIDTH}+{height - PANEL_HEIGHT}"
    listed = await stage.run(
        "convert", f"{RUNTIME}/{picture.name}", "-crop", area, "+repage", "-depth", "8", "-format", "%c", "histogram:info:-"
    )  # fmt: skip
    counts = {
        tuple(map(int, pixel.groups()[1:])): int(pixel[1]) for pixel in map(PIXEL.match, listed.splitlines()) if pixel
    }
    background = max(counts, key=lambda color: counts[color])
    reds = {color: count for color, count in counts.items() if color[0] - color[1] > REDNESS}
    if not reds:
        raise StageError("nothing red is on the panel during dictation")
    ink = max(reds, key=lambda color: reds[color])
    dark, light = sorted((luminance(background), luminance(ink)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: tuple[int, ...]) -> float:
    """Return the relative luminance of an sRGB colour, as WCAG 2.1 defines it."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
