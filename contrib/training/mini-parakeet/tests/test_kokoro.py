from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mini_parakeet.grammar import DIGITS, Prompt, bare_words, held_out_sentences
from mini_parakeet.kokoro import (
    ENGLISH,
    FOREIGN,
    STYLE_WIDTH,
    STYLES,
    UNHEARD,
    Spoken,
    Utterance,
    clips_of,
    digit_utterances,
    drawn_weights,
    mixed_style,
    unheard_utterances,
    utterances,
    with_break,
)


def test_unheard_voices_take_no_part_in_training_and_no_held_out_sentence_is_spoken() -> None:
    held_out = set(held_out_sentences())
    assert not set(UNHEARD) & {*ENGLISH, *FOREIGN}
    for utterance in utterances(300, "test"):
        assert not set(UNHEARD) & {*utterance.timbre, *utterance.prosody}
        assert all(prompt.text not in held_out for prompt in utterance.prompts)


def test_digits_are_spoken_by_the_voices_of_training_up_to_three_at_a_time() -> None:
    held_out = set(held_out_sentences())
    prompts = []
    for utterance in digit_utterances(40):
        assert not set(UNHEARD) & {*utterance.timbre, *utterance.prosody}
        prompts += utterance.prompts
    assert all(prompt.text not in held_out and prompt.spoken == prompt.text for prompt in prompts)
    words = [bare_words(prompt.text) for prompt in prompts]
    assert {len(said) for said in words} == {1, 2, 3}
    assert {word for said in words for word in said} == set(DIGITS)


def test_the_evaluation_has_thirty_held_out_sentences_of_each_unheard_voice() -> None:
    chosen = list(unheard_utterances())
    assert len(chosen) == 120
    assert {name for utterance in chosen for name in utterance.timbre} == set(UNHEARD)
    assert {utterance.prompts[0].text for utterance in chosen} <= set(held_out_sentences())


def test_shares_of_a_mixture_add_up_to_one() -> None:
    for seed in range(100):
        weights = drawn_weights(random.Random(seed))
        assert sum(weights.values()) == pytest.approx(1.0)
        assert len(weights) <= 3


def test_styles_are_mixed_by_their_shares_timbre_and_prosody_apart(tmp_path: Path) -> None:
    for name, value in (("first", 1.0), ("second", 3.0)):
        np.full((STYLES, STYLE_WIDTH), value, np.float32).tofile(tmp_path / f"{name}.bin")
    utterance = Utterance((), {"first": 0.5, "second": 0.5}, {"second": 1.0}, 1.0)
    style = mixed_style(tmp_path, utterance, 40)
    assert style.shape == (1, STYLE_WIDTH)
    assert set(style[0, :128]) == {2.0}
    assert set(style[0, 128:]) == {3.0}


def test_a_break_is_spoken_and_not_written() -> None:
    broken = [with_break(random.Random(seed), "Send the report.") for seed in range(20)]
    assert {prompt.text for prompt in broken} == {"Send the report."}
    assert {prompt.spoken for prompt in broken} >= {"Send, the report.", "Send the, report."}
    assert with_break(random.Random(0), "Seven.").spoken == "Seven."


def test_an_utterance_is_cut_apart_where_its_words_end() -> None:
    prompts = (Prompt("Send it.", "Send, it."), Prompt("Seven.", "Seven."))
    samples = np.zeros(24_000, np.float32)
    samples[4_000:8_000] = samples[8_800:10_000] = samples[16_000:20_000] = 0.4
    gaps = [[(0, 4_000), (8_000, 8_800), (10_000, 16_000)], [(10_000, 16_000), (20_000, 24_000)]]
    first, second = clips_of(Utterance(prompts, {"voice": 1.0}, {}, 1.0), Spoken(samples, gaps), "source")
    assert (first.text, first.breaks, second.text, second.cuts) == ("Send it.", (0,), "Seven.", ())
    assert len(first.samples) == 6_000 + 2 * 640 - 1
    assert first.cuts == (4_400 + 640,)
    assert len(second.samples) == 4_000 + 2 * 640 - 1
    assert float(np.abs(first.samples).max()) == pytest.approx(0.8)


def test_a_prompt_whose_words_are_not_its_phonemes_is_left_out() -> None:
    utterance = Utterance((Prompt("Send it.", "Send it."),), {"voice": 1.0}, {}, 1.0)
    assert list(clips_of(utterance, Spoken(np.ones(16_000, np.float32), [[]]), "")) == []
