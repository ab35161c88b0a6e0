"""Timestamps decide where decoded audio belongs, unless they are implausible."""

from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.media.timeline import MOST_GAP_S, Timeline


def placed(times: list[float | None], duration_s: float | None = None) -> list[float]:
    """Return the silence before each of several frames of 1 s."""
    timeline, silences = Timeline(duration_s), []
    for at_s in times:
        silence_s = timeline.silence_before(at_s)
        timeline.advance(silence_s)
        timeline.advance(1.0)
        silences.append(silence_s)
    return silences


def test_frames_that_follow_each_other_have_no_silence_between_them() -> None:
    assert placed([0.0, 1.05, 1.96, None, 4.0]) == [0, 0, 0, 0, 0]


def test_a_gap_is_filled_once() -> None:
    assert placed([2.0, 3.0, 6.5, 7.5]) == [2.0, 0, 2.5, 0]


def test_after_a_jump_backwards_time_goes_on_from_there() -> None:
    assert placed([0.0, 1.0, 0.0, 1.0, 3.0]) == [0, 0, 0, 0, 1.0]


def test_a_long_gap_is_filled_only_within_the_length_of_the_header() -> None:
    far_s = MOST_GAP_S + 100
    assert placed([0.0, far_s, far_s + 1]) == [0, 0, 0]
    assert placed([0.0, far_s, far_s + 1], duration_s=far_s + 2) == [0, far_s - 1, 0]
    assert placed([0.0, 1e15, 1e15 + 1], duration_s=far_s) == [0, 0, 0]


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=30), st.none() | st.floats(1, 1e4))
def test_the_amount_of_silence_is_bounded(times: list[float | None], duration_s: float | None) -> None:
    silences = placed(times, duration_s)
    assert all(silence_s >= 0 for silence_s in silences)
    assert all(silence_s <= max(MOST_GAP_S, (duration_s or 0) + 1e6) for silence_s in silences)
