"""The small set of audio lengths on an accelerator."""

import pytest

from coldvoxd.engines.parakeet.padding import HOPS_A_SECOND, SECONDS, padded


@pytest.mark.parametrize(
    ("columns", "wide"), [(1, 100), (100, 100), (101, 200), (401, 600), (2000, 2000), (2001, 2400)]
)
def test_audio_is_padded_to_the_next_length(columns: int, wide: int) -> None:
    assert padded(columns) == wide


def test_each_length_stays_itself_and_none_is_shortened() -> None:
    assert [padded(seconds * HOPS_A_SECOND) for seconds in SECONDS] == [s * HOPS_A_SECOND for s in SECONDS]
    assert all(padded(columns) >= columns for columns in range(1, 40_000, 37))
