"""Split utterances: no audio is lost between the pieces, and times remain correct."""

from dataclasses import replace

import numpy as np
import pytest

from coldvoxd.core.audible_noise import RMS
from coldvoxd.core.values import EndReason, Hypothesis, Overlap, Token, Utterance, Word
from coldvoxd.recognition.substitute import in_audio_of
from coldvoxd.recognition.utterance_split import PADDING_SAMPLES, joined, moved_back, quietest_sample, split, varied


def speech(seconds: float, pause_at_s: float = 0.0) -> Utterance:
    samples = np.random.default_rng(1).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
    if pause_at_s:
        samples[int(pause_at_s * 16_000) :][:1600] *= 0.01
    return Utterance(7, 3, 1000, samples, EndReason.ENDPOINT)


def heard(text: str, confidence: float = 0.5) -> Hypothesis:
    return Hypothesis(text, (Token(1, 2, 1, -0.7),), (Word(text, 0.2, 0.5, 0.5),), confidence, "cpu", 0.25)


def test_the_cut_falls_into_the_pause() -> None:
    at = quietest_sample(speech(4.0, pause_at_s=2.5).samples)
    assert 2.5 * 16_000 <= at <= 2.6 * 16_000


def test_two_pieces_hold_every_sample_once_and_keep_the_number() -> None:
    utterance = speech(4.0, pause_at_s=1.5)
    pieces = split(utterance)
    assert pieces is not None
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), utterance.samples)
    assert [piece.id for piece in pieces] == [7, 7]
    assert pieces[1].start_sample == 1000 + len(pieces[0].samples)


def test_the_pieces_of_a_part_have_its_overlap() -> None:
    before = (Word("one", -0.5, 1.0, 0.9),)
    utterance = replace(speech(4.0, pause_at_s=1.5), overlap=Overlap(8000, 4000, before))
    pieces = split(utterance)
    assert pieces is not None
    assert [piece.overlap for piece in pieces] == [Overlap(8000, 0), Overlap(0, 4000)]
    assert pieces[0].overlap.before == before
    inside = split(replace(utterance, overlap=Overlap(40_000, 20_000, before)))
    assert inside is not None
    cut = len(inside[0].samples)
    assert [piece.overlap for piece in inside] == [
        Overlap(cut, cut - 44_000 if cut > 44_000 else 0),
        Overlap(40_000 - cut, 20_000),
    ]
    (moved,) = inside[1].overlap.before or ()
    assert (moved.start_s, moved.end_s) == (-0.5 - cut / 16_000, 1.0 - cut / 16_000)


def test_varied_audio_has_the_same_own_part() -> None:
    before = (Word("one", 0.0, 0.5, 0.9),)
    part = replace(speech(4.0), overlap=Overlap(8000, 4000, before))
    other = varied(part)
    assert (other.own_start_sample, other.own_end_sample) == (part.own_start_sample, part.own_end_sample)
    shift_s = PADDING_SAMPLES / 16_000
    assert other.overlap.before == (Word("one", shift_s, 0.5 + shift_s, 0.9),)
    assert varied(speech(4.0)).overlap == Overlap()


def test_an_engine_without_overlap_hears_the_own_part_and_its_times_are_those_of_all_audio() -> None:
    part = replace(speech(4.0), overlap=Overlap(8000, 4000), speech=((0, 10_000), (50_000, 64_000)))
    own = part.without_overlap()
    assert (own.start_sample, len(own.samples), own.overlap) == (1000 + 8000, 52_000, Overlap())
    assert own.speech == ((0, 2000), (42_000, 52_000))
    assert own.samples[0] == part.samples[8000]
    assert (part.speech_start_sample, part.speech_end_sample) == (9000, 61_000)
    word = in_audio_of(part, heard("one")).words[0]
    assert (word.start_s, word.end_s) == (0.7, 1.0)
    plain = speech(4.0)
    assert plain.without_overlap() is plain


def test_a_word_or_two_are_not_taken_apart() -> None:
    assert split(speech(1.0)) is None


def test_times_of_the_second_piece_count_from_the_first() -> None:
    both = joined(heard("one"), heard("two"), 32_000)
    assert both.text == "one two"
    assert [word.start_s for word in both.words] == [0.2, 2.2]
    assert [token.encoder_frame for token in both.tokens] == [2, 27]
    assert both.confidence == pytest.approx(0.5)


def test_a_piece_without_words_adds_nothing() -> None:
    assert joined(heard("one"), Hypothesis("", (), (), 0.0, "cpu", 0.1), 32_000).confidence == pytest.approx(0.5)


def test_varied_audio_has_the_same_speech_with_noise_and_times_go_back() -> None:
    utterance = speech(1.0)
    other = varied(utterance)
    inside = other.samples[PADDING_SAMPLES:-PADDING_SAMPLES]
    assert np.std(inside - utterance.samples) == pytest.approx(RMS, rel=0.1)
    shift_s = PADDING_SAMPLES / 16_000
    hypothesis = Hypothesis("one", (), (Word("one", 0.2 + shift_s, 0.5 + shift_s, 0.5),), 0.5, "cpu", 0.25)
    word = moved_back(hypothesis, 1.0).words[0]
    assert (word.start_s, word.end_s) == pytest.approx((0.2, 0.5))
