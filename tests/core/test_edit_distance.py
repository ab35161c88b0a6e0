"""The edit distance counts words, and is the minimum number of changes."""

import pytest

from coldvoxd.core.edit_distance import edit_distance


@pytest.mark.parametrize(
    ("recognized", "reference", "changes"),
    [
        ("", "", 0),
        ("a b", "a b", 0),
        ("", "a b", 2),
        ("a b", "", 2),
        ("a c", "a b c", 1),
        ("x a b c", "a b d", 2),
        ("b a", "a b", 2),
    ],
)
def test_the_distance_is_the_least_number_of_changed_words(recognized: str, reference: str, changes: int) -> None:
    assert edit_distance(recognized.split(), reference.split()) == changes
