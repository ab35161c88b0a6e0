"""TDT greedy decoding, on tables small enough to verify by hand."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.errors import OutputNotFinite
from coldvoxd.core.values import Token
from coldvoxd.engines.parakeet.tdt import decode_greedy, log_probability, with_durations

A, B, BLANK = 0, 1, 2
DURATIONS = 5


def logits(token: int, duration: int, certainty: float = 4.0) -> npt.NDArray[np.float32]:
    scores = np.zeros(BLANK + 1 + DURATIONS, dtype=np.float32)
    scores[token] = scores[BLANK + 1 + duration] = certainty
    return scores


class Table:
    """A transducer that looks up (frame, tokens read)."""

    def __init__(self, rows: Mapping[tuple[int, int], npt.NDArray[np.float32]]) -> None:
        self.rows = rows
        self.read_so_far: list[int] = [BLANK]
        self.visited: list[tuple[int, tuple[int, ...]]] = []

    def begin(self) -> None:
        self.read_so_far = []

    def read(self, token: int) -> None:
        self.read_so_far.append(token)

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        index = int(encoder_frame[0])
        self.visited.append((index, tuple(self.read_so_far)))
        return self.rows.get((index, len(self.read_so_far)), logits(BLANK, 1))

    def decode(self, frames: int, limit: int = 10) -> list[tuple[int, int, int]]:
        encoded = np.arange(frames, dtype=np.float32)[:, None]
        tokens = decode_greedy(encoded, self, blank=BLANK, max_tokens_per_step=limit)
        return [(token.id, token.encoder_frame, token.duration_frames) for token in tokens]


def test_no_frames_give_no_tokens_and_no_score() -> None:
    table = Table({})
    assert table.decode(0) == []
    assert table.visited == []


def test_a_token_moves_on_by_its_duration() -> None:
    table = Table({(0, 0): logits(A, 3), (3, 1): logits(B, 1)})
    assert table.decode(5) == [(A, 0, 3), (B, 3, 1)]
    assert [visit[0] for visit in table.visited] == [0, 3, 4]


def test_a_token_of_no_duration_stays_at_its_frame() -> None:
    table = Table({(0, 0): logits(A, 0), (0, 1): logits(B, 2)})
    assert table.decode(2) == [(A, 0, 0), (B, 0, 2)]


def test_blank_moves_on_by_its_duration() -> None:
    table = Table({(0, 0): logits(BLANK, 4), (4, 0): logits(A, 1)})
    assert table.decode(6) == [(A, 4, 1)]


def test_blank_of_no_duration_moves_on_by_one() -> None:
    table = Table({(0, 0): logits(BLANK, 0), (1, 0): logits(A, 1)})
    assert table.decode(2) == [(A, 1, 1)]


def test_a_token_may_reach_beyond_the_end() -> None:
    assert Table({(1, 0): logits(A, 4)}).decode(2) == [(A, 1, 4)]


def test_tokens_are_read_as_they_come_and_blanks_are_not() -> None:
    table = Table({(1, 0): logits(A, 1), (3, 1): logits(B, 1)})
    for _ in range(2):
        table.visited.clear()
        table.decode(5)
        assert table.visited == [(0, ()), (1, ()), (2, (A,)), (3, (A,)), (4, (A, B))], (
            "each sentence starts from the initial state"
        )


def test_tokens_at_one_frame_are_limited() -> None:
    table = Table({(0, count): logits(A, 0) for count in range(9)})
    assert table.decode(2, limit=3) == [(A, 0, 0)] * 3
    assert table.visited[-1][0] == 1


def test_the_limit_counts_anew_at_the_next_frame() -> None:
    rows = {(0, 0): logits(A, 0), (0, 1): logits(A, 1), (1, 2): logits(B, 0), (1, 3): logits(B, 0)}
    assert Table(rows).decode(2, limit=2) == [(A, 0, 0), (A, 0, 1), (B, 1, 0), (B, 1, 0)]


def test_a_token_carries_its_probability_among_tokens_and_blank() -> None:
    table = Table({(0, 0): logits(A, 1, certainty=2.0)})
    encoded = np.zeros((1, 1), dtype=np.float32)
    (token,) = decode_greedy(encoded, table, blank=BLANK)
    assert token == Token(A, 0, 1, token.logprob)
    assert math.exp(token.logprob) == pytest.approx(math.exp(2) / (math.exp(2) + 2))


def test_probabilities_of_huge_scores_do_not_overflow() -> None:
    assert log_probability(np.array([1e4, -1e4], dtype=np.float32), 0) == 0.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [A, BLANK, BLANK + 2])
def test_scores_that_are_not_finite_are_the_providers_fault(place: int, value: float) -> None:
    broken = logits(B, 1)
    broken[place] = value
    with pytest.raises(OutputNotFinite, match="frame 1"):
        Table({(1, 0): broken}).decode(2)


def rnnt_logits(token: int) -> npt.NDArray[np.float32]:
    return logits(token, 0)[: BLANK + 1]


class WithoutDurations(Table):
    """An RNN-T."""

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return super().score(encoder_frame)[: BLANK + 1]


def test_without_durations_a_blank_leads_to_the_next_frame() -> None:
    table = WithoutDurations({(0, 0): rnnt_logits(A), (0, 1): rnnt_logits(B), (2, 2): rnnt_logits(A)})
    assert table.decode(4) == [(A, 0, 0), (B, 0, 0), (A, 2, 0)]
    assert [frame for frame, _ in table.visited] == [0, 0, 0, 1, 2, 2, 3]


def test_without_durations_the_tokens_of_a_frame_are_limited() -> None:
    table = WithoutDurations({(0, count): rnnt_logits(A) for count in range(9)})
    assert table.decode(2, limit=3) == [(A, 0, 0)] * 3
    assert [frame for frame, _ in table.visited] == [0, 0, 0, 1]


def test_a_token_without_a_duration_lasts_until_the_next_one_but_not_longer_than_a_tdts() -> None:
    tokens = [Token(A, 0, 0, 0.0), Token(B, 0, 0, 0.0), Token(A, 3, 0, 0.0), Token(B, 20, 0, 0.0), Token(A, 22, 0, 0.0)]
    assert [token.duration_frames for token in with_durations(tokens, 24)] == [0, 3, 4, 2, 2]
    assert with_durations([], 24) == ()
