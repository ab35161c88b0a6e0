from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mini_parakeet.composition import Shares
from mini_parakeet.corpus import Clip, Corpus, write_corpus
from mini_parakeet.dataset import (
    BatchLimits,
    BatchStream,
    Composer,
    Item,
    Mixture,
    Speakers,
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


def test_tight_items_have_no_silence_around_them(corpora: Path, tokenizer: Tokenizer) -> None:
    def mean_frames(tight_share: float) -> float:
        mixture = Mixture({"digits": 1.0}, chain_share=0.0, empty_share=0.0, tight_share=tight_share)
        composer = Composer(corpora, mixture, tokenizer, np.random.default_rng(0))
        return float(np.mean([composer.items()[0].features.shape[1] for _ in range(60)]))

    assert mean_frames(1.0) < 0.8 * mean_frames(0.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_digits_are_joined_to_numbers_by_their_share(share: float, corpora: Path, tokenizer: Tokenizer) -> None:
    mixture = Mixture({"digits": 1.0}, chain_share=0.0, empty_share=0.0, digit_run_share=share)
    composer = Composer(corpora, mixture, tokenizer, np.random.default_rng(0))
    one = len(tokenizer.encode("Seven."))
    items = [composer.items()[0] for _ in range(20)]
    assert all((len(item.tokens) > one) == bool(share) for item in items)


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


def test_context_stands_apart_from_what_must_be_written(tokenizer: Tokenizer) -> None:
    features = np.ones((128, 40), np.float32)
    batch = collate([Item(features, [1, 2], context=(7, 8, 9)), Item(features, [3])], tokenizer)
    assert batch.targets.tolist() == [[1, 2], [3, 0]]
    assert batch.contexts.tolist() == [[7, 8, 9], [0, 0, 0]]
    assert batch.context_lengths.tolist() == [3, 0]


def test_a_corpus_that_appears_later_is_heard(corpora: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_corpus(tmp_path / "first", [Clip(np.ones(8_000, np.float32), "Seven.", "a:b")])
    composer = Composer(tmp_path, Mixture({"first": 1.0, "second": 1.0}), tokenizer, np.random.default_rng(0))
    assert composer.names == ["first"]
    write_corpus(tmp_path / "second", [Clip(np.ones(8_000, np.float32), "Eight.", "a:b")])
    composer.refresh()
    assert composer.names == ["first", "second"]


def test_followers_are_the_clips_that_were_made_in_one_go(tmp_path: Path) -> None:
    noise = np.ones(8_000, np.float32)
    clips = [Clip(noise, f"Number {index}.", "a:b", f"job {index // 2}") for index in range(4)]
    write_corpus(tmp_path / "some", clips)
    corpus = Corpus(tmp_path / "some")
    speakers = Speakers(corpus)
    rng = np.random.default_rng(0)
    assert [clip.text for clip in speakers.others(corpus, 0, rng)] == ["Number 1."]
    assert len(speakers.others(corpus, 1, rng)) == 2


def test_composed_items_carry_context_and_every_word_has_its_tokens(tmp_path: Path, tokenizer: Tokenizer) -> None:
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    write_corpus(tmp_path / "some", [Clip(samples, "Send it now.", "a:b", cuts=(4_000, 9_000)) for _ in range(3)])
    mixture = Mixture({"some": 1.0}, chain_share=0, empty_share=0, shares=Shares(), noise_floor_share=0.5)
    composer = Composer(tmp_path, mixture, tokenizer, np.random.default_rng(0))
    items = [item for _ in range(80) for item in composer.items()]
    assert {tokenizer.decode(list(item.context)) for item in items} >= {"", "Send", "Send it", "Send it now"}
    assert {"it now.", "now.", "Send it"} <= {tokenizer.decode(item.tokens) for item in items}
