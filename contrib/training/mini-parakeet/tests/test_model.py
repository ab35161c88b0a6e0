from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch

from mini_parakeet.model import MiniParakeet, encoder_frames


def test_what_follows_an_utterance_in_its_batch_does_not_change_it(talkative: MiniParakeet) -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 128, 77)
    padded = torch.nn.functional.pad(features, (0, 83), value=5.0)
    with torch.no_grad():
        alone, length = talkative.encoder(features, torch.tensor([77]))
        beside, _ = talkative.encoder(torch.cat([padded, torch.randn(1, 128, 160)]), torch.tensor([77, 160]))
    frames = int(length[0])
    assert frames == encoder_frames(77) == alone.shape[2]
    np.testing.assert_allclose(alone[0, :, :frames], beside[0, :, :frames], atol=1e-4)


def test_attention_sees_distances_not_positions(talkative: MiniParakeet) -> None:
    """The relative shift puts row t, column s at distance t - s."""
    attention = deepcopy(talkative.encoder.layers[0].attention)
    frames, width = 6, talkative.settings.width
    positions = torch.zeros(1, 2 * frames - 1, width)
    positions[:, frames - 1 + 2] = 3.0  # only distance -2: two frames ahead
    x = torch.zeros(1, frames, width)
    mask = torch.zeros(1, frames, frames, dtype=torch.bool)
    with torch.no_grad():
        attention.position_bias.fill_(1.0)
        attention.position.weight.abs_()
        attention.value.weight.zero_()
        query = attention.query(x).view(1, frames, attention.heads, attention.head_width)
        position = attention.position(positions).view(1, -1, attention.heads, attention.head_width).transpose(1, 2)
        scores = (query + attention.position_bias).transpose(1, 2) @ position.transpose(2, 3)
        shifted = torch.nn.functional.pad(scores, (1, 0)).view(1, attention.heads, 2 * frames, frames)[:, :, 1:]
        shifted = shifted.reshape(1, attention.heads, frames, 2 * frames - 1)[..., :frames]
        assert attention(x, positions, mask).shape == (1, frames, width)
    ahead = [(row, int(shifted[0, 0, row].argmax())) for row in range(frames - 2)]
    assert ahead == [(row, row + 2) for row in range(frames - 2)]


def test_the_start_of_sentence_is_a_zero_embedding(talkative: MiniParakeet) -> None:
    assert float(talkative.decoder.embedding.weight[talkative.decoder.blank].abs().max()) == 0.0
