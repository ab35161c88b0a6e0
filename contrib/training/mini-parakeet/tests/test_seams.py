from __future__ import annotations

import pytest

from mini_parakeet.seams import Tally, ends, goes_on, matches


def test_words_are_matched_in_order() -> None:
    assert matches("a x c".split(), "a b c".split()) == {0: 0, 2: 2}
    assert matches("b c".split(), "a b c".split()) == {1: 0, 2: 1}
    assert matches([], ["a"]) == {}


@pytest.mark.parametrize(
    ("before", "after", "inside", "between"),
    [
        ("the", "report", True, False),
        ("Yes,", "send", True, False),
        ("to", "Peter.", True, False),
        ("the.", "report", False, False),
        ("the.", "Report", False, True),
        ("the", "Report", False, False),
        ("it?", "Monday", False, True),
    ],
)
def test_a_seam_is_right_by_its_mark_and_its_letter(before: str, after: str, inside: bool, between: bool) -> None:
    assert goes_on(before, after) == inside
    assert ends(before, after) == between


def test_a_tally_judges_seams_whose_words_were_recognized() -> None:
    tally = Tally()
    reference = "Send the report to Peter."
    tally.count("Send the report to Peter.", reference, reference, 2, inside=True)
    tally.count("Send the. Report to Peter.", reference, reference, 2, inside=True)
    tally.count("Send the. Good Peter.", reference, reference, 2, inside=True)
    assert (tally.clips, tally.same_words, tally.judged, tally.right) == (3, 2, 2, 1)
