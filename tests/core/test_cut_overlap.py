"""The overlap at a cut by length: which words each part publishes."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from coldvoxd.core.cut_overlap import LEAD_S, TAIL_S, last_words, lead_samples, moved, own_words
from coldvoxd.core.seams import spelled
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Overlap, Utterance, Word

LEAD, TAIL = round(LEAD_S * SAMPLE_RATE), round(TAIL_S * SAMPLE_RATE)
FRAME_S = 0.08


def words(*timed: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(Word(text, begin_s, end_s, 1.0) for text, begin_s, end_s in timed)


def part(start_s: float, end_s: float, overlap: Overlap, number: int = 1) -> Utterance:
    samples = np.zeros(round((end_s - start_s) * SAMPLE_RATE), np.float32)
    return Utterance(number, 1, round(start_s * SAMPLE_RATE), samples, EndReason.LENGTH, overlap=overlap)


def recognized(all_words: tuple[Word, ...], utterance: Utterance) -> Hypothesis:
    """Return what the utterance publishes of words whose times count from sample 0."""
    begin_s, end_s = utterance.start_sample / SAMPLE_RATE, utterance.start_sample / SAMPLE_RATE + utterance.duration_s
    inside = [word for word in all_words if begin_s <= (word.start_s + word.end_s) / 2 < end_s]
    heard = moved(inside, -begin_s)
    begin, end = own_words(heard, utterance.overlap, len(utterance.samples))
    own = heard[begin:end]
    return Hypothesis(" ".join(word.text for word in own), (), own, 1.0, "CPU", 0.0)


def jittered(all_words: tuple[Word, ...], random: Random, frames: int) -> tuple[Word, ...]:
    """Return the words at times that differ by at most that many frames, and with the marks and cases of another text."""
    found = []
    for word in all_words:
        shift = random.randint(-frames, frames) * FRAME_S
        text = random.choice([word.text, word.text.capitalize(), f"{word.text}.", f"{word.text},"])
        found.append(replace(word, text=text, start_s=word.start_s + shift, end_s=word.end_s + shift))
    return tuple(sorted(found, key=lambda word: word.start_s))


def speech(random: Random, vocabulary: str, shortest_s: float) -> tuple[Word, ...]:
    made, now_s = [], 0.0
    while now_s < 20:
        length_s = random.uniform(shortest_s, shortest_s + 0.4)
        made.append((random.choice(vocabulary), now_s, now_s + length_s))
        now_s += length_s + random.choice([0.0, 0.0, 0.05, 0.3])
    return words(*made)


@pytest.mark.parametrize(("frames", "vocabulary", "shortest_s"), [(2, "ab", 0.26), (3, "abcdefghijkl", 0.34)])
def test_where_both_parts_have_the_same_words_none_is_lost_or_doubled(
    frames: int, vocabulary: str, shortest_s: float
) -> None:
    """Times differ by at most that many frames. Also words that are repeated, and wherever the cut falls, within a word too."""
    random = Random(frames)
    for _ in range(2000):
        said = speech(random, vocabulary, shortest_s)
        cut_s = random.uniform(8, 12)
        first = part(0, cut_s + TAIL_S, Overlap(0, TAIL))
        before = recognized(jittered(said, random, frames // 2), first)
        known = moved(last_words(first, before), LEAD_S - cut_s)
        second = part(cut_s - LEAD_S, 21, Overlap(LEAD, 0, known))
        after = recognized(jittered(said, random, frames - frames // 2), second)
        assert spelled(before.text + after.text) == "".join(word.text for word in said)


def test_without_the_words_before_the_times_decide() -> None:
    said = words(("one", 0.9, 1.3), ("two", 1.3, 1.6), ("three", 1.6, 2.0))
    assert own_words(said, Overlap(LEAD, 0), 5 * SAMPLE_RATE) == (2, 3)
    assert own_words(said, Overlap(LEAD, 0, ()), 5 * SAMPLE_RATE) == (0, 3), "known to have none"
    assert own_words(said, Overlap(0, SAMPLE_RATE), round(2.6 * SAMPLE_RATE)) == (0, 2)
    assert own_words(said, Overlap(), 5 * SAMPLE_RATE) == (0, 3)


def test_a_last_word_that_was_recognized_as_another_is_not_published_twice() -> None:
    before = words(("open", 0.4, 0.7), ("the", 0.7, 0.9), ("file", 0.9, 1.3))
    said = words(("The", 0.7, 0.9), ("while", 0.95, 1.3), ("and", 1.4, 1.6), ("print", 1.6, 1.9))
    assert own_words(said, Overlap(LEAD, 0, before), 5 * SAMPLE_RATE) == (2, 4)


def test_words_that_the_earlier_part_did_not_recognize_are_published() -> None:
    before = words(("open", -0.4, -0.1))
    said = words(("the", 0.4, 0.6), ("file", 0.6, 1.0), ("and", 1.6, 1.9))
    assert own_words(said, Overlap(LEAD, 0, before), 5 * SAMPLE_RATE) == (0, 3)


def test_of_a_repeated_word_the_one_is_dropped_that_was_published() -> None:
    before = words(("no", 0.5, 0.7), ("no", 0.8, 1.0), ("no", 1.1, 1.3))
    said = words(("no", 0.66, 0.86), ("no", 0.96, 1.16), ("no", 1.26, 1.46), ("no", 1.56, 1.8))
    assert own_words(said, Overlap(LEAD, 0, before), 5 * SAMPLE_RATE) == (3, 4)


def test_the_lead_of_a_short_maximum_length_is_short() -> None:
    assert lead_samples(20) == LEAD
    assert lead_samples(3) == 0.75 * SAMPLE_RATE


def test_the_last_words_are_at_least_one_and_their_times_count_from_sample_0() -> None:
    utterance = part(10, 21, Overlap(LEAD, TAIL))
    said = words(("early", 2.0, 2.5), ("late", 5.0, 5.5))
    hypothesis = Hypothesis("early late", (), said, 1.0, "CPU", 0.0)
    assert last_words(utterance, hypothesis) == words(("late", 15.0, 15.5))
    assert last_words(utterance, replace(hypothesis, words=())) == ()
