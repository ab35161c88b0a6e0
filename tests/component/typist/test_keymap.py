"""X11 keyboard layouts without or with moved Latin letters, or that change: text arrives exactly or is reported."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from coldvoxd.typist.keymap import Key
from coldvoxd.typist.x11 import XServer
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import XDesktop
from tests.support.eventually import eventually

pytestmark = pytest.mark.programs("setxkbmap")

TEXT = "Open the file, please: it's 5 o'clock. (End)"
ALL_OF_ASCII = "".join(map(chr, range(0x20, 0x7F)))
NON_LATIN = ("ru", "ua", "gr", "il", "ara")
CAPS_LOCK, SHIFT_LOCK, NUM_LOCK, NEXT_LAYOUT, DEAD_ACUTE = 0xFFE5, 0xFFE6, 0xFF7F, 0xFE08, 0xFE51
"""Keysyms (X11/keysymdef.h)."""
TWO_LAYOUTS = ("us,ru", "-option", "grp:caps_toggle")
SetLayout = Callable[..., None]


@pytest.fixture
def set_layout(x_desktop: XDesktop) -> Iterator[SetLayout]:
    """Run setxkbmap with the given arguments; the US layout is restored after the test."""

    def to(*arguments: str) -> None:
        x_desktop.run("setxkbmap", "-option", "", *arguments)

    yield to
    to("-layout", "us", "-variant", "")


async def pressed(desktop: XDesktop, *keysyms: int) -> None:
    """Press and release these keys of the first layout."""
    async with XServer.connected(desktop.environment) as server:
        for keysym in keysyms:
            stroke = (await server.keymap()).stroke(keysym, 0, 0)
            assert stroke is not None
            server.tap(*stroke)
        await server.keyboard()


async def test_a_terminal_gets_ascii_in_a_layout_without_latin_letters(
    x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout
) -> None:
    window = x_desktop.xterm("non-latin")
    for layout in NON_LATIN:
        set_layout(layout)
        assert (await x_client.hear(TEXT)).startswith("delivered")
    await window.wait_for(" ".join([TEXT] * len(NON_LATIN)))


async def test_ctrl_v_pastes_in_a_layout_without_a_v(
    tk_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout
) -> None:
    tk_desktop.copy("before")
    window = tk_desktop.tk("chord-non-latin")
    tk_desktop.focus("chord-non-latin")
    for layout in ("ru", "ara"):
        set_layout(layout)
        assert (await x_client.hear(TEXT)).startswith("delivered")
        assert (await x_client.hear("жить €5 😀")).startswith("delivered")
    await window.wait_for(" ".join([TEXT, "жить €5 😀"] * 2))
    assert tk_desktop.clipboard() == "before"


async def test_ctrl_shift_v_pastes_in_a_layout_without_a_v(
    x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout
) -> None:
    set_layout("ru")
    x_client.settings.write_text('[applications.xterm]\nchord = "ctrl+shift+v"\nselection = "clipboard"\n')
    pastes = "XTerm.vt100.translations: #override Ctrl Shift <Key>V: insert-selection(CLIPBOARD)"
    window = x_desktop.xterm("ctrl-shift-v", "-xrm", pastes)
    assert (await x_client.hear(TEXT)).startswith("delivered")
    await window.wait_for(TEXT)


async def test_the_temporary_key_mapping_is_removed_after_the_paste(
    tk_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout
) -> None:
    set_layout("ru")
    window = tk_desktop.tk("lent")
    tk_desktop.focus("lent")
    async with XServer.connected(tk_desktop.environment) as server:
        before = await server.keymap()
        await x_client.hear(TEXT)
        await window.wait_for(TEXT)
        await server.keyboard()
        after = await server.keymap()
    assert after is not before
    assert after == before


@pytest.mark.parametrize("active", [0, 1])
async def test_with_two_layouts_the_active_one_is_used_and_stays_active(
    tk_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout, active: int
) -> None:
    """Tk reads keys in the first layout only, so the V must come from there."""
    set_layout(*TWO_LAYOUTS)
    terminal = tk_desktop.xterm(f"terminal-{active}")
    await pressed(tk_desktop, *[NEXT_LAYOUT] * active)
    assert (await x_client.hear(TEXT)).startswith("delivered")
    await terminal.wait_for(TEXT)
    window = tk_desktop.tk(f"window-{active}")
    tk_desktop.focus(f"window-{active}")
    assert (await x_client.hear(TEXT)).startswith("delivered")
    await window.wait_for(TEXT)
    async with XServer.connected(tk_desktop.environment) as server:
        assert (await server.keyboard()).group == active


@pytest.mark.parametrize("layout", [("fr",), ("de",), ("us", "-variant", "intl"), ("cz",)], ids="-".join)
async def test_levels_dead_keys_and_locks_do_not_change_the_text(
    x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout, layout: tuple[str, ...]
) -> None:
    """@ and { need AltGr, digits need Shift, and ' and ^ are on dead keys."""
    set_layout(*layout)
    window = x_desktop.xterm(f"levels-{'-'.join(layout)}")
    texts = [ALL_OF_ASCII[1:], *["Open the FILE, 123; it's 5 o'clock @ [home]."] * 2]
    for text, locked in zip(texts, ((), (CAPS_LOCK,), (NUM_LOCK,)), strict=True):
        await pressed(x_desktop, *locked)
        try:
            assert (await x_client.hear(text)).startswith("delivered")
        finally:
            await pressed(x_desktop, *locked)
    await window.wait_for(" ".join(texts))


async def test_digits_are_exact_under_shift_lock(
    x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout
) -> None:
    set_layout("us", "-option", "caps:shiftlock")
    window = x_desktop.xterm("shift-lock")
    await pressed(x_desktop, SHIFT_LOCK)
    try:
        assert (await x_client.hear("Room 101, A1.")).startswith("delivered")
        await window.wait_for("Room 101, A1.")
    finally:
        await pressed(x_desktop, SHIFT_LOCK)


async def test_keys_remapped_one_by_one(x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout) -> None:
    """As with xmodmap: e and ; change places, and no key gives z."""
    set_layout("us")
    async with XServer.connected(x_desktop.environment) as server:
        keys = {letter: (await server.keymap()).stroke(ord(letter), 0, 0) for letter in "e;z"}
        for letter, keysym in (("e", ord(";")), (";", ord("e")), ("z", DEAD_ACUTE)):
            stroke = keys[letter]
            assert stroke is not None
            await server.map_key(stroke[-1], Key.of_character(keysym))
    window = x_desktop.xterm("exchanged")
    assert (await x_client.hear("See; the END;")).startswith("delivered")
    assert (await x_client.hear("A zoo.")).startswith("delivered")
    await window.wait_for("See; the END; A zoo.")


@pytest.mark.parametrize("layout", ["ru", "fr"])
async def test_a_layout_change_in_mid_text_is_reported(
    x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout, layout: str
) -> None:
    x_client.settings.write_text("delay_ms = 20\n")
    window = x_desktop.xterm(f"changing-{layout}")
    text = "one two three four five six seven eight nine ten " * 2
    hearing = asyncio.create_task(x_client.hear(text))
    await eventually(lambda: len(window.text) > 10, what="the beginning")
    await asyncio.to_thread(set_layout, layout)
    told = await hearing
    assert "the keyboard layout changed while it was typed" in told
    if layout == "ru":
        assert told.startswith("failed")
        assert x_client.undelivered == text
        assert (await x_client.last())[0] == 0
        await eventually(lambda: window.text.endswith(text), what="the whole text")
    else:
        assert told.startswith("unsure")
        await eventually(lambda: len(window.text) == len(text), what="all of it")


async def test_a_switch_to_the_second_layout_in_mid_text_stops_typing(
    x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout
) -> None:
    set_layout(*TWO_LAYOUTS)
    x_client.settings.write_text("delay_ms = 20\n")
    window = x_desktop.xterm("switched")
    text = "one two three four five six seven eight nine ten " * 2
    hearing = asyncio.create_task(x_client.hear(text))
    await eventually(lambda: len(window.text) > 10, what="the beginning")
    await pressed(x_desktop, NEXT_LAYOUT)
    assert (await hearing).startswith("failed session=1 utterance=1 method=type application=xterm: the keyboard layout")
    assert x_client.undelivered == text
    # The layout may change between the last check of it and the key: X11 has no way to make them one step.
    assert text.startswith(window.text[:-1])
    assert (await x_client.last())[0] == 0
    await eventually(lambda: window.text.endswith(text), what="the whole text")


async def test_text_that_cannot_be_typed_is_left_in_the_clipboard_if_pasting_is_off(
    x_desktop: XDesktop, x_client: TypingClient, set_layout: SetLayout
) -> None:
    set_layout("ru")
    x_client.settings.write_text('[applications.xterm]\nmethod = "type"\n')
    window = x_desktop.xterm("typed-only")
    told = await x_client.hear(TEXT)
    assert told == (
        "failed session=1 utterance=1 method=clipboard application=xterm: "
        "the keyboard layout has no keys for some of its characters; the text is in the clipboard"
    )
    assert (x_desktop.clipboard(), window.text) == (TEXT, "")
