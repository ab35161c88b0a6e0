from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mini_parakeet import deepen
from mini_parakeet.checkpoint import load_model, save
from mini_parakeet.deepen import SILENCED, deepened
from mini_parakeet.model import MiniParakeet, ModelSettings


def trained() -> MiniParakeet:
    """A model whose layer norms and batch norms aren't at their initial values, as after training."""
    torch.manual_seed(3)
    model = MiniParakeet(ModelSettings(6, width=8, layers=2, heads=2, prediction=8, joint=8))
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    for layer in model.encoder.layers:
        layer.convolution.norm.running_mean += torch.randn(8)
        layer.convolution.norm.running_var *= 1.7
    return model.eval()


def outputs(model: MiniParakeet) -> torch.Tensor:
    torch.manual_seed(4)
    encoded: torch.Tensor = model.encoder(torch.randn(2, 128, 90), torch.tensor([90, 61]))[0]
    return encoded


def test_a_new_layer_changes_nothing_at_first() -> None:
    model = trained()
    weights, settings = deepened(model.state_dict(), model.settings.as_dict())
    assert settings == {**model.settings.as_dict(), "layers": 3}
    deeper = MiniParakeet(ModelSettings(**settings))
    deeper.load_state_dict(weights)
    torch.testing.assert_close(outputs(deeper.eval()), outputs(model), rtol=1e-3, atol=1e-3)


def test_a_new_layer_learns_from_the_first_step() -> None:
    model = trained()
    weights, settings = deepened(model.state_dict(), model.settings.as_dict())
    deeper = MiniParakeet(ModelSettings(**settings))
    deeper.load_state_dict(weights)
    outputs(deeper.eval()).square().sum().backward()
    parameters = dict(deeper.encoder.layers[2].named_parameters())
    assert all(parameters[name].grad.abs().max() > 0 for name in SILENCED)


def test_a_checkpoint_gets_a_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    save(tmp_path / "five.pt", {"model": model.state_dict(), "settings": model.settings.as_dict(), "steps": 9})
    monkeypatch.setattr("sys.argv", ["deepen", "five", "six", "--work", str(tmp_path)])
    deepen.main()
    assert load_model(tmp_path / "six.pt").settings.layers == 3
    assert load_model(tmp_path / "five.pt").settings.layers == 2
