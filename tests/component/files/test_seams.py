"""The text of a recording whose pieces are joined by seams, or overlap."""

from dataclasses import replace

import numpy as np
import pytest

from coldvoxd.core.seams import LastTokens, SeamFinding, SeamMethod, SeamRules
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Utterance, Word
from coldvoxd.files.transcription import _Text

CONTINUES = SeamFinding(continues=True, lowers=True)


def piece(number: int, start_s: float, end_s: float) -> Utterance:
    """Return a piece that is speech throughout."""
    samples = np.full(round((end_s - start_s) * SAMPLE_RATE), 0.1, np.float32)
    speech = ((0, len(samples)),)
    return Utterance(number, 0, round(start_s * SAMPLE_RATE), samples, EndReason.LENGTH, speech=speech)


def said(text: str, seam: SeamFinding | None = None) -> Hypothesis:
    """Return a text with a word each second."""
    words = tuple(Word(word, float(at), at + 0.8, 0.9) for at, word in enumerate(text.split()))
    return Hypothesis(text, (), words, 0.9, "cpu", 0.1, last_tokens=LastTokens("v", (1,)), seam=seam)


def add(text: _Text, part: Utterance, hypothesis: Hypothesis) -> None:
    text.add(replace(part, context=text.context_of(part)), hypothesis)


def test_a_sentence_that_continues_in_the_next_piece_is_one_sentence_also_in_its_words() -> None:
    text = _Text(SeamRules(SeamMethod.WINDOW), keeps_words=True)
    add(text, piece(0, 0, 3), said("I would like."))
    add(text, piece(1, 4, 6), said("To order.", CONTINUES))
    add(text, piece(2, 7, 9), said("Two beers.", SeamFinding(continues=False, mark="?")))
    assert text.joined == "I would like to order? Two beers."
    assert [word.text for word in text.words] == ["I", "would", "like", "to", "order?", "Two", "beers."]


def test_after_a_long_pause_a_sentence_begins() -> None:
    text = _Text(SeamRules(SeamMethod.WINDOW), keeps_words=True)
    add(text, piece(0, 0, 3), said("I would like."))
    add(text, piece(1, 6, 8), said("To order.", CONTINUES))
    assert text.joined == "I would like. To order."
    assert [word.text for word in text.words][2:4] == ["like.", "To"]


@pytest.mark.parametrize("method", [SeamMethod.WINDOW, SeamMethod.OFF])
def test_pieces_that_overlap_are_joined_by_their_words_and_have_no_seam(method: SeamMethod) -> None:
    text = _Text(SeamRules(method), keeps_words=True)
    add(text, piece(0, 0, 5), said("Please read this report on."))
    overlapping = piece(1, 3, 6)
    assert text.context_of(overlapping) is None
    add(text, overlapping, said("Report on Friday."))
    assert text.joined == "Please read this report on Friday."
    assert [word.text for word in text.words] == ["Please", "read", "this", "report", "on", "Friday."]


def test_switched_off_texts_are_joined_by_spaces_as_they_are() -> None:
    text = _Text(SeamRules(), keeps_words=True)
    add(text, piece(0, 0, 3), said("I would like."))
    add(text, piece(1, 4, 6), said("To order.", CONTINUES))
    assert text.joined == "I would like. To order."
