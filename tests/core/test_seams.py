"""Texts are joined by their seams into the text of the session, whatever was found between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from coldvoxd.core.seams import (
    AUTO,
    AUTO_LIMIT_S,
    MARGIN,
    SeamedText,
    SeamFinding,
    SeamMethod,
    SeamRules,
    after_pause,
    before_pause,
    lowered,
    seamed,
    spelled,
    without_final_mark,
)

FIRST = SeamedText("I would like", ".")


def test_without_a_finding_a_new_sentence_begins() -> None:
    assert seamed("To order.", None, FIRST) == SeamedText("To order", ".", ". ")


def test_the_first_text_of_a_session_has_no_seam() -> None:
    assert seamed("I would like.", None, None) == FIRST
    assert seamed("I would like.", SeamFinding(continues=True, lowers=True), None) == FIRST


@pytest.mark.parametrize(
    ("text", "finding", "expected"),
    [
        ("To order?", SeamFinding(continues=True, lowers=True), SeamedText("to order", "?", " ")),
        ("To order.", SeamFinding(continues=True, mark=",", lowers=True), SeamedText("to order", ".", ", ")),
        ("Peter.", SeamFinding(continues=True), SeamedText("Peter", ".", " ")),
        ("Two beers.", SeamFinding(continues=False), SeamedText("Two beers", ".", ". ")),
        ("Two beers.", SeamFinding(continues=False, mark="?"), SeamedText("Two beers", ".", "? ")),
    ],
)
def test_a_finding_decides_about_the_mark_and_the_first_letter(
    text: str, finding: SeamFinding, expected: SeamedText
) -> None:
    assert seamed(text, finding, FIRST) == expected


@pytest.mark.parametrize(
    ("own", "found", "seam"), [("?", ".", "? "), ("!", ".", "! "), (".", "?", "? "), (",", ".", ". ")]
)
def test_a_full_stop_replaces_no_other_end_of_a_sentence(own: str, found: str, seam: str) -> None:
    before = SeamedText("Would you like coffee", own)
    assert seamed("With milk.", SeamFinding(continues=False, mark=found), before).seam == seam


@pytest.mark.parametrize("finding", [None, SeamFinding(continues=True, lowers=True)])
def test_a_sentence_that_is_over_has_a_mark_before_the_next_one(finding: SeamFinding | None) -> None:
    unmarked = SeamedText("Where is the old", "")
    assert seamed("Open the file.", finding, unmarked, is_over=True) == SeamedText("Open the file", ".", ". ")
    assert seamed("Open the file.", finding, SeamedText("Is it", "?"), is_over=True).seam == "? "
    assert seamed("Open the file.", finding, SeamedText('He said "no"', ""), is_over=True).seam == " "
    assert seamed("Open the file.", SeamFinding(continues=False), unmarked).seam == ". ", (
        "also before the pause is long"
    )
    assert seamed("Open the file.", None, unmarked).seam == " ", "it may continue"


def test_a_comma_at_a_pause_stays_and_a_full_stop_goes() -> None:
    assert seamed("To order.", SeamFinding(continues=True, lowers=True), SeamedText("I would like", ",")).seam == ", "
    assert seamed("To order.", SeamFinding(continues=True, lowers=True), SeamedText("I would like", "...")).seam == " "


@pytest.mark.parametrize(
    ("text", "body", "mark"),
    [
        ("Go.", "Go", "."),
        ("Go", "Go", ""),
        ("Really?!", "Really", "?!"),
        ("Well\u2026", "Well", "\u2026"),
        ("At 3.5", "At 3.5", ""),
        (".", "", "."),
        ("Hello.\n", "Hello.\n", ""),
        ("", "", ""),
        ('He said "no."', 'He said "no."', ""),
    ],
)
def test_the_final_mark_of_a_text(text: str, body: str, mark: str) -> None:
    assert without_final_mark(text) == (body, mark)


def test_lowering_keeps_everything_but_the_first_letter() -> None:
    assert (lowered("To Order"), lowered("\u00c9t\u00e9"), lowered(""), lowered("3 Men")) == (
        "to Order",
        "\u00e9t\u00e9",
        "",
        "3 Men",
    )


def test_words_are_compared_by_letters_and_digits() -> None:
    assert spelled("Don't,") == spelled("dont") == "dont"
    assert spelled("?!") == ""


WORDS = some.text("aBc \u00e9.,?!1", max_size=12)
FINDINGS = some.none() | some.builds(
    SeamFinding, continues=some.booleans(), mark=some.sampled_from(["", ",", ".", "?"]), lowers=some.booleans()
)


@given(some.lists(some.tuples(WORDS, FINDINGS), max_size=6))
def test_bodies_seams_and_the_last_mark_hold_every_word_in_order(said: list[tuple[str, SeamFinding | None]]) -> None:
    texts: list[SeamedText] = []
    for text, finding in said:
        texts.append(seamed(text, finding, texts[-1] if texts else None))
    joined = "".join(text.seam + text.body for text in texts) + (texts[-1].pending if texts else "")
    expected = " ".join(text for text, _ in said)
    assert "".join(spelled(word) for word in joined.split()) == "".join(spelled(word) for word in expected.split())
    assert all(text.body + text.pending == said[index][0] for index, text in enumerate(texts) if not said[index][1])
    assert all(text.seam.endswith(" ") for text in texts[1:])


@given(some.lists(WORDS.filter(bool), max_size=6))
def test_without_findings_the_joined_text_is_that_of_the_texts(said: list[str]) -> None:
    texts: list[SeamedText] = []
    for text in said:
        texts.append(seamed(text, None, texts[-1] if texts else None))
    joined = "".join(text.seam + text.body for text in texts) + (texts[-1].pending if texts else "")
    assert joined == " ".join(said)


def test_the_setting_auto_is_the_method_of_the_model_within_a_time_limit() -> None:
    assert SeamRules.of(AUTO, SeamMethod.WINDOW, 2.0) == SeamRules(SeamMethod.WINDOW, 2.0, AUTO_LIMIT_S)
    assert SeamRules.of("state", SeamMethod.WINDOW, 2.0) == SeamRules(SeamMethod.STATE, 2.0)


def test_the_audio_at_a_pause_ends_and_begins_near_the_speech() -> None:
    samples = np.arange(32_000, dtype=np.float32)
    speech = ((8_000, 12_000), (16_000, 24_000))
    assert before_pause(samples, speech, 48_000)[-1] == 24_000 + MARGIN - 1
    assert len(before_pause(samples, speech, 4_000)) == 4_000
    assert after_pause(samples, speech, 48_000)[0] == 8_000 - MARGIN
    assert len(after_pause(samples, speech, 4_000)) == 4_000
    assert len(before_pause(samples, (), 48_000)) == len(after_pause(samples, (), 48_000)) == 32_000
