"""Where two pieces of a recording overlap, no word is lost and none is doubled."""

from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.core.values import Word
from coldvoxd.files.overlap import joint


def words(*spoken: tuple[str, float]) -> list[Word]:
    """Return words of 0.3 s at these times."""
    return [Word(text, at, at + 0.3, 0.9) for text, at in spoken]


def joined(before: list[Word], after: list[Word], begin_s: float, end_s: float) -> list[str]:
    kept, dropped = joint(before, after, begin_s, end_s)
    return [word.text for word in [*before[:kept], *after[dropped:]]]


def test_the_text_changes_over_at_a_word_that_both_have() -> None:
    before = words(("I", 10.0), ("would", 10.5), ("like", 11.0), ("ta.", 11.5))
    after = words(("Ould", 10.7), ("like", 11.1), ("tea", 11.6), ("please", 12.5))
    assert joined(before, after, 10.4, 11.9) == ["I", "would", "like", "tea", "please"]


def test_case_and_punctuation_of_the_word_may_differ() -> None:
    before = words(("one", 1.0), ("two.", 2.0))
    after = words(("Two", 2.05), ("three", 3.0))
    assert joined(before, after, 1.0, 3.3) == ["one", "two.", "three"]


def test_a_word_that_is_said_again_later_is_another_one() -> None:
    before = words(("no", 1.0), ("no", 2.0))
    after = words(("no", 2.0), ("no", 3.0))
    assert joined(before, after, 1.8, 2.9) == ["no", "no", "no"]


def test_without_a_common_word_it_changes_over_in_the_middle() -> None:
    before, after = words(("a", 1.0), ("b", 2.0), ("c", 3.0)), words(("x", 1.0), ("y", 2.0), ("z", 3.0))
    assert joined(before, after, 1.0, 3.3) == ["a", "y", "z"]


def test_a_piece_without_words_in_the_overlap_takes_none_from_the_other() -> None:
    assert joined(words(("a", 0.5)), words(("b", 1.1), ("c", 2.9)), 1.0, 3.0) == ["a", "b", "c"]
    assert joined(words(("a", 1.1), ("b", 2.4)), words(("c", 4.0)), 1.0, 3.0) == ["a", "b", "c"]
    assert joined([], [], 1.0, 3.0) == []


@given(
    st.lists(st.floats(0.35, 1.2), min_size=5, max_size=40),
    st.floats(0.3, 0.7),
    st.floats(-0.15, 0.15),
    st.integers(0, 4),
)
def test_two_pieces_that_agree_give_the_whole_text_once(
    pauses: list[float], place: float, shift_s: float, vocabulary: int
) -> None:
    at, spoken = 0.0, []
    for number, pause_s in enumerate(pauses):
        at += pause_s
        spoken.append((str(number % (vocabulary + 1)) if vocabulary else str(number), at))
    cut_s = at * place
    begin_s, end_s = cut_s - 1.5, cut_s + 1.5
    before = [word for word in words(*spoken) if word.end_s <= end_s]
    after = [word for word in words(*((text, when + shift_s) for text, when in spoken)) if word.start_s >= begin_s]
    assert joined(before, after, begin_s, end_s) == [text for text, _ in spoken]
