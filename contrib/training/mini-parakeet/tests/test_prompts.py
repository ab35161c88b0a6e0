from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import soundfile

from mini_parakeet.prompts import SOUNDS, TEXTS, human_prompts, joined_prompts, single_digits


def test_prompts_whose_words_are_all_known_are_read_and_joined(tmp_path: Path) -> None:
    (tmp_path / SOUNDS / "digits").mkdir(parents=True)
    (tmp_path / TEXTS).parent.mkdir(parents=True)
    texts = "; a comment\ndigits/4: four\nvm-youhave: You have...\nat: at [@]\nunknown: Password\nmissing: five\n"
    (tmp_path / TEXTS).write_bytes(gzip.compress(texts.encode()))
    for name in ("digits/4", "vm-youhave", "at", "unknown"):
        soundfile.write(tmp_path / SOUNDS / f"{name}.wav", np.full(800, 0.1), 8_000)
    prompts = human_prompts(tmp_path)
    assert [prompt.words for prompt in prompts] == [("four",), ("you", "have"), ("at",)]
    assert all(len(prompt.samples) == 1_600 for prompt in prompts)
    assert [prompt.words for prompt in single_digits(prompts)] == [("four",)]
    joined = joined_prompts(prompts)
    assert len(joined) == 40
    assert {word for prompt in joined for word in prompt.words} <= {"four", "you", "have", "at"}
