"""Words of an utterance that is still being spoken become stable once two consecutive hypotheses agree on them."""

from collections.abc import Sequence
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as some

from coldvoxd.core.agreement import Agreement, whole_words
from coldvoxd.core.edit_distance import distances_to_beginnings, edit_distance
from coldvoxd.core.seams import without_final_mark
from coldvoxd.core.values import Hypothesis, Word

WORDS = some.lists(some.sampled_from(["a", "A", "be", "be.", "be,", "sea", "dee?", "dee", "."]), max_size=8)
SPOKEN = some.lists(some.sampled_from(["one", "two", "three", "Four", "five,", "six."]), max_size=12)


def after(*texts: str) -> Agreement:
    return reduce(Agreement.with_hypothesis, texts, Agreement())


def shown(agreement: Agreement) -> tuple[str, str]:
    return agreement.stable_text, agreement.unstable_text


@pytest.mark.parametrize(
    ("texts", "stable", "unstable"),
    [
        ([], "", ""),
        (["Open."], "", "Open"),
        (["Open.", "Open the fi."], "Open", "the fi"),
        (["Open.", "Open the fi.", "Open the file."], "Open the", "file"),
        (["Open the file.", "Open the file."], "Open the file", ""),
        (["Open the file.", "Open the file.", "Open the file and close it."], "Open the file", "and close it"),
        (["Yes, I can.", "Yes, I can, and"], "Yes, I can,", "and"),
        (["Yes I can", "Yes, I can"], "", "Yes, I can"),
        (["Yes. I", "Yes, I can"], "", "Yes, I can"),
        (["the file", "The file"], "", "The file"),
        (["Open the file", ""], "", ""),
        ([". . .", ". ."], "", ""),
    ],
)
def test_two_hypotheses_agree_on_the_words_before_the_first_that_differs(
    texts: Sequence[str], stable: str, unstable: str
) -> None:
    assert shown(after(*texts)) == (stable, unstable)


@pytest.mark.parametrize(
    ("later", "unstable"),
    [
        ("We read the report on Friday.", "on Friday"),
        ("We red the report on Friday.", "on Friday"),
        ("We all read the report on Friday.", "on Friday"),
        ("Read the report on Friday.", "on Friday"),
        ("We read the", ""),
        ("", ""),
    ],
    ids=["same", "other word", "more words", "fewer words", "shorter", "none"],
)
def test_a_contradiction_changes_no_stable_word_and_adds_those_behind(later: str, unstable: str) -> None:
    assert shown(after("We read the report", "We read the report", later)) == ("We read the report", unstable)


def test_words_that_were_lost_need_two_hypotheses_again() -> None:
    assert shown(after("Open the file", "Open", "Open the file")) == ("Open", "the file")


@pytest.mark.parametrize(
    ("end_s", "expected"), [(1.0, "Open the"), (0.95, "Open the"), (0.9, "Open the fi."), (None, "Open the fi.")]
)
def test_a_last_word_that_reaches_the_end_of_the_audio_may_be_cut(end_s: float | None, expected: str) -> None:
    words = (
        () if end_s is None else (Word("Open", 0.1, 0.3, 1.0), Word("the", 0.4, 0.5, 1.0), Word("fi.", 0.7, end_s, 1.0))
    )
    assert whole_words(Hypothesis("Open the fi.", (), words, 1.0, "P", 0.1), 1.0) == expected


def test_a_single_word_that_may_be_cut_is_left_out() -> None:
    assert whole_words(Hypothesis("Op.", (), (Word("Op.", 0.1, 0.3, 1.0),), 1.0, "P", 0.1), 0.3) == ""


@given(some.lists(WORDS.map(" ".join), max_size=8))
def test_stable_words_only_grow_and_never_change(texts: list[str]) -> None:
    agreement = Agreement()
    for text in texts:
        before, agreement = agreement, agreement.with_hypothesis(text)
        assert agreement.stable[: len(before.stable)] == before.stable


@given(some.lists(WORDS.map(" ".join), max_size=8))
def test_each_new_stable_word_is_one_of_both_hypotheses(texts: list[str]) -> None:
    def bodies(text: str) -> set[str]:
        return {without_final_mark(word)[0] for word in text.split()}

    agreement = Agreement()
    for earlier, later in zip(["", *texts], texts, strict=False):
        before, agreement = agreement, agreement.with_hypothesis(later)
        new = " ".join(agreement.stable[len(before.stable) :])
        assert bodies(new) <= bodies(earlier) & bodies(later)


@given(some.lists(WORDS.map(" ".join), max_size=8))
def test_no_text_ends_with_a_mark_or_has_empty_words(texts: list[str]) -> None:
    agreement = after(*texts)
    whole = " ".join(filter(None, shown(agreement)))
    assert whole.split() == whole.split(" ") or not whole
    assert all(without_final_mark(word)[0] for word in whole.split())
    assert without_final_mark(agreement.unstable_text)[1] == ""


@given(SPOKEN, some.lists(some.integers(1, 3), min_size=1, max_size=12))
def test_a_recognizer_that_is_always_right_is_shown_rightly(spoken: list[str], steps: list[int]) -> None:
    """Each hypothesis is a longer beginning of what is said; a wrong full stop at its end does no harm."""
    agreement, count = Agreement(), 0
    for step in steps:
        earlier, count = count, min(len(spoken), count + step)
        agreement = agreement.with_hypothesis(" ".join(spoken[:count]).rstrip(",.") + "." * (count > 0))
        words = [without_final_mark(word)[0] for word in (*agreement.stable, *agreement.rest)]
        assert words == [without_final_mark(word)[0] for word in spoken[:count]]
        assert len(agreement.stable) == earlier


@given(WORDS, WORDS)
def test_the_last_distance_is_that_of_the_whole_text(recognized: list[str], reference: list[str]) -> None:
    distances = distances_to_beginnings(recognized, reference)
    assert distances == [edit_distance(recognized, reference[:end]) for end in range(len(reference) + 1)]
