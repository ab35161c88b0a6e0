"""coldvox-type in X11: xterm and Tk windows under a private Xvfb, with xdotool and xclip."""

import asyncio
import shutil
import stat
import subprocess

import pytest

from tests.support.desktop.typing_client import TypingClient, notifications
from tests.support.desktop.windows import XDesktop
from tests.support.eventually import eventually

WORDS = "Open the file, please: it's 5 o'clock ~ [ok] {a|b} \\ \"x\" #1 <&> %$@!?"
MISDIRECTED = 8
"""Characters that may go to a window that gets the focus in the middle of a text."""


async def test_a_sentence_is_typed_into_a_terminal(x_desktop: XDesktop, x_client: TypingClient) -> None:
    window = x_desktop.xterm("typed")
    assert await x_client.hear(WORDS) == "delivered session=1 utterance=1 method=type application=xterm"
    await window.wait_for(WORDS)


async def test_sentences_are_joined_by_a_space_within_a_session_and_across(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("joined")
    tk_desktop.focus("joined")
    await x_client.hear("One sentence.", "And another.")
    await x_client.hear("A new session.")
    await window.wait_for("One sentence. And another. A new session.")


async def test_unicode_is_pasted_exactly_and_the_clipboard_is_as_before(
    tk_desktop: XDesktop, x_client: TypingClient, long_text: str
) -> None:
    tk_desktop.copy("précieux")
    window = tk_desktop.tk("pasted")
    tk_desktop.focus("pasted")
    assert await x_client.hear(long_text) == "delivered session=1 utterance=1 method=paste application=pasted"
    await window.wait_for(long_text)
    assert tk_desktop.clipboard() == "précieux"


async def test_an_entry_gets_unicode_too_and_an_empty_clipboard_stays_empty(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    tk_desktop.forget()
    window = tk_desktop.tk("entry", kind="entry")
    tk_desktop.focus("entry")
    await x_client.hear("Zoë zahlt 5 €.")
    await window.wait_for("Zoë zahlt 5 €.")
    with pytest.raises(subprocess.CalledProcessError):
        tk_desktop.clipboard()


async def test_xterm_pastes_by_its_own_chord(x_desktop: XDesktop, x_client: TypingClient, long_text: str) -> None:
    x_desktop.copy("marked before", "primary")
    window = x_desktop.xterm("chord")
    assert await x_client.hear(long_text) == "delivered session=1 utterance=1 method=paste application=xterm"
    await window.wait_for(long_text)
    assert x_desktop.run("xclip", "-o", "-selection", "primary") == "marked before"


async def test_what_someone_else_copied_meanwhile_stays(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    """The window never reads the paste, so the text stays in the clipboard."""
    tk_desktop.copy("older")
    x_client.settings.write_text('[applications.deaf]\nmethod = "paste"\nchord = "F9"\n')
    window = tk_desktop.tk("deaf")
    tk_desktop.focus("deaf")
    async with notifications(x_client) as shown:
        told = await x_client.hear("Never pasted.")
        await eventually(lambda: shown.shown, what="the notification")
    assert (
        told
        == "failed session=1 utterance=1 method=clipboard application=deaf: the window did not read the pasted text; the text is in the clipboard"
    )
    assert window.text == ""
    assert tk_desktop.clipboard() == "Never pasted."
    assert shown.shown[0][3] == "Your text is in the clipboard"
    assert "Never pasted" not in str(shown.shown)


async def test_a_text_that_comes_twice_is_typed_once(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("once")
    tk_desktop.focus("once")
    await x_client.hear("Only once.")
    assert x_client.end() == 0
    await x_client.begin()
    x_client.again(1, 1, "Only once.")
    x_client.again(1, 2, "New.")
    await window.wait_for("Only once. New.")


async def test_control_characters_do_not_reach_a_window(x_desktop: XDesktop, x_client: TypingClient) -> None:
    window = x_desktop.xterm("steered")
    await x_client.hear("a\x1b[2Jb\x03c\x7fd")
    await window.wait_for("a[2Jbcd")


async def test_a_focus_that_moves_in_mid_sentence_ends_it_and_last_types_the_whole_text(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    text = "one two three four five six seven eight nine ten " * 7 + "end."
    x_client.settings.write_text("delay_ms = 10\n")
    first, second = tk_desktop.tk("first"), tk_desktop.tk("second")
    tk_desktop.focus("first")

    async def move() -> None:
        await eventually(lambda: len(first.text) > 20, what="the beginning")
        tk_desktop.focus("second")

    async with notifications(x_client) as shown:
        told, _ = await asyncio.gather(x_client.hear(text), move())
        await eventually(lambda: shown.shown, what="the notification")
    assert told.startswith("failed session=1 utterance=1 method=type application=first: another window was focused")
    kept = x_client.memory / "undelivered"
    assert x_client.undelivered == text
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(x_client.memory.stat().st_mode) == 0o700
    before = second.text
    assert len(before) <= MISDIRECTED
    code, told = await x_client.last()
    assert (code, told) == (0, "delivered earlier=undelivered method=type application=second")
    await second.wait_for(before + text)
    assert not kept.exists()


async def test_without_a_window_the_text_is_in_the_clipboard_and_last_offers_it(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    tk_desktop.unfocus()
    told = await x_client.hear("To no one.", "Nor this.")
    assert (
        told == "failed session=1 utterance=2 method=clipboard: no window has the focus; the text is in the clipboard"
    )
    window = tk_desktop.tk("later")
    tk_desktop.focus("later")
    assert await x_client.last() == (0, "delivered earlier=undelivered method=type application=later")
    await window.wait_for("Nor this.")
    assert await x_client.last() == (0, "delivered earlier=last method=type application=later")
    await window.wait_for("Nor this. Nor this.")


async def test_what_can_not_be_kept_for_last_is_delivered_and_reported(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    obstacles = [x_client.memory / f"{name}.new" for name in ("handled", "last", "undelivered", "place")]
    for obstacle in obstacles:
        obstacle.mkdir(parents=True, mode=0o700)  # no file can be written there, as if the file system were full
    x_client.memory.chmod(0o700)
    window = tk_desktop.tk("unkept")
    tk_desktop.focus("unkept")
    await x_client.hear("One.")
    await eventually(lambda: len(x_client.told) == 2, what="the outcome after the report")
    assert x_client.told == [
        f"texts cannot be kept in {x_client.memory}: Is a directory; `coldvox-type --last` will not have this one",
        "delivered session=1 utterance=1 method=type application=unkept",
    ]
    x_client.again(1, 1, "One.")
    for obstacle in obstacles:
        obstacle.rmdir()
    assert (await x_client.hear("Two.")).startswith("delivered session=2 utterance=1")
    await window.wait_for("One. Two.")
    assert await x_client.last() == (0, "delivered earlier=last method=type application=unkept")
    await window.wait_for("One. Two. Two.")


async def test_a_text_that_was_left_in_the_clipboard_is_over_when_the_next_one_comes(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    """The user has pasted it, or can't any more; only the last text is typed again."""
    tk_desktop.unfocus()
    await x_client.hear("To no one.")
    window = tk_desktop.tk("over")
    tk_desktop.focus("over")
    await x_client.hear("Typed.")
    assert await x_client.last() == (0, "delivered earlier=last method=type application=over")
    await window.wait_for("Typed. Typed.")


async def test_without_a_desktop_it_has_failed_and_says_why(x_desktop: XDesktop, x_client: TypingClient) -> None:
    x_client.end()
    x_client.environment["DISPLAY"] = ":4711"
    await x_client.begin()
    async with notifications(x_client) as shown:
        told = await x_client.hear("Into the void.")
        await eventually(lambda: shown.shown, what="the notification")
    assert told == (
        "failed session=1 utterance=1: cannot connect to the X server at :4711: it does not run; "
        "xclip could not take over the clipboard"
    )
    assert shown.shown[0][3] == "Your text was not typed"
    assert "coldvox-type --last" in str(shown.shown[0][4])
    assert x_client.undelivered == "Into the void."
    assert x_desktop.environment["DISPLAY"] != ":4711"


async def test_a_runtime_directory_that_disappears_is_reported_in_a_sentence(x_client: TypingClient) -> None:
    shutil.rmtree(x_client.memory)
    assert "To no one." not in await x_client.hear("To no one.")
    assert (x_client.memory / "last").read_text() == "To no one."
    runtime = x_client.memory.parent
    removed = runtime.rename(runtime.with_name("removed"))
    try:
        x_client.again(7, 1, "Nowhere to keep it.")
        assert await x_client.has_ended() == 78
    finally:
        removed.rename(runtime)
    assert x_client.told[-1].startswith(f"texts cannot be kept in {runtime}")


async def test_a_missing_program_is_named_with_its_package(x_desktop: XDesktop, x_client: TypingClient) -> None:
    x_client.end()
    x_client.environment["PATH"] = "/nowhere"
    x_client.settings.write_text('method = "paste"\n')
    await x_client.begin()
    told = await x_client.hear("Into the void.")
    assert "xclip is not installed: sudo apt install xclip" in told
    assert x_desktop.environment["PATH"] != "/nowhere"


async def test_wrong_settings_are_named_and_nothing_is_lost(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    x_client.settings.write_text('method = "telepathy"\n')
    window = tk_desktop.tk("anyway")
    tk_desktop.focus("anyway")
    await x_client.hear("Typed anyway.")
    await window.wait_for("Typed anyway.")
    assert "`method` must be one of auto, type, paste, portal, clipboard, not 'telepathy'" in x_client.told[0]
