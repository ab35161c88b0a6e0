from __future__ import annotations

import torch

from mini_parakeet.blend import BY_PIECE, blended
from mini_parakeet.model import MiniParakeet, ModelSettings


def weights(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return MiniParakeet(ModelSettings(6, width=8, layers=1, heads=2, prediction=8, joint=8)).state_dict()


def test_shares_of_nothing_leave_the_model_as_it_is() -> None:
    learnt = weights(1)
    mixed = blended(weights(0), learnt, 0.0, 0.0, [2])
    assert all(torch.equal(mixed[name], value) for name, value in learnt.items())


def test_encoder_and_decoder_are_moved_by_their_own_shares_and_new_pieces_not_at_all() -> None:
    origin, learnt = weights(0), weights(1)
    mixed = blended(origin, learnt, 0.25, 0.5, [2])
    name = "encoder.subsampling.out.weight"
    torch.testing.assert_close(mixed[name], 0.25 * origin[name] + 0.75 * learnt[name])
    for name in BY_PIECE:
        torch.testing.assert_close(mixed[name][1], 0.5 * origin[name][1] + 0.5 * learnt[name][1])
        assert torch.equal(mixed[name][2], learnt[name][2])
    assert torch.equal(mixed["ctc.weight"], learnt["ctc.weight"])
