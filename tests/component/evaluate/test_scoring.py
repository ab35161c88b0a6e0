"""Word error rates: against jiwer's own totals and our edit distance; normalizations."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.core.edit_distance import edit_distance
from coldvoxd.evaluate.normalization import Normalization, normalizer
from coldvoxd.evaluate.scoring import Counts, scorer

WORDS = st.lists(st.sampled_from(["a", "b", "c", "open", "file"]), max_size=12).map(" ".join)
PLAIN = scorer(normalizer(Normalization.NONE))
ENGLISH = scorer(normalizer(Normalization.ENGLISH))


@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=8))
def test_counts_of_single_clips_sum_to_those_of_jiwer_for_all(pairs: list[tuple[str, str]]) -> None:
    total = sum((PLAIN(reference, text) for reference, text in pairs), Counts())
    whole = jiwer.process_words([reference for reference, _ in pairs], [text for _, text in pairs])
    assert (total.substitutions, total.deletions, total.insertions) == (
        whole.substitutions,
        whole.deletions,
        whole.insertions,
    )
    assert total.rate == pytest.approx(whole.wer)


@given(WORDS, WORDS)
def test_errors_are_the_edit_distance(reference: str, text: str) -> None:
    counts = PLAIN(reference, text)
    assert counts.errors == edit_distance(text.split(), reference.split())
    assert counts.words == len(reference.split())
    assert counts.words - counts.deletions + counts.insertions == len(text.split())


@given(WORDS)
def test_a_text_has_no_errors_against_itself(text: str) -> None:
    for score in (PLAIN, ENGLISH):
        assert score(text, text).errors == 0


@given(WORDS.filter(bool), WORDS)
def test_the_english_normalization_is_idempotent_on_words(reference: str, text: str) -> None:
    once = ENGLISH.normalizer(reference)
    assert ENGLISH.normalizer(once) == once
    assert ENGLISH(reference, text) == PLAIN(once, ENGLISH.normalizer(text))


def test_empty_texts() -> None:
    assert PLAIN("", "a b") == Counts(0, 0, 0, 2)
    assert PLAIN("a b", "") == Counts(2, 0, 2, 0)
    assert PLAIN("", "").rate == 0.0


@pytest.mark.parametrize(
    ("kind", "text", "normal"),
    [
        (Normalization.NONE, "Hello, World.", "Hello, World."),
        (Normalization.BASIC, "Hello,  World. [noise] It's", "hello world it s"),
        (Normalization.ENGLISH, "Mr. Brown won't pay twenty-one dollars", "mister brown will not pay $21"),
        (Normalization.ENGLISH, "um, the colour's grey (laughs)", "the color is gray"),
        (Normalization.ENGLISH, "ONE TWO THREE", "123"),
    ],
)
def test_normalizations(kind: Normalization, text: str, normal: str) -> None:
    assert normalizer(kind)(text) == normal


def test_normalizer_and_scorer_are_named_with_their_versions() -> None:
    assert ENGLISH.normalizer.name.startswith("english (whisper-normalizer 0.")
    assert ENGLISH.name.startswith("jiwer 4.")
    assert PLAIN.normalizer.name == "none"
