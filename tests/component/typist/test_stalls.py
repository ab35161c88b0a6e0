"""Displays that stop responding for a while: no text arrives twice, and the clipboard's content is not lost."""

import asyncio

from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop, XDesktop
from tests.support.eventually import eventually

TEXT = "one two three four five six seven eight nine ten " * 2 + "end."


async def test_an_x_server_that_stalls_after_the_last_key_gets_the_text_once(
    x_desktop: XDesktop, x_client: TypingClient
) -> None:
    x_client.settings.write_text("delay_ms = 1000\n")
    window = x_desktop.xterm("last-key")
    hearing = asyncio.create_task(x_client.hear("x"))
    await window.wait_for("x")
    with x_desktop.stalled():
        told = await hearing
    assert told.startswith("unsure session=1 utterance=1 method=type application=xterm: the X server does not respond")
    x_client.settings.unlink()
    await x_client.hear("End.")
    await eventually(lambda: window.text.endswith("End."), what="the next text")
    assert window.text.count("x") == 1


async def test_a_compositor_that_stalls_in_mid_text_gets_no_other_method(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_client.settings.write_text("delay_ms = 20\n")
    window = sway_desktop.foot("mid-text")
    hearing = asyncio.create_task(sway_client.hear(TEXT))
    await eventually(lambda: len(window.text) > 10, what="the beginning")
    with sway_desktop.stalled():
        told = await hearing
    assert told == (
        "failed session=1 utterance=1 method=type application=foot: the Wayland compositor did not respond within 5 s"
    )
    assert (sway_client.memory / "undelivered").read_text() == TEXT
    before = window.text
    assert (await sway_client.last())[0] == 0
    await eventually(lambda: window.text.endswith(TEXT), what="the whole text")
    assert TEXT.startswith(window.text.removesuffix(TEXT))
    assert len(window.text) - len(TEXT) - len(before) <= 1


async def test_the_clipboard_is_restored_when_a_stalled_x_server_responds_again(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    tk_desktop.copy("précieux")
    x_client.settings.write_text('method = "paste"\n')
    window = tk_desktop.tk("restored")
    tk_desktop.focus("restored")

    def restoring() -> set[int]:
        return {
            number for number, command in x_client.children().items() if "-t UTF8_STRING" in command and "-i" in command
        }

    hearing = asyncio.create_task(x_client.hear("Pasted."))
    await window.wait_for("Pasted.")
    with tk_desktop.stalled():
        first = await eventually(restoring, what="the first try")
        await eventually(lambda: first.isdisjoint(restoring()), what="the end of the first try")
    assert await hearing == "delivered session=1 utterance=1 method=paste application=restored"
    await eventually(lambda: tk_desktop.clipboard() == "précieux", what="the clipboard as before")
