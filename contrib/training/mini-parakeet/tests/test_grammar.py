from __future__ import annotations

import random
from itertools import islice

import pytest

from mini_parakeet.grammar import (
    DICTATION_WORDS,
    VOCABULARY,
    bare_words,
    command,
    command_candidates,
    command_slots,
    held_out_sentences,
    telephone_number,
    training_prompts,
)


def test_the_first_model_had_124_words_and_all_of_them_stay() -> None:
    assert len(DICTATION_WORDS) == 124
    assert set(DICTATION_WORDS) <= set(VOCABULARY)


def test_prompts_use_no_word_outside_the_vocabulary_and_no_held_out_sentence() -> None:
    known = {word.lower() for word in VOCABULARY}
    held_out = set(held_out_sentences())
    for prompt in islice(training_prompts(random.Random(3)), 2000):
        assert set(bare_words(prompt.text)) <= known
        assert prompt.text[0].isupper()
        assert prompt.text[-1] in ".?"
        assert prompt.text not in held_out


def test_every_word_of_the_vocabulary_is_trained() -> None:
    seen = {word for prompt in islice(training_prompts(random.Random(5)), 6000) for word in bare_words(prompt.text)}
    assert {word.lower() for word in VOCABULARY} <= seen


def test_telephone_numbers_are_written_without_their_pauses() -> None:
    for seed in range(50):
        number = telephone_number(random.Random(seed))
        assert bare_words(number.text) == bare_words(number.spoken)
        assert "," not in number.text


@pytest.mark.parametrize("seed", range(40))
def test_an_order_is_among_the_candidates_of_its_own_slots(seed: int) -> None:
    text = command(random.Random(seed))
    assert text in set(command_candidates(command_slots(text)))


def test_medium_alone_is_a_size_and_before_roast_a_roast() -> None:
    assert command_slots("Get me a medium roast latte.") == {"roast": "medium roast", "coffeeDrink": "latte"}
    both = {"size": "medium", "roast": "medium roast", "coffeeDrink": "iced coffee"}
    assert command_slots("Get me a medium medium roast iced coffee.") == both


def test_what_is_no_order_fills_no_slot() -> None:
    assert command_slots("Open the file.") == {}
