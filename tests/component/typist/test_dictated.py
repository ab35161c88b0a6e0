"""Texts as they continue their session: what is inserted, what is kept, and when the final mark is due."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldvoxd.bus.client_events import Event
from coldvoxd.core.seams import SeamedText, SeamFinding, seamed
from coldvoxd.typist.dictated import Dictated, whole_text
from coldvoxd.typist.focus import Focus
from coldvoxd.typist.insertion_point import Place, Places
from coldvoxd.typist.ledger import Ledger
from coldvoxd.typist.sentence_end import drops_mark, ends_sentence, is_over

TERMINAL = Focus("window 1", "foot")


def fields(text: str, **details: str) -> dict[str, object]:
    return {"session": 1, "utterance": 2, "text": text, **details}


def dictated(utterance: int, text: str, one: SeamedText, session: int = 1) -> Dictated:
    return Dictated(text, one.body, one.pending, one.seam, session, utterance, utterance - 1)


FIRST = dictated(1, "I would like.", SeamedText("I would like", "."))
SECOND = dictated(2, "To order.", SeamedText("to order", ".", " "))
THIRD = dictated(3, "Two?", SeamedText("Two", "?", ". "))


def test_a_text_with_its_details_is_taken_as_it_continues_its_session() -> None:
    text = Dictated.received(fields("To order.", body="to order", pending=".", seam=" "), 1)
    assert text == SECOND
    assert (text.unmarked, text.pair) == ("To order", (1, 2))


@pytest.mark.parametrize(
    "details",
    [
        {},  # an older daemon
        {"body": "", "pending": "", "seam": ""},
        {"body": "to", "pending": ".", "seam": ". "},
        {"body": "to order.", "pending": ".", "seam": ". "},
    ],
)
def test_without_the_same_words_in_its_body_a_text_is_joined_as_it_is(details: dict[str, str]) -> None:
    assert Dictated.received(fields("To order.", **details), 1) == Dictated("To order.", "To order.", "", " ", 1, 2, 1)


def test_control_characters_are_removed_from_all_parts() -> None:
    text = Dictated.received(fields("A\x1bb.\r", body="a\x1bb.\r", pending="", seam=".\x07 "), 0)
    assert (text.text, text.body, text.seam) == ("Ab.\n", "ab.\n", ". ")


def test_undelivered_texts_of_a_session_are_joined_by_their_seams() -> None:
    assert whole_text([]) == ""
    assert whole_text([SECOND]) == "To order."
    assert whole_text([FIRST, SECOND, THIRD]) == "I would like to order. Two?"
    assert whole_text([FIRST, THIRD]) == "I would like. Two?"
    assert whole_text([Dictated.whole("Older"), SECOND, replace(FIRST, session=2)]) == "Older To order. I would like."


def test_a_mark_that_is_written_already_is_left_out_of_the_next_seam() -> None:
    assert THIRD.joined(is_marked=True, is_spaced=False) == " Two"
    assert THIRD.joined(is_marked=False, is_spaced=False) == ". Two"
    assert SECOND.joined(is_marked=False, is_spaced=True) == "to order"


CLOSED = Event("sentence-closed", {"session": 1, "utterance": 2})
STOPPED = Event("stopped", {"session": 1, "reason": "stopped", "transcript": ""})
NEXT = Event("transcribed", fields("Next."))
OTHERS = [
    Event("interrupted", {}),
    Event("daemon-disconnected", {}),
    Event("stopped", {"session": 2, "reason": "stopped", "transcript": ""}),
    Event("transcribed", {**fields("Another."), "session": 2}),
    Event("sentence-closed", {"session": 1, "utterance": 1}),
]


def test_a_sentence_ends_with_its_session_or_when_the_daemon_closes_it() -> None:
    assert ends_sentence(CLOSED, 1, 2)
    assert ends_sentence(STOPPED, 1, 2)
    assert not any(ends_sentence(other, 1, 2) for other in (*OTHERS, NEXT))
    reasons = ("stopped", "restarted", "shutdown", "timeout", "cancelled", "caller-left")
    stops = [Event("stopped", {"session": 1, "reason": reason}) for reason in reasons]
    assert [drops_mark(stop) for stop in stops] == [False] * 4 + [True] * 2
    assert not drops_mark(CLOSED)


def test_the_mark_is_due_at_once_if_the_end_has_arrived_with_the_text() -> None:
    assert not is_over(SECOND, OTHERS)
    assert is_over(SECOND, [*OTHERS, STOPPED])
    assert is_over(SECOND, [CLOSED, NEXT])
    assert not is_over(SECOND, [NEXT, STOPPED])
    assert not is_over(SECOND, [Event("stopped", {"session": 1, "reason": "cancelled"})])


async def insertion(places: Places, text: Dictated, focus: Focus = TERMINAL, *, is_marked: bool = False) -> str:
    """Insert a text, as the service does; return what was inserted."""
    inserted = await places.insertion(text, focus) + (text.pending if is_marked else "")
    await places.note(Place.behind(text, inserted, focus, is_marked=is_marked), focus, {})
    return inserted


async def test_a_text_goes_on_in_its_window_and_begins_in_another(tmp_path: Path) -> None:
    places = Places(Ledger(tmp_path / "ledger"))
    assert await insertion(places, FIRST) == "I would like"
    assert await insertion(places, SECOND) == " to order"
    assert await insertion(places, THIRD, Focus("window 2", "foot")) == "Two"
    fourth = dictated(4, "No.", SeamedText("no", ".", ", "))
    assert await insertion(places, fourth, Focus("window 2", "foot")) == ", no"


async def test_a_text_of_another_session_comes_after_the_mark_that_is_due(tmp_path: Path) -> None:
    places = Places(Ledger(tmp_path / "ledger"))
    await insertion(places, FIRST)
    assert await insertion(places, replace(FIRST, session=2)) == ". I would like"
    assert await insertion(places, Dictated.whole("Again.")) == ". Again."
    assert await insertion(places, SECOND) == " To order", "its sentence is elsewhere"


async def test_after_a_text_that_was_not_received_or_delivered_a_sentence_begins(tmp_path: Path) -> None:
    places = Places(Ledger(tmp_path / "ledger"))
    await insertion(places, FIRST)
    assert await insertion(places, THIRD) == ". Two"
    await places.forget()
    assert await insertion(places, SECOND) == "To order"


async def test_nothing_separates_a_text_from_a_line_break(tmp_path: Path) -> None:
    places = Places(Ledger(tmp_path / "ledger"))
    lines = [
        Dictated(text, text, "", " ", 1, number, number - 1) for number, text in enumerate(("One\n", "two", "\nthree"))
    ]
    assert "".join([await insertion(places, line) for line in lines]) == "One\ntwo\nthree"
    assert await insertion(places, replace(FIRST, session=2)) == " I would like"


WORDS = st.sampled_from(["Alpha bravo", "Ökonomie", "5 o'clock", "I", "word"])
FINDINGS = st.builds(SeamFinding, st.booleans(), st.sampled_from(["", ",", ".", "?"]), st.booleans())
MARKED = st.sampled_from(["not over", "with the text", "alone", "held"])
"""How the final mark is written. Where texts are pasted, a sentence that is over holds its mark until the next text."""
TEXTS = st.tuples(WORDS, st.sampled_from(["", ".", "?", "\u2026", "?!"]), st.none() | FINDINGS, MARKED)


@settings(max_examples=30)
@given(st.lists(TEXTS, min_size=1, max_size=8))
async def test_the_window_has_the_joined_text_of_the_session_however_marks_are_written(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, SeamFinding | None, str]]
) -> None:
    places = Places(Ledger(tmp_path_factory.mktemp("session") / "ledger"))
    window = joined = ""
    before, is_over = None, False
    for number, (words, mark, finding, marked) in enumerate(texts, 1):
        before = seamed(words + mark, None if is_over else finding, before, is_over=is_over)
        joined += before.seam + before.body
        text = dictated(number, words + mark, before)
        window += await insertion(places, text, is_marked=marked == "with the text")
        is_over = marked != "not over"
        if marked == "alone":
            window += write_mark(places)
    assert before
    assert window + write_mark(places) == joined + before.pending


def write_mark(places: Places) -> str:
    """Write the mark that is due at the last place, and return it."""
    place = places.last()
    assert place
    places.update(place, place.marked())
    return place.mark
