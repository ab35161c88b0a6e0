from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mini_parakeet.checkpoint import newest_weights, read_small, restore, save, write_small
from mini_parakeet.model import MiniParakeet


def test_a_small_checkpoint_holds_the_average_and_a_stage_goes_on_from_it(
    tmp_path: Path, talkative: MiniParakeet
) -> None:
    average = {
        name: value + 1 if value.is_floating_point() else value for name, value in talkative.state_dict().items()
    }
    stored = {"model": talkative.state_dict(), "average": average, "step": 70, "settings": talkative.settings.as_dict()}
    save(tmp_path / "stage.running.pt", stored)
    weights, settings, step = newest_weights(tmp_path, "stage")
    write_small(tmp_path / "small.npz", weights, settings, step)
    model, step = read_small(tmp_path / "small.npz")
    assert step == 70
    for name, value in model.state_dict().items():
        expected = torch.zeros_like(value) if name.startswith("ctc.") else average[name].half().to(value.dtype)
        assert torch.equal(value, expected), name

    assert restore(tmp_path / "small.npz", tmp_path / "other", "stage") == 70
    assert newest_weights(tmp_path / "other", "stage")[2] == 70
    with pytest.raises(FileExistsError, match="has begun"):
        restore(tmp_path / "small.npz", tmp_path / "other", "stage")
