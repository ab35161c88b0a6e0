from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mini_parakeet.dataset import Item, collate
from mini_parakeet.features import log_mel
from mini_parakeet.grammar import command_candidates
from mini_parakeet.human import best_candidate, channel_signature, spoken_digits
from mini_parakeet.model import MiniParakeet, ModelSettings
from mini_parakeet.tokenizer import Tokenizer
from mini_parakeet.train import losses


def test_digits_are_cut_by_their_index_and_late_takes_held_out(tmp_path: Path) -> None:
    folder = tmp_path / "spoken-digits"
    folder.mkdir()
    audio = np.arange(100) / 200
    soundfile.write(folder / "someone.flac", audio, 8000)
    (folder / "someone.tsv").write_text("digit\ttake\tstart_sample\tsamples\n0\t0\t0\t40\n7\t49\t40\t60\n")
    zero, seven = spoken_digits(tmp_path, "someone")
    assert (zero.text, zero.held_out, len(zero.samples)) == ("Zero.", False, 40)
    assert (seven.text, seven.held_out, len(seven.samples)) == ("Seven.", True, 60)
    assert seven.samples[0] == pytest.approx(0.2, abs=1e-3)


def test_forced_scoring_finds_the_text_that_the_model_was_taught(tokenizer: Tokenizer) -> None:
    """A model overfitted on one utterance prefers its text to every other candidate of the same slots."""
    torch.manual_seed(0)
    model = MiniParakeet(ModelSettings(tokenizer.size, width=32, layers=1, channels=8, prediction=16, joint=24))
    candidates = list(command_candidates({"coffeeDrink": "latte", "roast": "dark roast", "size": "large"}))
    wanted = candidates[len(candidates) // 2]
    samples = (np.random.default_rng(0).standard_normal(32_000) * 0.1).astype(np.float32)
    batch = collate([Item(log_mel(samples), tokenizer.encode(wanted))], tokenizer)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        losses(model, batch, 0.5).total.backward()
        optimizer.step()
    model.eval()
    text, margin = best_candidate(model, tokenizer, samples, candidates)
    assert text == wanted
    assert margin > 0


def test_a_signature_hears_the_channel_and_not_the_level() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(32_000).astype(np.float32) * np.repeat(rng.uniform(0.1, 1, 20), 1600).astype(np.float32)
    dull = np.convolve(noise, np.ones(8) / 8, "same").astype(np.float32)
    plain, quiet, other = (channel_signature(samples) for samples in (noise, noise * 0.1, dull))
    assert np.linalg.norm(plain - quiet) < 0.1 * np.linalg.norm(plain - other)
