"""Displays that stop responding for a while: no text arrives twice, and the clipboard's content is not lost."""

import asyncio

from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop, XDesktop
from tests.support.eventually import eventually

TEXT = "one two three four five six seven eight nine ten " * 2 + "end."
READ_LATE = "it was read late, possibly by another program than the window"


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
    assert sway_client.undelivered == TEXT
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


async def test_a_window_that_fetches_seconds_after_the_chord_gets_the_text_once_and_the_clipboard_comes_back(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    tk_desktop.copy("précieux")
    x_client.settings.write_text('method = "paste"\n')
    window = tk_desktop.tk("busy-window")
    tk_desktop.focus("busy-window")
    with window.stopped():
        told = await x_client.hear("Late.")
        assert told == (
            "failed session=1 utterance=1 method=clipboard application=busy-window: "
            "the window did not read the pasted text; the text is in the clipboard"
        )
        await x_client.say_all("Next.")
    await window.wait_for("Late.Next.")  # no space: the first text was not known to arrive
    await eventually(lambda: len(x_client.told) == 3, what="the outcome of the next text")
    assert x_client.told[1:] == [
        f"unsure session=1 utterance=1 method=paste application=busy-window: {READ_LATE}",
        "delivered session=2 utterance=1 method=paste application=busy-window",
    ]
    await eventually(lambda: tk_desktop.clipboard() == "précieux", what="the clipboard as before")


async def test_the_space_before_a_text_that_no_window_read_is_not_kept_with_it(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    x_client.settings.write_text('method = "paste"\n')
    window = tk_desktop.tk("joined")
    tk_desktop.focus("joined")
    await x_client.hear("One.")
    with window.stopped():
        assert (await x_client.hear("Two.")).startswith("failed")
        assert x_client.undelivered == "Two."
    await window.wait_for("One. Two.")


async def test_a_window_in_sway_that_fetches_seconds_after_the_chord_gets_the_text_once(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_desktop.copy("précieux")
    sway_client.settings.write_text('method = "paste"\n')
    window = await asyncio.to_thread(sway_desktop.foot, "busy-window")
    await sway_client.hear("First.")  # a window that does not know the seat's first keyboard yet gets none of its keys
    await window.wait_for("First.")
    with window.stopped():
        told = await sway_client.hear("Late.")
        assert told.startswith("failed session=2 utterance=1 method=clipboard application=foot: the window did not")
    await window.wait_for("First. Late.")
    await eventually(lambda: not sway_client.offers(), what="the end of the loan")  # a look would be a fetch
    assert sway_desktop.clipboard() == "précieux"
    await eventually(lambda: len(sway_client.told) == 3, what="the outcome of the late text")
    assert sway_client.told[-1] == f"unsure session=2 utterance=1 method=paste application=foot: {READ_LATE}"
    assert not (sway_client.memory / "undelivered").exists()
    assert await sway_client.last() == (0, "delivered earlier=last method=paste application=foot")
    await window.wait_for("First. Late.Late.")


async def test_an_xterm_that_fetches_late_gets_the_text_and_the_primary_selection_comes_back(
    x_desktop: XDesktop, x_client: TypingClient
) -> None:
    x_desktop.copy("marked before", "primary")
    x_client.settings.write_text('method = "paste"\n')
    window = await asyncio.to_thread(x_desktop.xterm, "busy-xterm")
    with window.stopped():
        assert (await x_client.hear("Late.")).startswith("failed session=1 utterance=1 method=clipboard")
        x_desktop.copy("copied since")
    await window.wait_for("Late.")
    await eventually(lambda: not x_client.offers(), what="the end of the loan")
    await eventually(lambda: len(x_client.told) == 2, what="the outcome of the late text")
    assert x_client.told[-1] == f"unsure session=1 utterance=1 method=paste application=xterm: {READ_LATE}"
    assert not (x_client.memory / "undelivered").exists()
    assert x_desktop.run("xclip", "-o", "-selection", "primary") == "marked before"
    assert x_desktop.clipboard() == "copied since"
