"""coldvox-type in Wayland: foot, GTK and Chromium in a private headless sway, with wl-clipboard."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coldvoxd.typist.wtype import CHUNK
from tests.support.desktop.page import browser, served
from tests.support.desktop.typing_client import TypingClient, typing_client
from tests.support.desktop.wayland_proxy import KEYBOARDS, WaylandProxy, wayland_proxy
from tests.support.desktop.windows import SwayDesktop, lacking_gtk
from tests.support.eventually import eventually

RUSSIAN = "Щенок Юлии съел мой завтрак и потом фыркнул? Эту площадь хотят перестроить к следующему лету!"
GREEK = "Ένας ψηλός ξένος φώναξε: «Θέλω ζάχαρη, γάλα και δέκα βιβλία!» Ύστερα έφυγε· πού πήγε; Κανείς δεν ξέρει."


@pytest.fixture
async def proxy(sway_desktop: SwayDesktop) -> AsyncIterator[WaylandProxy]:
    environment = sway_desktop.environment
    with wayland_proxy(Path(environment["XDG_RUNTIME_DIR"]), environment["WAYLAND_DISPLAY"], "proxy") as running:
        yield running


@pytest.fixture
async def proxied(proxy: WaylandProxy, sway_desktop: SwayDesktop, tmp_path: Path) -> AsyncIterator[TypingClient]:
    """The client, connected to sway through the proxy."""
    environment = sway_desktop.environment | {"WAYLAND_DISPLAY": proxy.path.name}
    async with typing_client(environment, tmp_path) as client:
        yield client
        for file in client.memory.iterdir():
            file.unlink()
        client.memory.rmdir()


async def test_unicode_is_typed_exactly(sway_desktop: SwayDesktop, sway_client: TypingClient) -> None:
    window = sway_desktop.foot("typed")
    text = "Grüße an Zoë — 5 €, жить, 日本語,\u00a0ok."
    assert await sway_client.hear(text) == "delivered session=1 utterance=1 method=type application=foot"
    await window.wait_for(text)


async def test_more_characters_than_a_keyboard_has_keys_are_typed_exactly(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    window = sway_desktop.foot("many")
    text = (RUSSIAN + GREEK + "".join(map(chr, range(0x21, 0x7F))) + "".join(map(chr, range(0x4E00, 0x4E60))))[:400]
    assert await sway_client.hear(text) == "delivered session=1 utterance=1 method=type application=foot"
    await window.wait_for(text)


async def test_characters_beyond_the_basic_plane_are_pasted(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    window = sway_desktop.foot("beyond")
    assert await sway_client.hear("ok 😀.") == "delivered session=1 utterance=1 method=paste application=foot"
    await window.wait_for("ok 😀.")


@pytest.mark.parametrize("version", ["3.0", "4.0"])
async def test_short_and_long_texts_arrive_in_windows_of_gtk(
    sway_desktop: SwayDesktop, sway_client: TypingClient, version: str
) -> None:
    """Long ones are pasted, and GTK 3 takes Ctrl+V only from a keyboard that has all keys."""
    if reason := lacking_gtk(version):
        pytest.skip(reason)
    window = sway_desktop.gtk(f"gtk-{version}", version)
    long = f"{RUSSIAN} {GREEK} " * 3
    assert (await sway_client.hear(RUSSIAN)).startswith("delivered session=1 utterance=1 method=type")
    told = await sway_client.hear(long)  # on a busy machine GTK fetches it late, and it is not known to be the window
    assert told.split(maxsplit=1)[0] in {"delivered", "unsure"}
    assert "session=2 utterance=1 method=paste" in told
    await window.wait_for(f"{RUSSIAN} {long}")
    window.process.kill()


@pytest.mark.programs("chromium")
async def test_no_key_is_taken_for_another_one_by_chromium(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    """Chromium acts on the code of a key, such as that of BackSpace, if its character is no ASCII letter or digit."""
    texts = ["let's just keep it open.", "abcdefghijklmno? and more", RUSSIAN, GREEK]
    with served() as page, browser(sway_desktop, page, "wayland"):
        # There is no keyboard, and so no focus in the page, before the first text.
        await eventually(lambda: page.content == "" and page.loaded, what="the page")
        await sway_client.hear("Hi.")
        await eventually(lambda: page.content == "Hi.", what="the first text")
        for number, text in enumerate(texts):
            await sway_client.hear(text)
            await page.wait_for(" ".join(["Hi.", *texts[: number + 1]]))


async def test_a_focus_that_moves_in_mid_sentence_ends_it_and_last_types_the_whole_text(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_client.settings.write_text("delay_ms = 20\n")
    second, first = sway_desktop.foot("second"), sway_desktop.foot("first")
    text = "one two three four five six seven eight nine ten " * 5 + "end."
    hearing = asyncio.create_task(sway_client.hear(text))
    await eventually(lambda: len(first.text) > 20, what="the beginning")
    await asyncio.to_thread(sway_desktop.focus, "second")
    assert await hearing == (
        "failed session=1 utterance=1 method=type application=foot: another window was focused while it was typed"
    )
    before = second.text
    assert len(before) <= CHUNK
    assert (await sway_client.last())[0] == 0
    await second.wait_for(before + text)


async def test_what_is_long_is_pasted_and_the_clipboard_is_as_before(
    sway_desktop: SwayDesktop, sway_client: TypingClient, long_text: str
) -> None:
    sway_desktop.copy("précieux")
    window = sway_desktop.foot("pasted")
    sway_client.settings.write_text('method = "paste"\n')
    assert (
        await sway_client.hear("Short.", long_text) == "delivered session=1 utterance=2 method=paste application=foot"
    )
    await window.wait_for(f"Short.{long_text}")
    assert sway_desktop.clipboard() == "précieux"


async def test_an_empty_clipboard_stays_empty(sway_desktop: SwayDesktop, sway_client: TypingClient) -> None:
    sway_desktop.run("wl-copy", "--clear")
    window = sway_desktop.foot("empty")
    sway_client.settings.write_text('[applications.foot]\nmethod = "paste"\n')
    await sway_client.hear("Pasted.")
    await window.wait_for("Pasted.")
    with pytest.raises(subprocess.CalledProcessError):
        sway_desktop.clipboard()


async def test_without_a_window_the_text_is_in_the_clipboard_and_last_offers_it(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_desktop.run("swaymsg", "workspace empty")
    told = await sway_client.hear("To no one.")
    assert (
        told
        == "failed session=1 utterance=1 method=clipboard: no window has the focus, or the screen is locked; the text is in the clipboard"
    )
    assert sway_desktop.clipboard() == "To no one."
    window = sway_desktop.foot("later")
    assert await sway_client.last() == (0, "delivered earlier=undelivered method=type application=foot")
    await window.wait_for("To no one.")


@pytest.mark.programs("swaylock")
async def test_a_locked_screen_gets_no_text_and_typing_stops_when_it_is_locked(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_client.settings.write_text("delay_ms = 20\n")
    window = sway_desktop.foot("locked")
    text = "one two three four five six seven eight nine ten " * 5 + "end."
    hearing = asyncio.create_task(sway_client.hear(text))
    await eventually(lambda: len(window.text) > 20, what="the beginning")
    lock = sway_desktop.spawn("lock", "swaylock", "--color", "000000")
    assert await hearing == (
        "failed session=1 utterance=1 method=type application=foot: another window was focused while it was typed"
    )
    locked = await sway_client.hear("Later.")
    assert (
        locked
        == "failed session=2 utterance=1 method=clipboard: no window has the focus, or the screen is locked; the text is in the clipboard"
    )
    assert text.startswith(window.text)
    lock.process.terminate()  # swaylock unlocks then
    lock.process.wait()
    assert (await sway_client.last())[0] == 0
    await eventually(lambda: window.text.endswith(f"{text} Later."), what="both texts")


async def test_where_keys_are_refused_the_text_is_in_the_clipboard(
    sway_desktop: SwayDesktop, proxy: WaylandProxy, proxied: TypingClient
) -> None:
    """The compositor offers no virtual keyboards, as GNOME's."""
    proxy.hidden = KEYBOARDS
    window = sway_desktop.foot("refused")
    assert await proxied.hear("Refused.") == (
        "failed session=1 utterance=1 method=clipboard application=foot: "
        "wtype failed: Compositor does not support the virtual keyboard protocol; the text is in the clipboard"
    )
    assert sway_desktop.clipboard() == "Refused."
    assert window.text == ""


async def test_wtype_types_where_our_own_keyboard_is_refused(
    sway_desktop: SwayDesktop, proxy: WaylandProxy, proxied: TypingClient
) -> None:
    proxy.turned_away = 1
    window = sway_desktop.foot("by-wtype")
    assert await proxied.hear(RUSSIAN) == "delivered session=1 utterance=1 method=type application=foot"
    await window.wait_for(RUSSIAN)
    await proxied.hear("Again.")
    await window.wait_for(f"{RUSSIAN} Again.")
