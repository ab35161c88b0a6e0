"""Human prompts that nothing is trained on: the words that this model knows out of Asterisk's, one woman's at 8 kHz.

They are in Debian's `asterisk-core-sounds-en` (the texts) and `asterisk-core-sounds-en-wav`, unpacked into one folder.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from mini_parakeet.corpus import SAMPLE_RATE, Samples
from mini_parakeet.grammar import DIGITS, VOCABULARY, bare_words
from mini_parakeet.synthesis import to_clip_rate

TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
JOINED = 40
GAP_S = 0.12


@dataclass(frozen=True, slots=True)
class HumanPrompt:
    words: tuple[str, ...]
    """In lower case, without marks."""
    samples: Samples


def human_prompts(folder: Path) -> list[HumanPrompt]:
    """All prompts whose words are known. Raises FileNotFoundError where the packages aren't unpacked."""
    known = {word.lower() for word in VOCABULARY}
    prompts = []
    with gzip.open(folder / TEXTS, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, separator, text = line.partition(":")
            path = folder / SOUNDS / f"{name.strip()}.wav"
            words = tuple(bare_words(text.partition("[")[0]))
            if separator and words and known.issuperset(words) and path.exists():
                audio, rate = soundfile.read(path, dtype="float32")
                prompts.append(HumanPrompt(words, to_clip_rate(audio, rate)))
    return prompts


def single_digits(prompts: list[HumanPrompt]) -> list[HumanPrompt]:
    return [prompt for prompt in prompts if len(prompt.words) == 1 and prompt.words[0] in DIGITS]


def joined_prompts(prompts: list[HumanPrompt]) -> list[HumanPrompt]:
    """Forty strings of two to five prompts, as telephone exchanges join them, always the same ones."""
    rng = np.random.default_rng(21)
    gap = np.zeros(int(GAP_S * SAMPLE_RATE), np.float32)
    result = []
    for _ in range(JOINED):
        chosen = [prompts[int(index)] for index in rng.integers(len(prompts), size=int(rng.integers(2, 6)))]
        samples = np.concatenate([piece for prompt in chosen for piece in (prompt.samples, gap)])
        result.append(HumanPrompt(tuple(word for prompt in chosen for word in prompt.words), samples))
    return result
