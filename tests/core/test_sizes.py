"""Sizes for people."""

import pytest

from coldvoxd.core.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (12_345, "12.3 kB"),
        (999_940, "999.9 kB"),
        (999_960, "1.0 MB"),
        (2_300_000, "2.3 MB"),
        (999_960_000, "1.0 GB"),
        (2_545_000_000, "2.5 GB"),
    ],
)
def test_a_size_has_the_unit_in_which_it_is_at_least_one(size: float, text: str) -> None:
    assert size_text(size) == text
