"""A part of speech that was cut publishes its own words, with the bundled model."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from coldvoxd.core.cut_overlap import LEAD_S, TAIL_S, last_words, moved
from coldvoxd.core.decoding_options import DecodingOptions
from coldvoxd.core.edit_distance import edit_distance
from coldvoxd.core.seams import SeamMethod, SeamRules, spelled
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.transcripts import transcript_of
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Overlap, Precision, Utterance, Word
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.sound.speech import samples

LEAD, TAIL = round(LEAD_S * SAMPLE_RATE), round(TAIL_S * SAMPLE_RATE)


@pytest.fixture(scope="module")
def recognizer() -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)


def plain(text: str) -> list[str]:
    return [spelled(word) for word in text.split()]


def parts_of(number: int, offset_s: float) -> tuple[Utterance, Utterance, Utterance]:
    """Return two samples in succession as one utterance, and as two that were cut `offset_s` behind their joint."""
    waves = [samples()[number].wave(), samples()[number + 1].wave()]
    everything = np.concatenate(waves)
    cut = len(waves[0]) + round(offset_s * SAMPLE_RATE)
    lead, tail = min(LEAD, cut), min(TAIL, len(everything) - cut)
    spans = (
        (0, len(everything), Overlap()),
        (0, cut + tail, Overlap(0, tail)),
        (cut - lead, len(everything), Overlap(lead)),
    )
    whole, first, second = (
        Utterance(index, 1, begin, everything[begin:end], EndReason.LENGTH, speech=((0, end - begin),), overlap=overlap)
        for index, (begin, end, overlap) in enumerate(spans)
    )
    return whole, first, second


def dictated(recognizer: ParakeetRecognizer, method: SeamMethod, *parts: Utterance) -> list[str]:
    """Return the words of a session with these parts."""
    text = SessionText(SeamRules(method))
    for part in parts:
        asked = text.following(part)
        found = recognizer.recognize(asked)
        assert [word.text for word in found.words] == found.text.split()
        assert (found.seam is not None) <= (asked.context is not None)
        if found.text:
            text.add(asked, found)
    return plain(text.text)


@pytest.mark.parametrize("method", [SeamMethod.STATE, SeamMethod.WINDOW, SeamMethod.OFF])
def test_both_parts_together_have_the_words_of_the_whole(recognizer: ParakeetRecognizer, method: SeamMethod) -> None:
    """Also where the cut is within a word. Near silence the model itself is now and then wrong, with any audio."""
    words, wrong, wrong_without = 0, 0, 0
    for number in range(0, 22, 3):
        for offset_s in (-1.1, -0.8, -0.5, 0.5):
            whole, first, second = parts_of(number, offset_s)
            said = plain(recognizer.recognize(whole).text)
            words += len(said)
            wrong += edit_distance(dictated(recognizer, method, first, second), said)
            apart = dictated(recognizer, method, first.without_overlap(), second.without_overlap())
            wrong_without += edit_distance(apart, said)
    assert words > 200
    assert wrong <= 0.03 * words
    assert wrong < wrong_without


def test_speech_without_words_in_the_overlap_is_no_hole(recognizer: ParakeetRecognizer) -> None:
    noise = np.random.default_rng(1).normal(0, 0.003, 3 * SAMPLE_RATE).astype(np.float32)
    wave = np.concatenate((noise, samples()[1].wave()))
    utterance = Utterance(1, 1, 0, wave, EndReason.STOP, speech=((0, len(wave)),))
    assert recognizer.recognize(utterance).holes == 1
    assert recognizer.recognize(replace(utterance, overlap=Overlap(len(noise)))).holes == 0


def test_other_texts_are_of_the_own_part(recognizer: ParakeetRecognizer) -> None:
    options = DecodingOptions(beam_size=8)
    searching = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1, options=options)
    others = 0
    for number in range(0, 22, 3):
        _, first, second = parts_of(number, 0.0)
        before = recognizer.recognize(first)
        known = moved(last_words(first, before), -second.start_sample / SAMPLE_RATE)
        second = replace(second, overlap=replace(second.overlap, before=known), alternatives=3)
        found = searching.recognize(second)
        for other in found.alternatives:
            others += 1
            assert plain(other.text) != plain(found.text)
            assert abs(len(plain(other.text)) - len(plain(found.text))) <= 3
    searching.close()
    assert others


def test_words_that_only_the_part_before_the_cut_recognized_are_not_lost(recognizer: ParakeetRecognizer) -> None:
    """The part after the cut does not hear them here; otherwise it may lack the context for them."""
    found = 0
    for number in range(0, 22, 2):
        _, first, second = parts_of(number, 0.0)
        text = SessionText(SeamRules(SeamMethod.OFF))
        before = recognizer.recognize(first)
        text.add(first, before)
        asked = text.following(second)
        if not before.behind:
            continue
        found += 1
        heard = asked.samples.copy()
        until = round((asked.overlap.behind[-1][0].end_s + 0.2) * SAMPLE_RATE)
        heard[:until] = np.random.default_rng(3).normal(0, 1e-4, until)
        kept = [word.text for word, _ in before.behind]
        after = recognizer.recognize(replace(asked, samples=heard))
        assert after.text.split()[: len(kept)] == kept
        alone = recognizer.recognize(replace(asked, samples=heard, overlap=replace(asked.overlap, behind=())))
        assert after.text.split()[len(kept) :] == alone.text.split()
        times = [word.start_s for word in after.words]
        assert times == sorted(times)
        assert len(after.tokens) > len(alone.tokens)
        # What the second part recognizes itself is not doubled.
        own = plain(recognizer.recognize(replace(asked, overlap=replace(asked.overlap, behind=()))).text)
        both = plain(recognizer.recognize(asked).text)
        extra = both[: len(both) - len(own)]
        assert both == [*extra, *own]
        assert extra == plain(" ".join(kept))[: len(extra)]
    assert found >= 5


def test_words_behind_a_cut_of_another_vocabulary_are_not_taken(recognizer: ParakeetRecognizer) -> None:
    _, first, second = parts_of(0, 0.0)
    behind = recognizer.recognize(first).behind
    assert behind
    (word, tokens), size = behind[0], 384
    for ids in ([token.id + size for token in tokens], [(token.id + 1) % size for token in tokens]):
        other = (word, tuple(replace(token, id=number) for token, number in zip(tokens, ids, strict=True)))
        overlap = replace(second.overlap, before=(), behind=((replace(word, start_s=0.1, end_s=0.2), other[1]),))
        plainly = replace(second, overlap=replace(overlap, behind=()))
        assert recognizer.recognize(replace(second, overlap=overlap)).text == recognizer.recognize(plainly).text


def test_times_of_words_stay_in_their_utterance_and_in_order(recognizer: ParakeetRecognizer) -> None:
    for number in range(0, 22, 3):
        for offset_s in (-0.8, -0.3, 0.0, 0.3):
            _, first, second = parts_of(number, offset_s)
            text = SessionText(SeamRules(SeamMethod.OFF))
            published: list[Word] = []
            for part in (first, second):
                asked = text.following(part)
                found = recognizer.recognize(asked)
                transcript = transcript_of(
                    asked,
                    found,
                    session_start_sample=0,
                    with_words=True,
                    latency_s=0.0,
                    seamed=text.add(asked, found),
                )
                assert all(
                    transcript.start_s <= word.start_s <= word.end_s <= transcript.end_s for word in transcript.words
                )
                published += transcript.words
            assert all(one.end_s <= other.start_s + 0.081 for one, other in pairwise(published))
