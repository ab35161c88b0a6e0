"""Sentences over pauses in sway: windows have the text of the session, each mark once."""

from coldvoxd.core.values import StopReason
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop
from tests.support.eventually import eventually


async def test_marks_are_typed_when_their_sentences_are_over(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    window = sway_desktop.foot("over")
    sway_client.start()
    await sway_client.hear_next("", "Ένας ξένος", ";")
    sway_client.close_sentence()
    await window.wait_for("Ένας ξένος;")
    await sway_client.hear_next("; ", "Φώναξε", "")
    await sway_client.hear_next(", ", "όχι", "\u2026")
    sway_client.stop()
    await window.wait_for("Ένας ξένος; Φώναξε, όχι\u2026")


async def test_a_mark_is_typed_behind_a_text_that_was_pasted(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    window = sway_desktop.foot("picture")
    sway_client.start()
    sway_client.say("", "Ok 😀", "!")
    await eventually(lambda: sway_client.place.get("mark") == "!", what="the paste")
    sway_client.stop()
    await window.wait_for("Ok 😀!")


async def test_a_mark_goes_into_no_other_window_of_sway(sway_desktop: SwayDesktop, sway_client: TypingClient) -> None:
    window = sway_desktop.foot("mine")
    sway_client.start()
    await sway_client.hear_next("", "I would like", ".")
    other = sway_desktop.foot("theirs")
    await sway_client.hear_next(" ", "to order", ".")
    sway_desktop.focus("mine")
    sway_client.stop(StopReason.TIME_LIMIT)
    await eventually(lambda: sway_client.place.get("mark") == "", what="the end")
    await sway_client.hear("Again.")
    await window.wait_for("I would likeAgain.")
    assert other.text == "To order"
