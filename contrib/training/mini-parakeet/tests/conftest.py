"""A tiny untrained model and tokenizer, made once; data and synthesizers are never needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mini_parakeet.corpus import Clip, write_corpus
from mini_parakeet.export import export
from mini_parakeet.model import MiniParakeet, ModelSettings
from mini_parakeet.tokenizer import Tokenizer, train_tokenizer


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mini")


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> Tokenizer:
    return train_tokenizer(folder / "tokenizer.model")


@pytest.fixture(scope="session")
def talkative(tokenizer: Tokenizer) -> MiniParakeet:
    """Random weights, with a head that emits tokens, blanks and every duration about as often as a trained one."""
    torch.manual_seed(4)
    settings = ModelSettings(tokenizer.size, width=32, layers=2, channels=8, prediction=16, joint=24)
    model = MiniParakeet(settings)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(1.5)
        head = model.decoder.out[2]
        head.weight.mul_(6)
        head.bias[tokenizer.size] += 2.0
    model.eval()
    return model


@pytest.fixture(scope="session")
def exported(folder: Path, talkative: MiniParakeet, tokenizer: Tokenizer) -> Path:
    export(talkative, tokenizer, folder / "export")
    return folder / "export"


@pytest.fixture(scope="session")
def corpora(folder: Path) -> Path:
    """A few noises that pass for clips."""
    rng = np.random.default_rng(0)
    texts = ["Open the file.", "Seven.", "Can I get a mocha?", "Five six."]
    clips = [Clip((rng.standard_normal(8000) * 0.1).astype(np.float32), text, "noise:a") for text in texts]
    write_corpus(folder / "corpus" / "train-noise", clips)
    digits = [Clip((rng.standard_normal(3000) * 0.1).astype(np.float32), "Seven.", "digits:a") for _ in range(5)]
    write_corpus(folder / "corpus" / "digits-a", digits)
    return folder / "corpus"
