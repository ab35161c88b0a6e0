"""When a space joins a text to the one before it."""

from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop, XDesktop
from tests.support.eventually import eventually


async def test_a_session_continues_the_one_before_in_the_same_window(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("same")
    tk_desktop.focus("same")
    await x_client.hear("Open the file.")
    await x_client.hear("Where is the old report?", "Here.")
    await window.wait_for("Open the file. Where is the old report? Here.")
    assert x_client.end() == 0
    await x_client.begin()
    await x_client.hear("After a restart.")
    await window.wait_for("Open the file. Where is the old report? Here. After a restart.")


async def test_nothing_is_joined_after_the_focus_was_elsewhere(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    first, second = tk_desktop.tk("one"), tk_desktop.tk("two")
    tk_desktop.focus("one")
    await x_client.hear("Here.")
    tk_desktop.focus("two")
    await x_client.hear("There.")
    tk_desktop.focus("one")
    tk_desktop.focus("two")
    await x_client.hear("Again.")
    await second.wait_for("There.Again.")
    assert first.text == "Here."


async def test_in_one_session_too_another_window_gets_no_space(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    first, second = tk_desktop.tk("former"), tk_desktop.tk("latter")
    tk_desktop.focus("former")
    x_client.running.control.toggle(":1.0", 0.0)
    x_client.running.control.say("Here.")
    await first.wait_for("Here.")
    await eventually(lambda: len(x_client.told) == 1, what="the outcome")
    tk_desktop.focus("latter")
    x_client.running.control.say("There.")
    await second.wait_for("There.")
    x_client.running.control.toggle(":1.0", 0.0)


async def test_a_text_that_went_nowhere_is_not_continued(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("only")
    tk_desktop.focus("only")
    x_client.settings.write_text('method = "clipboard"\n')
    await x_client.hear("Into the clipboard.")
    x_client.settings.unlink()
    await x_client.hear("Typed.")
    await window.wait_for("Typed.")


async def test_what_ends_with_a_line_is_not_continued(x_desktop: XDesktop, x_client: TypingClient) -> None:
    window = x_desktop.xterm("lines")
    await x_client.hear("One.\n")
    await x_client.hear("Two.")
    await window.wait_for("One.\rTwo.")


async def test_sessions_are_joined_in_sway_while_the_window_keeps_the_focus(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    window = sway_desktop.foot("first")
    await sway_client.hear("Open the file.")
    await sway_client.hear("Where is the old report?")
    other = sway_desktop.foot("second")
    await sway_client.hear("There.")
    sway_desktop.focus("first")
    sway_desktop.focus("second")
    await sway_client.hear("Again.")
    await window.wait_for("Open the file. Where is the old report?")
    await other.wait_for("There.Again.")
