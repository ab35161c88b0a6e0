"""What counts as the same words in the golden clip."""

import pytest

from coldvoxd.core.golden_verdict import agrees, fair

TRUTH = "Hello Anna, send the message to Peter."


@pytest.mark.parametrize(
    ("heard", "same"),
    [
        (TRUTH, True),
        ("hello anna send the message to peter", True),
        ("Hello Anna send the message, to Peter!", True),
        ("Hello Anna, send a message to Peter.", False),
        ("Hello Anna, send the message to", False),
        ("", False),
    ],
)
def test_words_count_and_neither_case_nor_punctuation(heard: str, same: bool) -> None:
    assert agrees(heard, [TRUTH]) is same


def test_any_of_the_truths_will_do() -> None:
    assert agrees("hello hannah", ["Hello Anna", "Hello Hannah"])
    assert not agrees("hello hannah", [])


def test_nothing_heard_is_never_right() -> None:
    """Pins that weights which recognize nothing on the CPU do not validate a provider that recognizes nothing."""
    assert not agrees("", [""])
    assert not agrees("...", ["..."])


@pytest.mark.parametrize(
    ("own", "is_fair"),
    [
        (TRUTH, True),
        ("Hello Hannah, send the message to Peter.", True),
        ("Hello Hannah, send a message to Peter.", False),
        ("Send the message to Peter.", False),
        ("", False),
    ],
)
def test_a_precision_may_differ_by_one_word_of_the_clip(own: str, is_fair: bool) -> None:
    assert fair(own, TRUTH) is is_fair
