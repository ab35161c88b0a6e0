from __future__ import annotations

import numpy as np
import pytest

from mini_parakeet.composition import (
    LONGEST_PAUSE_S,
    SHORTEST_PAUSE_S,
    Composed,
    Shares,
    Writer,
    after_pause,
    continued,
    fragment,
    half,
    joined,
    next_sentence,
    part,
    pause_s,
    restarted,
    room_tone,
    shortened,
    shuffled,
    with_pauses,
)
from mini_parakeet.corpus import SAMPLE_RATE, Clip, Samples

WORD = 3_200


def spoken(text: str, breaks: tuple[int, ...] = ()) -> Clip:
    """Each word a steady level of its own: 0.1, 0.2, ..."""
    words = text.split()
    samples = np.repeat(np.arange(1, len(words) + 1), WORD).astype(np.float32) / 10
    return Clip(samples, text, "test:a", cuts=tuple(WORD * index for index in range(1, len(words))), breaks=breaks)


CLIP = spoken("Send the report to Peter.")
NEXT = spoken("Open it.")


def levels(samples: Samples) -> list[int]:
    """The words that are heard, by number, each time one begins."""
    heard = np.round(samples[100:-100] * 10).astype(int)
    steps = [int(heard[0]), *heard[1:][np.diff(heard) != 0].tolist()]
    return [step for index, step in enumerate(steps) if step in range(1, 10) and steps[index - 1 : index] != [step]]


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_pause_inside_a_sentence_keeps_its_words_and_its_text() -> None:
    said = with_pauses(CLIP, rng(), 0.9, [2])
    assert said.text == CLIP.text
    assert len(said.samples) == len(CLIP.samples) + int(0.9 * SAMPLE_RATE)
    np.testing.assert_array_equal(said.samples[: WORD * 2 - 200], CLIP.samples[: WORD * 2 - 200])
    assert float(np.abs(said.samples[WORD * 2 : WORD * 2 + int(0.9 * SAMPLE_RATE)]).max()) < 0.5


def test_a_pause_between_sentences_keeps_both_texts() -> None:
    said = joined([CLIP, NEXT], rng(), 0.6)
    assert said.text == "Send the report to Peter. Open it."
    assert len(said.samples) == len(CLIP.samples) + len(NEXT.samples) + int(0.6 * SAMPLE_RATE)


def test_pauses_last_from_three_tenths_of_a_second_to_three() -> None:
    drawn = [pause_s(np.random.default_rng(seed)) for seed in range(300)]
    assert min(drawn) >= SHORTEST_PAUSE_S
    assert max(drawn) <= LONGEST_PAUSE_S
    assert np.median(drawn) == pytest.approx(0.95, abs=0.2)


def test_after_a_pause_the_part_before_it_is_context_without_its_mark() -> None:
    said = after_pause(CLIP, rng(), 3)
    assert (said.context, said.text) == ("Send the report", "to Peter.")
    assert len(said.samples) == 2 * WORD
    said = after_pause(spoken("Call Anna, please."), rng(), 2)
    assert (said.context, said.text) == ("Call Anna", "please.")


def test_the_rest_of_a_sentence_begins_small_but_for_names() -> None:
    assert continued(["Peter", "And"]) == "Peter And"
    assert continued(["Send", "it"]) == "send it"
    assert continued(["I", "need"]) == "I need"


def test_a_new_sentence_keeps_its_capital_after_context() -> None:
    said = next_sentence([CLIP], NEXT)
    assert (said.context, said.text) == ("Send the report to Peter", "Open it.")


@pytest.mark.parametrize("seed", range(25))
def test_a_prefix_has_the_words_that_were_heard_to_the_end_and_no_mark(seed: int) -> None:
    said = shortened(CLIP, Composed(CLIP.samples, CLIP.text), 0, np.random.default_rng(seed))
    words = said.text.split()
    heard = len(said.samples) / WORD
    if len(words) == 5:
        assert said.text == CLIP.text
        return
    assert words == CLIP.text.split()[: len(words)]
    assert len(words) <= heard < len(words) + 0.61
    assert said.ends or heard == len(words)


def test_a_fragment_begins_with_a_capital_and_ends_without_a_mark_unless_it_is_the_end() -> None:
    texts = {fragment(CLIP, np.random.default_rng(seed)).text for seed in range(60)}
    assert {"To Peter.", "The", "Report"} <= texts
    assert all(text[0].isupper() for text in texts)
    assert all(text.endswith(".") == text.endswith("Peter.") for text in texts)


def test_a_half_is_one_side_of_a_pause_and_only_the_end_has_a_mark() -> None:
    texts = {half(CLIP, np.random.default_rng(seed)).text for seed in range(200)}
    words = CLIP.text.split()
    heads = {" ".join(words[:place]) for place in range(1, 5)}
    tails = {" ".join([words[place].capitalize(), *words[place + 1 :]]) for place in range(1, 5)}
    assert texts == heads | tails


def test_a_restart_writes_every_word() -> None:
    said = restarted(CLIP, rng())
    words = said.text.split()
    assert words[-5:] == "send the report to Peter.".split()
    assert words[: len(words) - 5] == CLIP.text.split()[: len(words) - 5]


def test_shuffled_words_are_those_that_are_heard() -> None:
    said = shuffled([CLIP, NEXT], rng())
    known = "send the report to Peter open it".split()
    assert all(word.rstrip(".") in [*known, *(w.capitalize() for w in known)] for word in said.text.split())
    assert said.text[0].isupper()


def test_room_tone_has_the_level_of_the_quietest_moments() -> None:
    generator = rng()
    samples = (generator.standard_normal(16_000) * 0.01).astype(np.float32)
    samples[4_000:12_000] += generator.standard_normal(8_000).astype(np.float32)
    tone = room_tone(samples, 8_000, generator)
    assert tone.shape == (8_000,)
    assert np.sqrt(np.mean(tone**2)) == pytest.approx(0.01, rel=0.3)
    assert not room_tone(np.zeros(16_000, np.float32), 100, generator).any()


def test_parts_add_up_to_the_clip() -> None:
    assert sum(len(part(CLIP, index, index + 1)) for index in range(5)) == len(CLIP.samples)
    assert levels(part(CLIP, 1, 3)) == [2, 3]


def test_everything_that_is_composed_is_finite_and_has_words_the_clip_has() -> None:
    writer = Writer(Shares(), np.random.default_rng(5))
    known = {word.strip(".").lower() for clip in (CLIP, NEXT) for word in clip.text.split()}
    contexts = 0
    for _ in range(400):
        said = writer.compose([CLIP, NEXT])
        assert np.isfinite(said.samples).all()
        assert {word.strip(".").lower() for word in said.text.split()} <= known
        contexts += bool(said.context)
    assert 30 < contexts < 100


def test_a_clip_without_known_cuts_stays_whole_unless_others_follow() -> None:
    clip = Clip(CLIP.samples, CLIP.text, "test:a")
    writer = Writer(Shares(), np.random.default_rng(1))
    assert all(writer.compose([clip]).text == CLIP.text for _ in range(50))
    assert {writer.compose([Clip(CLIP.samples, "", "test:a")]).text for _ in range(50)} == {""}
