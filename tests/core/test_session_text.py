"""The text of a session: what the recognizer receives about the earlier utterance, and when a sentence is over."""

from dataclasses import replace

import numpy as np
import pytest

from coldvoxd.core.seams import MARGIN, LastTokens, SeamFinding, SeamMethod, SeamRules
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Overlap, Utterance, Word

RULES = SeamRules(SeamMethod.STATE, longest_pause_s=2.0)
CONTINUES = SeamFinding(continues=True, lowers=True)


def utterance(number: int, start_s: float, *, seconds: float = 1.0) -> Utterance:
    """Return an utterance with speech up to a tenth of a second from its edges."""
    samples = np.full(round(seconds * SAMPLE_RATE), 0.1, np.float32)
    speech = ((SAMPLE_RATE // 10, len(samples) - SAMPLE_RATE // 10),)
    return Utterance(number, 1, round(start_s * SAMPLE_RATE), samples, EndReason.ENDPOINT, speech=speech)


def said(text: str, seam: SeamFinding | None = None) -> Hypothesis:
    return Hypothesis(text, (), (), 0.9, "cpu", 0.1, last_tokens=LastTokens("v", (1, 2)), seam=seam)


def add(text: SessionText, one: Utterance, hypothesis: Hypothesis) -> str:
    """Add an utterance that was recognized with its context, and return its seam."""
    context = text.context_of(one)
    return text.add(
        Utterance(one.id, 1, one.start_sample, one.samples, one.end_reason, speech=one.speech, context=context),
        hypothesis,
    ).seam


def test_the_first_utterance_has_no_context_and_the_next_has_that_of_the_first() -> None:
    text = SessionText(RULES)
    assert text.context_of(utterance(1, 0.0)) is None
    first = utterance(1, 0.0, seconds=1.5)
    add(text, replace(first, speech=((1600, SAMPLE_RATE),)), said("Send it, Peter."))
    context = text.context_of(utterance(2, 2.0))
    assert context is not None
    assert (context.method, context.tokens, context.last_word) == (SeamMethod.STATE, LastTokens("v", (1, 2)), "peter")
    assert len(context.samples) == SAMPLE_RATE + MARGIN


def test_the_part_after_a_cut_receives_the_words_before_it_in_its_own_times() -> None:
    text = SessionText(RULES)
    first = replace(utterance(1, 0.0, seconds=10.0), overlap=Overlap(0, SAMPLE_RATE))
    words = (Word("Send", 1.0, 1.5, 0.9), Word("it", 8.0, 8.5, 0.9))
    second = replace(utterance(2, 8.0, seconds=5.0), overlap=Overlap(SAMPLE_RATE, 0))
    assert text.following(second).overlap.before is None, "nothing was recognized"
    text.add(first, replace(said("Send it"), words=words))
    assert text.following(second).overlap.before == (Word("it", 0.0, 0.5, 0.9),)
    context = text.following(second).context
    assert context is not None
    assert len(context.samples) == 3 * SAMPLE_RATE, "of its own audio, without the tail"
    assert text.following(replace(second, start_sample=0)).overlap.before is None, "another utterance is between"
    assert text.following(utterance(2, 9.0)).overlap.before is None
    text.fail()
    assert text.following(second).overlap.before is None


def test_a_sentence_continues_or_not_as_was_found() -> None:
    text = SessionText(RULES)
    assert add(text, utterance(1, 0.0), said("I would like.")) == ""
    assert add(text, utterance(2, 1.5), said("To order.", CONTINUES)) == " "
    assert add(text, utterance(3, 3.0), said("Two beers.")) == ". "
    assert text.text == "I would like to order. Two beers."


def test_after_a_long_pause_a_sentence_begins_whatever_was_found() -> None:
    text = SessionText(RULES)
    add(text, utterance(1, 0.0), said("I would like."))
    assert text.context_of(utterance(2, 2.9)) is None
    assert add(text, utterance(2, 2.9), said("To order.", CONTINUES)) == ". "


def test_a_sentence_is_over_once_and_then_the_next_one_begins() -> None:
    text = SessionText(RULES)
    assert text.close(100 * SAMPLE_RATE) == 0, "nothing was said"
    add(text, utterance(7, 0.0), said("I would like."))
    assert text.close(round(2.8 * SAMPLE_RATE)) == 0
    assert text.close(round(2.9 * SAMPLE_RATE)) == 7
    assert text.close(round(3.9 * SAMPLE_RATE)) == 0
    # The pre-roll of the next utterance may reach back before that time.
    assert text.context_of(utterance(8, 1.0)) is None
    assert add(text, utterance(8, 1.0), said("To order.", CONTINUES)) == ". "
    assert text.close(round(4.9 * SAMPLE_RATE)) == 8


def test_an_utterance_that_was_recognized_before_the_sentence_was_closed_begins_the_next_one() -> None:
    text = SessionText(RULES)
    add(text, utterance(1, 0.0), said("I would like."))
    later = utterance(2, 1.0)
    context = text.context_of(later)
    text.close(round(2.9 * SAMPLE_RATE))
    later = Utterance(2, 1, later.start_sample, later.samples, later.end_reason, speech=later.speech, context=context)
    assert text.add(later, said("To order.", CONTINUES)).seam == ". "


def test_a_sentence_without_a_mark_that_is_over_gets_a_full_stop_before_the_next_one() -> None:
    text = SessionText(RULES)
    add(text, utterance(1, 0.0), said("Where is the old"))
    assert text.text == "Where is the old"
    assert add(text, utterance(2, 10.0), said("Open the file.")) == ". "
    assert text.text == "Where is the old. Open the file."


def test_after_an_utterance_that_failed_a_sentence_begins() -> None:
    text = SessionText(RULES)
    add(text, utterance(1, 0.0), said("I would like."))
    text.fail()
    assert text.context_of(utterance(3, 1.5)) is None
    assert add(text, utterance(3, 1.5), said("To order.", CONTINUES)) == ". "
    assert text.text == "I would like. To order."


def test_where_seams_are_off_texts_are_joined_by_spaces_as_they_are() -> None:
    text = SessionText(SeamRules())
    for number, words in enumerate(("I would like.", "To order?", "Two")):
        one = utterance(number, 1.5 * number)
        assert text.context_of(one) is None
        seamed = text.add(one, said(words))
        assert (seamed.body, seamed.pending, seamed.seam) == (words, "", " " if number else "")
    assert text.text == "I would like. To order? Two"
    assert text.close(100 * SAMPLE_RATE) == 0


@pytest.mark.parametrize("mark", [".", "?", ""])
def test_the_mark_of_an_earlier_process_is_in_the_first_seam_and_not_in_the_text(mark: str) -> None:
    text = SessionText(RULES, mark)
    assert text.text == ""
    assert add(text, utterance(1, 0.0), said("To order.")) == f"{mark} "
    assert text.text == "To order."
    add(text, utterance(2, 1.5), said("Two beers.", CONTINUES))
    assert text.text == "To order two beers."


def test_nothing_is_left_after_clear() -> None:
    text = SessionText(RULES)
    add(text, utterance(1, 0.0), said("I would like."))
    text.clear()
    assert (text.text, text.context_of(utterance(2, 1.5)), text.close(100 * SAMPLE_RATE)) == ("", None, 0)
