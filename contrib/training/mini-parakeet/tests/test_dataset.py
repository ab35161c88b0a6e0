from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mini_parakeet.dataset import (
    BatchLimits,
    BatchStream,
    Composer,
    Item,
    Mixture,
    assumed_alignment,
    collate,
)
from mini_parakeet.model import encoder_frames
from mini_parakeet.tokenizer import Tokenizer

LIMITS = BatchLimits(frames=2000, lattice=20_000, items=6, pool=20)


def first_batches(corpora: Path, tokenizer_model: Path, seed: int) -> list[torch.Tensor]:
    mixture = Mixture({"train-noise": 1.0, "digits": 1.0})
    batches = iter(BatchStream(corpora, mixture, tokenizer_model, seed, LIMITS))
    return [next(batches).features for _ in range(3)]


def test_the_same_seed_gives_the_same_batches(corpora: Path, folder: Path, tokenizer: Tokenizer) -> None:
    once, again, other = (first_batches(corpora, folder / "tokenizer.model", seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(once, other, strict=True))


def test_batches_stay_within_their_limits(corpora: Path, folder: Path, tokenizer: Tokenizer) -> None:
    batches = iter(BatchStream(corpora, Mixture({"train-noise": 1.0}), folder / "tokenizer.model", 3, LIMITS))
    for _ in range(8):
        batch = next(batches)
        assert len(batch.frames) <= LIMITS.items
        assert torch.isfinite(batch.features).all()


def test_an_excluded_corpus_is_never_heard(corpora: Path, tokenizer: Tokenizer) -> None:
    mixture = Mixture({"train-noise": 1.0, "digits": 1.0}, excluded=("digits-a",))
    composer = Composer(corpora, mixture, tokenizer, np.random.default_rng(0))
    assert list(composer.groups) == ["train-noise"]


def test_a_mixture_without_any_corpus_is_refused(corpora: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(FileNotFoundError, match="no corpora"):
        Composer(corpora, Mixture({"nothing": 1.0}), tokenizer, np.random.default_rng(0))


def test_the_assumed_alignment_covers_speech_with_its_tokens_in_order(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("Open the file.")
    item = Item(np.zeros((128, 200), np.float32), tokens, speech=(8_000, 24_000))
    alignment = assumed_alignment(item, tokenizer)
    assert len(alignment) == encoder_frames(200)
    spoken = [token for token in alignment if token != tokenizer.size]
    assert spoken == sorted(spoken, key=tokens.index)
    assert alignment[0] == alignment[-1] == tokenizer.size


def test_padding_is_marked_in_a_batch(tokenizer: Tokenizer) -> None:
    items = [Item(np.ones((128, frames), np.float32), [1] * count) for frames, count in ((40, 2), (90, 0))]
    batch = collate(items, tokenizer)
    assert batch.features.shape == (2, 128, 96)
    assert batch.frames.tolist() == [40, 90]
    assert batch.target_lengths.tolist() == [2, 0]
    assert float(batch.features[0, :, 40:].abs().max()) == 0.0
