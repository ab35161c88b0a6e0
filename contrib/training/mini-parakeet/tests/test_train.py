from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mini_parakeet import train
from mini_parakeet.dataset import Item, Mixture, collate
from mini_parakeet.human import SPEAKERS
from mini_parakeet.model import MiniParakeet, ModelSettings
from mini_parakeet.tokenizer import Tokenizer


def test_the_learning_rate_rises_then_falls_to_nearly_nothing() -> None:
    stage = train.STAGES["base"]
    assert train.learning_rate(stage, 0.0, 0) < stage.peak_rate / 100
    assert train.learning_rate(stage, 0.1, stage.warmup) == pytest.approx(stage.peak_rate, rel=0.05)
    assert train.learning_rate(stage, 1.0, stage.steps) == pytest.approx(0.02 * stage.peak_rate)


def test_no_stage_hears_the_speaker_it_leaves_out() -> None:
    for speaker in SPEAKERS:
        assert train.STAGES[f"without-{speaker}"].mixture.excluded == (f"digits-{speaker}",)
    assert {speaker for pair in train.PAIRS_LEFT_OUT for speaker in pair} == set(SPEAKERS)
    for pair in train.PAIRS_LEFT_OUT:
        stage = train.STAGES["without-" + "-".join(pair)]
        assert set(stage.mixture.excluded) == {f"digits-{speaker}" for speaker in pair}
    for name in ("easy", "base", "commands"):
        assert "digits" not in train.STAGES[name].mixture.sources


def test_an_average_is_the_mean_of_all_steps_and_later_of_about_the_last(tokenizer: Tokenizer) -> None:
    model = MiniParakeet(ModelSettings(tokenizer.size))
    name, weight = next(iter(model.named_parameters()))
    average = train.Average(model, steps=4)
    for value in (1.0, 2.0, 3.0):
        weight.data.fill_(value)
        average.take(model)
    assert average.weights[name].mean().item() == pytest.approx(2.0)
    again = train.Average(model, steps=4)
    again.resume(average.weights, 3)
    weight.data.fill_(10.0)
    for _ in range(40):
        again.take(model)
    assert again.weights[name].mean().item() == pytest.approx(10.0, abs=0.01)


@pytest.mark.parametrize("flat_start", [True, False])
def test_a_stage_trains_saves_and_resumes(
    monkeypatch: pytest.MonkeyPatch, folder: Path, corpora: Path, tokenizer: Tokenizer, flat_start: bool
) -> None:
    averages = 0 if flat_start else 2
    mixture = Mixture({"train-noise": 1.0}, flat_start=flat_start)
    stage = train.Stage(mixture, steps=2, peak_rate=1e-3, averages_steps=averages)
    name = f"tiny-{flat_start}"
    monkeypatch.setitem(train.STAGES, name, stage)
    monkeypatch.setattr(train, "quick_check", lambda *_: "")
    train.run_stage(0, 1, name, folder, None, None, None)
    stored = torch.load(folder / f"{name}.pt", weights_only=True)
    assert stored["steps"] == 2

    monkeypatch.setitem(train.STAGES, "next", replace(stage, starts_from=name, steps=1))
    train.run_stage(0, 1, "next", folder, None, None, None)
    followed = torch.load(folder / "next.pt", weights_only=True)
    assert followed["model"].keys() == stored["model"].keys()
    (folder / "next.pt").unlink()


def test_the_prediction_network_reads_context_first_and_its_outputs_begin_after_it(
    talkative: MiniParakeet, tokenizer: Tokenizer
) -> None:
    features = np.ones((128, 40), np.float32)
    items = [Item(features, [5, 6], context=(7, 8, 9)), Item(features, [3])]
    batch = collate(items, tokenizer)
    with torch.no_grad():
        predicted = train.predicted_after_context(talkative, batch)
        for row, item in enumerate(items):
            whole = torch.tensor([[talkative.decoder.blank, *item.context, *item.tokens]])
            expected = talkative.decoder.predict(whole)[0][0, len(item.context) :]
            torch.testing.assert_close(predicted[row, : len(expected)], expected)


def test_a_file_shortens_a_stage_while_it_runs(tmp_path: Path) -> None:
    assert train.wanted_steps(tmp_path / "steps", 9) == 9
    (tmp_path / "steps").write_text("4\n", encoding="utf-8")
    assert train.wanted_steps(tmp_path / "steps", 9) == 4
    (tmp_path / "steps").write_text("four", encoding="utf-8")
    assert train.wanted_steps(tmp_path / "steps", 9) == 9


def test_round_four_hears_context_and_no_evaluation_set() -> None:
    mixture = train.STAGES["paused"].mixture
    assert mixture.shares is not None
    assert mixture.shares.after + mixture.shares.following == pytest.approx(0.15)
    assert not any(name.startswith("eval") for name in mixture.sources)
