"""CTC greedy decoding, on tables small enough to verify by hand."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.engines.parakeet.ctc import decode

A, B, BLANK = 0, 1, 2


def scores(*best: int, certainty: float = 4.0) -> npt.NDArray[np.float32]:
    rows = np.zeros((len(best), BLANK + 1), np.float32)
    rows[np.arange(len(best)), best] = certainty
    return rows


def decoded(*best: int) -> list[tuple[int, int, int]]:
    return [(token.id, token.encoder_frame, token.duration_frames) for token in decode(scores(*best), blank=BLANK)]


def test_no_frames_and_blanks_give_no_tokens() -> None:
    assert decode(scores(), blank=BLANK) == ()
    assert decoded(BLANK, BLANK) == []


def test_a_repeated_token_is_one_token_at_its_first_frame() -> None:
    assert decoded(BLANK, A, A, A, B, BLANK) == [(A, 1, 3), (B, 4, 2)]


def test_a_blank_parts_two_equal_tokens() -> None:
    assert decoded(A, A, BLANK, A) == [(A, 0, 3), (A, 3, 1)]


def test_a_token_lasts_at_most_as_long_as_a_tdts() -> None:
    assert decoded(A, *[BLANK] * 9, B) == [(A, 0, 4), (B, 10, 1)]


def test_a_tokens_probability_is_the_highest_of_its_frames() -> None:
    rows = np.concatenate((scores(A, certainty=1.0), scores(A, certainty=3.0), scores(A, certainty=2.0)))
    (token,) = decode(rows, blank=BLANK)
    assert math.exp(token.logprob) == pytest.approx(math.exp(3) / (math.exp(3) + 2))


def test_excluded_tokens_are_replaced_by_the_best_of_the_others_with_their_own_probability() -> None:
    rows = scores(A, B)
    rows[0, B] = 3.0
    (token,) = decode(rows, blank=BLANK, excluded=np.array([True, False, False]))
    assert (token.id, token.encoder_frame) == (B, 0)
    assert math.exp(token.logprob) == pytest.approx(math.exp(4) / (math.exp(4) + 2)), "of its second frame"
