from __future__ import annotations

import pytest
import torch

from mini_parakeet.mean import mean, share_of
from mini_parakeet.model import MiniParakeet, ModelSettings


def weights(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return MiniParakeet(ModelSettings(6, width=8, layers=1, heads=2, prediction=8, joint=8)).state_dict()


def test_one_stage_alone_stays_as_it_is() -> None:
    alone = weights(1)
    mixed = mean([(alone, 1.0)])
    assert all(torch.equal(mixed[name], value) for name, value in alone.items())


def test_each_stage_counts_by_its_share() -> None:
    first, second, third = weights(0), weights(1), weights(2)
    mixed = mean([(first, 0.5), (second, 0.3), (third, 0.2)])
    name = "encoder.subsampling.out.weight"
    torch.testing.assert_close(mixed[name], 0.5 * first[name] + 0.3 * second[name] + 0.2 * third[name])
    counters = [name for name, value in first.items() if not value.is_floating_point()]
    assert counters
    assert all(torch.equal(mixed[name], first[name]) for name in counters)


@pytest.mark.parametrize("shares", [(0.5, 0.6), (1.5, -0.5)])
def test_shares_that_are_no_mean_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="1 in sum"):
        mean([(weights(0), shares[0]), (weights(1), shares[1])])


def test_stages_of_different_models_are_refused() -> None:
    with pytest.raises(ValueError, match="same parameters"):
        mean([(weights(0), 0.5), ({"other": torch.zeros(1)}, 0.5)])


def test_a_share_is_read() -> None:
    assert share_of("paused-again=0.15") == ("paused-again", 0.15)
