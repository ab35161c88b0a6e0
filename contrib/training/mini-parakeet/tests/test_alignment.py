from __future__ import annotations

import numpy as np

from mini_parakeet.alignment import EMITTED_AFTER_S, aligned, cuts_of, quietest
from mini_parakeet.corpus import SAMPLE_RATE
from mini_parakeet.model import MiniParakeet
from mini_parakeet.tokenizer import Tokenizer


def test_the_quietest_moment_is_found() -> None:
    samples = np.full(8_000, 0.5, np.float32)
    samples[3_000:3_200] = 0.0
    assert 3_050 <= quietest(samples, 2_000, 4_000) <= 3_150
    assert 0 <= quietest(samples, 7_950, 9_000) < 8_000


def test_cuts_lie_at_the_quietest_moment_near_the_beginning_of_a_word() -> None:
    samples = np.full(SAMPLE_RATE, 0.5, np.float32)
    samples[7_900:8_100] = 0.0
    (cut,) = cuts_of(samples, [0.1, 0.5 + EMITTED_AFTER_S])
    assert 7_900 <= cut <= 8_100


def test_a_clip_that_is_not_recognized_as_its_text_gets_no_cuts(talkative: MiniParakeet, tokenizer: Tokenizer) -> None:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    assert aligned(talkative, tokenizer, noise, "Send the report.") == ()


def test_a_clip_has_no_cuts_where_a_word_would_be_shorter_than_any_is() -> None:
    samples = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * np.float32(0.1)
    assert cuts_of(samples, [0.1, 0.4, 0.7])
    for starts_s in ([0.1, 0.4, 0.405], [0.0, -0.1, 0.5], [0.4, 1.04]):
        assert cuts_of(samples, starts_s) == (), starts_s
