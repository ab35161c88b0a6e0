"""Modifier keys that the user holds while text arrives, in X11 and sway."""

import asyncio
from collections.abc import Iterator

import pytest

from coldvoxd.typist.x11 import XServer
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop, XDesktop
from tests.support.eventually import eventually

TEXT = "Open the file, please: it's 5 o'clock. End."
MODIFIERS = ("Super_L", "Control_L", "Shift_L", "Alt_L", "ISO_Level3_Shift")


@pytest.fixture
def released(x_desktop: XDesktop) -> Iterator[None]:
    """Release all modifiers after the test."""
    yield
    for modifier in MODIFIERS:
        x_desktop.run("xdotool", "keyup", modifier)


async def held(desktop: XDesktop) -> str:
    """Return the names of the held modifiers."""
    async with XServer.connected(desktop.environment) as server:
        return (await server.keyboard()).held_names


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize("modifier", MODIFIERS)
async def test_a_modifier_that_is_let_go_of_is_not_down_afterwards(
    x_desktop: XDesktop, x_client: TypingClient, modifier: str
) -> None:
    """The user holds keys to talk, and releases them while the text arrives."""
    window = x_desktop.xterm(f"held-{modifier}")
    x_desktop.run("xdotool", "keydown", modifier)
    hearing = asyncio.create_task(x_client.hear(TEXT))
    await eventually((x_client.memory / "undelivered").exists, what="the text on its way")
    await asyncio.to_thread(x_desktop.run, "xdotool", "keyup", modifier)
    assert (await hearing).startswith("delivered")
    await window.wait_for(TEXT)
    assert await held(x_desktop) == ""


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize("modifier", MODIFIERS)
async def test_a_modifier_that_is_pressed_in_mid_text_is_waited_for(
    x_desktop: XDesktop, x_client: TypingClient, modifier: str
) -> None:
    x_client.settings.write_text("delay_ms = 50\n")
    window = x_desktop.xterm(f"pressed-{modifier}")
    hearing = asyncio.create_task(x_client.hear(TEXT))
    await eventually(lambda: len(window.text) > 10, what="the beginning")
    await asyncio.to_thread(x_desktop.run, "xdotool", "keydown", modifier, "sleep", "0.5", "keyup", modifier)
    assert (await hearing).startswith("delivered")
    await window.wait_for(TEXT)
    assert await held(x_desktop) == ""


@pytest.mark.usefixtures("released")
async def test_a_paste_waits_for_a_modifier_too(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("chord")
    tk_desktop.focus("chord")
    tk_desktop.run("xdotool", "keydown", "Super_L", "keydown", "Alt_L")
    hearing = asyncio.create_task(x_client.hear("Zoë zahlt 5 €."))
    await eventually((x_client.memory / "undelivered").exists, what="the text on its way")
    await asyncio.to_thread(tk_desktop.run, "xdotool", "keyup", "Super_L", "keyup", "Alt_L")
    assert (await hearing).startswith("delivered")
    await window.wait_for("Zoë zahlt 5 €.")
    assert await held(tk_desktop) == ""


@pytest.mark.usefixtures("released")
async def test_a_modifier_that_stays_down_is_still_down_and_its_text_comes_into_the_window_that_has_the_focus_then(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    tk_desktop.tk("while-held")
    later = tk_desktop.tk("after")
    tk_desktop.focus("while-held")
    tk_desktop.run("xdotool", "keydown", "Control_L")
    hearing = asyncio.create_task(x_client.hear("Now."))
    await eventually((x_client.memory / "undelivered").exists, what="the text on its way")
    assert await held(tk_desktop) == "Ctrl"
    tk_desktop.focus("after")
    await asyncio.to_thread(tk_desktop.run, "xdotool", "keyup", "Control_L")
    assert (await hearing).endswith("application=after")
    await later.wait_for("Now.")


async def test_caps_lock_and_num_lock_change_nothing_and_stay_on(x_desktop: XDesktop, x_client: TypingClient) -> None:
    window = x_desktop.xterm("locked")
    x_desktop.run("xdotool", "key", "Caps_Lock", "key", "Num_Lock")
    try:
        await x_client.hear("Open the FILE, 123.")
        await window.wait_for("Open the FILE, 123.")
        async with XServer.connected(x_desktop.environment) as server:
            assert (await server.keyboard()).effective == 1 << 1 | 1 << 4
    finally:
        x_desktop.run("xdotool", "key", "Caps_Lock", "key", "Num_Lock")


async def test_in_sway_a_modifier_of_another_keyboard_does_not_reach_the_text(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    """Each keyboard has its own modifiers there, and the text comes from one of our own."""
    window = sway_desktop.foot("held")
    sway_desktop.spawn("keyboard", "wtype", "-M", "ctrl", "-s", "1500", "-m", "ctrl")
    assert (await sway_client.hear(TEXT)).startswith("delivered")
    await window.wait_for(TEXT)
