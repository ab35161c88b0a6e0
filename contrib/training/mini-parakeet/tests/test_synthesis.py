from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest

from mini_parakeet.grammar import DIGITS, VOCABULARY, bare_words, held_out_sentences
from mini_parakeet.synthesis import (
    ESPEAK_HELD_OUT,
    FESTIVAL_HELD_OUT,
    FLITE_HELD_OUT,
    TRAINING_COUNTS,
    UNKNOWN_WORDS,
    alone_jobs,
    evaluation_jobs,
    jobs_for,
    salad_jobs,
    style_weights,
    to_clip_rate,
    trimmed,
    unknown_word_jobs,
)


@pytest.mark.parametrize("engine", [*TRAINING_COUNTS, "kokoro"])
def test_held_out_voices_and_sentences_are_never_trained(engine: str) -> None:
    held_out = set(held_out_sentences())
    for job in islice(jobs_for(engine, 500, "test"), 500):
        voice = str(job.settings["voice"])
        assert voice.split("+")[-1] not in ESPEAK_HELD_OUT
        assert voice not in (FLITE_HELD_OUT, *FESTIVAL_HELD_OUT)
        assert job.prompt.text not in held_out


def test_salad_repeats_no_held_out_sentence() -> None:
    held_out = set(held_out_sentences())
    assert all(job.prompt.text not in held_out for job in salad_jobs("espeak", 2500, "0"))


def test_digits_alone_are_few_and_no_held_out_sentence() -> None:
    held_out = set(held_out_sentences())
    lengths = []
    for job in alone_jobs("espeak", 1500, "0"):
        words = bare_words(job.prompt.text)
        assert set(words) <= set(DIGITS)
        assert job.prompt.text not in held_out
        lengths.append(len(words))
    assert set(lengths) == {1, 2, 3}
    assert lengths.count(1) > len(lengths) / 2


def test_jobs_are_the_same_every_time() -> None:
    assert list(jobs_for("pico", 30, "0")) == list(jobs_for("pico", 30, "0"))
    assert {name: len(jobs) for name, jobs in evaluation_jobs().items()} == {
        "sentences-seen-voices": 150,
        "sentences-unseen-espeak": 300,
        "unseen-flite": 60,
        "unseen-festival": 60,
        "salad": 150,
        "new-vocabulary": 150,
    }


def test_unknown_words_are_unknown_and_written_as_nothing() -> None:
    assert not set(UNKNOWN_WORDS) & set(VOCABULARY)
    assert all(job.prompt.text == "" for job in unknown_word_jobs(20, "0"))


def test_mixed_styles_keep_the_weight_of_one_voice() -> None:
    for seed in range(50):
        assert sum(style_weights(random.Random(seed))) == pytest.approx(1.0, abs=1e-3)


def test_outer_silence_is_cut_and_the_level_set() -> None:
    samples = np.zeros(16_000, np.float32)
    samples[6_000:9_000] = 0.1
    cut = trimmed(samples)
    assert len(cut) == 480 + 3_000 + 959
    assert np.abs(cut).max() == pytest.approx(0.8)
    assert len(trimmed(np.zeros(100, np.float32))) == 0


def test_rates_are_converted_to_16_khz() -> None:
    assert len(to_clip_rate(np.zeros(22_050), 22_050)) == 16_000
    assert len(to_clip_rate(np.zeros(8_000), 8_000)) == 16_000
