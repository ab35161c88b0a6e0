"""coldvox-type is asked to exit while texts of a session are still pending."""

import asyncio
import json
import subprocess

from coldvoxd.core.values import SessionOptions
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import XDesktop
from tests.support.eventually import eventually


async def test_it_types_the_last_text_of_a_session_that_is_active_when_it_is_stopped(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("last")
    tk_desktop.focus("last")
    control = x_client.running.control
    control.start(":1.0", SessionOptions(), 0.0)
    control.say("First.")
    await window.wait_for("First.")
    x_client.ask_to_end()
    control.say("Last.")
    control.toggle(":1.0", 0.0)
    assert await x_client.has_ended() == 0
    await window.wait_for("First. Last.")


async def test_texts_that_came_before_the_stop_are_all_typed(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("queue")
    tk_desktop.focus("queue")
    await x_client.say_all(*(f"Text {number}." for number in range(5)))
    assert await asyncio.to_thread(x_client.end) == 0
    await window.wait_for(" ".join(f"Text {number}." for number in range(5)))


async def test_a_session_that_does_not_end_keeps_it_from_ending_for_a_while_only(x_client: TypingClient) -> None:
    x_client.running.control.start(":1.0", SessionOptions(), 0.0)
    assert await asyncio.to_thread(x_client.end) == 0


async def test_what_can_not_be_typed_in_time_is_kept_for_last(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    """Ctrl is held, so none of it is typed."""
    window = tk_desktop.tk("kept")
    tk_desktop.focus("kept")
    tk_desktop.run("xdotool", "keydown", "Control_L")
    try:
        await x_client.say_all("One.", "Two.")
        assert await asyncio.to_thread(x_client.end) == 0
    finally:
        tk_desktop.run("xdotool", "keyup", "Control_L")
    stopped = "failed session=1 utterance={}: coldvox-type was stopped"
    assert x_client.told == [stopped.format(1), stopped.format(2)]
    assert (await x_client.last())[0] == 0
    await window.wait_for("One. Two.")


async def test_outcomes_are_objects_where_json_is_asked_for(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("objects")
    tk_desktop.focus("objects")
    await x_client.hear("One.")
    await window.wait_for("One.")
    done = await asyncio.to_thread(
        subprocess.run, x_client.command("--last", "--json"), env=x_client.environment, capture_output=True, check=False
    )
    assert json.loads(done.stdout) == {
        "outcome": "delivered", "earlier": "last", "method": "type", "application": "objects", "reason": "",
    }  # fmt: skip
    await eventually(lambda: window.text == "One. One.", what="the text again")
