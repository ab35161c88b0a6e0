"""Sentences over pauses in X11: windows have the text of the session, character by character, each mark once."""

import asyncio
import stat

import pytest

from coldvoxd.core.seams import SeamedText
from coldvoxd.core.values import StopReason
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import XDesktop
from tests.support.eventually import eventually

PASTED = 'method = "paste"\n'


async def mark_is_kept(client: TypingClient, mark: str) -> None:
    """Return once the place behind the last text, and the mark that is due there, are recorded."""
    await eventually(lambda: client.place.get("mark") == mark, what=f"the mark {mark!r}")


@pytest.mark.heavy
@pytest.mark.parametrize("settings", ["", PASTED], ids=["typed", "pasted"])
async def test_a_sentence_goes_on_after_a_pause_and_ends_with_the_session(
    tk_desktop: XDesktop, x_client: TypingClient, settings: str
) -> None:
    x_client.settings.write_text(settings)
    tk_desktop.copy("copied before")
    name = "pausing" if settings else "paused"
    window = tk_desktop.tk(name)
    tk_desktop.focus(name)
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    await window.wait_for("I would like")
    await x_client.hear_next(" ", "to order", ".")
    await x_client.hear_next(", ", "um", "")
    await x_client.hear_next(". ", "Two", "?")
    await window.wait_for("I would like to order, um. Two")
    x_client.stop()
    await window.wait_for("I would like to order, um. Two?")
    await x_client.hear("Next.")
    await window.wait_for("I would like to order, um. Two? Next.")
    assert x_client.end() == 0
    assert tk_desktop.clipboard() == "copied before"


async def test_the_mark_is_typed_when_the_sentence_is_over_and_left_out_of_the_next_seam(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("closed")
    tk_desktop.focus("closed")
    x_client.start()
    await x_client.hear_next("", "I would like", "?")
    x_client.close_sentence()
    await window.wait_for("I would like?")
    await x_client.hear_next("? ", "To order", ".")
    await window.wait_for("I would like? To order")
    x_client.stop()
    await window.wait_for("I would like? To order.")


async def test_a_mark_is_typed_behind_a_pasted_text_once_that_has_arrived(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("behind", kind="page")  # it inserts the text some time after its first fetch
    tk_desktop.focus("behind")
    x_client.start()
    x_client.say("", "Grüße", ".")
    await eventually(lambda: x_client.place.get("mark") == ".", what="the paste")
    x_client.close_sentence()
    await window.wait_for("Grüße.")


async def test_a_window_that_is_pasted_into_gets_the_mark_of_a_closed_sentence_with_the_next_text(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    x_client.settings.write_text(PASTED)
    window = tk_desktop.tk("holding")
    tk_desktop.focus("holding")
    x_client.start()
    await x_client.hear_next("", "I would like", "?")
    x_client.close_sentence()
    x_client.say("? ", "To order", ".")
    await window.wait_for("I would like? To order")
    x_client.stop()
    await window.wait_for("I would like? To order.")


async def test_a_text_that_comes_with_the_end_of_its_sentence_gets_its_mark_at_once(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    """So it is when a key is released, or coldvox-type is behind: there is no second paste."""
    x_client.settings.write_text(PASTED)
    window = tk_desktop.tk("atonce")
    tk_desktop.focus("atonce")
    with x_client.stopped():
        x_client.start()
        x_client.say("", "I would like", ".")
        x_client.say(" ", "to order", ".")
        x_client.close_sentence()
        x_client.say(". ", "Two", "?")
        x_client.stop()
        x_client.start()
        x_client.say("", "Another", ".")
        x_client.stop(StopReason.CANCELLED)
    await window.wait_for("I would like to order. Two? Another")


@pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.CALLER_LEFT])
async def test_a_session_that_was_discarded_leaves_no_mark(
    tk_desktop: XDesktop, x_client: TypingClient, reason: StopReason
) -> None:
    name = reason.replace("-", "")
    window = tk_desktop.tk(name)
    tk_desktop.focus(name)
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    x_client.stop(reason)
    await x_client.hear("Next.")
    await window.wait_for("I would like Next.")


async def test_a_mark_goes_into_no_other_window(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    first, second = tk_desktop.tk("sentence"), tk_desktop.tk("elsewhere")
    tk_desktop.focus("sentence")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    tk_desktop.focus("elsewhere")
    x_client.close_sentence()
    await mark_is_kept(x_client, "")
    await x_client.hear_next(". ", "To order", ".")
    await second.wait_for("To order")
    tk_desktop.focus("sentence")
    x_client.stop()
    await mark_is_kept(x_client, "")
    assert (first.text, second.text) == ("I would like", "To order")
    assert (await x_client.last())[0] == 0
    await first.wait_for("I would likeTo order.")


async def test_a_text_that_continues_a_sentence_of_another_window_begins_with_a_capital(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    first, second = tk_desktop.tk("begun"), tk_desktop.tk("goneon")
    tk_desktop.focus("begun")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    tk_desktop.focus("goneon")
    await x_client.hear_next(" ", "to order", ".")
    await x_client.hear_next(" ", "two beers", ".")
    x_client.stop()
    await second.wait_for("To order two beers.")
    assert first.text == "I would like"


async def test_what_did_not_arrive_is_kept_as_whole_sentences(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("whole")
    tk_desktop.unfocus()
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    assert tk_desktop.clipboard() == "I would like."
    assert x_client.undelivered == "I would like."
    tk_desktop.focus("whole")
    await x_client.hear_next(" ", "to order", ".")
    await window.wait_for("To order")
    x_client.stop()
    await window.wait_for("To order.")
    assert (await x_client.last())[0] == 0
    await window.wait_for("To order. To order.")


@pytest.mark.heavy
async def test_several_texts_that_were_set_aside_are_joined_by_their_seams(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("aside")
    tk_desktop.focus("aside")
    tk_desktop.run("xdotool", "keydown", "Control_L")
    try:
        x_client.start()
        x_client.say("", "I would like", ".")
        x_client.say(" ", "to order", ".")
        x_client.say(". ", "Two", "?")
        x_client.stop()
        assert await asyncio.to_thread(x_client.end) == 0
    finally:
        tk_desktop.run("xdotool", "keyup", "Control_L")
    assert x_client.undelivered == "I would like to order. Two?"
    assert (await x_client.last())[0] == 0
    await window.wait_for("I would like to order. Two?")


@pytest.mark.heavy
async def test_a_text_that_no_window_read_is_left_as_a_sentence(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    x_client.settings.write_text('[applications.unread]\nmethod = "paste"\nchord = "F9"\n')
    tk_desktop.copy("copied before")
    window = tk_desktop.tk("unread")
    tk_desktop.focus("unread")
    x_client.start()
    assert (await x_client.hear_next("", "I would like", ".")).startswith("failed")
    assert x_client.undelivered == "I would like."
    assert x_client.end() == 0
    assert tk_desktop.clipboard() == "I would like."
    assert window.text == ""


@pytest.mark.heavy
async def test_a_killed_client_neither_loses_nor_doubles_a_mark(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("killed")
    tk_desktop.focus("killed")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    kept = x_client.memory / "place"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    x_client.kill()
    await x_client.begin()
    await x_client.hear_next(" ", "to order", ".")
    x_client.close_sentence()
    await window.wait_for("I would like to order.")
    x_client.kill()
    await x_client.begin()
    x_client.again(1, 2, "To order.", SeamedText("to order", ".", " "))
    x_client.stop(StopReason.RESTARTED)
    await x_client.hear("Next.")
    await window.wait_for("I would like to order. Next.")


async def test_a_mark_that_was_due_while_no_client_ran_is_typed_by_the_next_one(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("resumed")
    tk_desktop.focus("resumed")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    x_client.kill()
    x_client.stop()
    await x_client.begin()
    await window.wait_for("I would like.")


async def test_a_client_that_is_stopped_in_a_session_types_its_mark_at_its_end(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("leaving")
    tk_desktop.focus("leaving")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    x_client.ask_to_end()
    x_client.stop(StopReason.SHUTDOWN)
    assert await x_client.has_ended() == 0
    await window.wait_for("I would like.")


@pytest.mark.heavy
async def test_a_mark_of_a_session_that_goes_on_is_left_to_the_next_client(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("goingon")
    tk_desktop.focus("goingon")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    assert await asyncio.to_thread(x_client.end) == 0
    assert window.text == "I would like"
    await x_client.begin()
    x_client.stop()
    await window.wait_for("I would like.")


async def test_last_comes_after_the_mark_of_an_open_sentence(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("between")
    tk_desktop.focus("between")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    assert (await x_client.last())[0] == 0
    await window.wait_for("I would like. I would like.")
    await x_client.hear_next(" ", "to order", ".")
    x_client.stop()
    await window.wait_for("I would like. I would like. To order.")


async def test_the_end_of_another_session_writes_no_mark(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    window = tk_desktop.tk("another")
    tk_desktop.focus("another")
    x_client.start()
    await x_client.hear_next("", "I would like", ".")
    x_client.running.announcer.dictation_stopped(77, StopReason.STOPPED, "", None)
    await x_client.hear_next(" ", "to order", ".")
    x_client.stop()
    await window.wait_for("I would like to order.")


@pytest.mark.heavy
async def test_a_mark_that_no_method_can_write_is_reported_without_it(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("unwritten")
    tk_desktop.focus("unwritten")
    tk_desktop.copy("copied before")
    x_client.start()
    await x_client.hear_next("", "I would like", "?")
    x_client.settings.write_text('[applications.unwritten]\nmethod = "paste"\nchord = "F9"\n')
    x_client.stop()
    await eventually(lambda: len(x_client.told) == 2, what="the report")
    expected = "the final mark of session=1 utterance=1 was not written: the window did not read the pasted text"
    assert x_client.told[1] == expected
    assert window.text == "I would like"
    assert x_client.end() == 0
    assert tk_desktop.clipboard() == "copied before"
