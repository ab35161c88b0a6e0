"""Other texts for the same audio, from the bundled model."""

import math
from pathlib import Path

import pytest

from coldvoxd.core.decoding_options import DecodingOptions
from coldvoxd.core.features import log_mel
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.values import Precision, Token
from coldvoxd.engines.parakeet.alternatives import alternatives_of
from coldvoxd.engines.parakeet.beam import Found
from coldvoxd.engines.parakeet.decoder import CutDecoder, WholeDecoder
from coldvoxd.engines.parakeet.decoding import TransducerDecoding
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.vocabulary import Vocabulary
from coldvoxd.models import find_model
from coldvoxd.native.opening import open_session
from tests.support.models.family import write_ctc, write_rnnt
from tests.support.models.internals import decoder_of, transducer_of
from tests.support.sound.speech import mini, samples

CLIPS = samples()[:6]


@pytest.fixture(scope="module", params=[Precision.FP32, Precision.INT8], ids=str)
def recognizer(request: pytest.FixtureRequest) -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(mini()), request.param), threads=1)


def test_others_are_less_probable_texts_and_change_nothing_else(recognizer: ParakeetRecognizer) -> None:
    found = 0
    for clip in CLIPS:
        plain, asked = (recognizer.recognize_samples(clip.wave(), alternatives=count) for count in (0, 3))
        assert plain.alternatives == ()
        assert (asked.text, asked.tokens, asked.words) == (plain.text, plain.tokens, plain.words)
        texts = [other.text for other in asked.alternatives]
        shares = [other.share for other in asked.alternatives]
        assert len(texts) <= 3
        assert len({asked.text, *texts}) == len(texts) + 1
        assert shares == sorted(shares, reverse=True)
        assert all(0 < share < 1 for share in shares)
        assert sum(shares) < 1
        found += len(texts)
    assert found > len(CLIPS)


def test_a_beam_says_what_greedy_decoding_says_where_that_is_right(recognizer: ParakeetRecognizer) -> None:
    beamed = ParakeetRecognizer.open(
        find_model(str(mini()), recognizer.precision), threads=1, options=DecodingOptions(beam_size=4)
    )
    for clip in CLIPS:
        assert beamed.recognize_samples(clip.wave()).text == recognizer.recognize_samples(clip.wave()).text


def test_audio_without_words_has_no_alternatives(recognizer: ParakeetRecognizer) -> None:
    assert recognizer.recognize_samples(CLIPS[0].wave() * 0, alternatives=3).alternatives == ()


def test_both_forms_of_the_decoder_search_alike_to_the_last_bit(recognizer: ParakeetRecognizer) -> None:
    """Going back to a state gives the scores that were there."""
    files = find_model(str(mini()), recognizer.precision)
    assert isinstance(decoder_of(recognizer), CutDecoder)
    whole = TransducerDecoding(
        WholeDecoder(open_session(files.decoder[0], threads=1), recognizer.vocabulary.blank),
        recognizer.vocabulary.blank,
        10,
    )
    for clip in CLIPS[:2]:
        encoded = recognizer.encode(log_mel(clip.wave(), recognizer.features_size))
        assert whole.search(encoded, 4) == transducer_of(recognizer).search(encoded, 4)


def test_an_rnnt_has_a_beam_too(tmp_path: Path) -> None:
    files = find_model(str(write_rnnt(tmp_path / "model")), Precision.FP32)
    greedy, beamed = (
        ParakeetRecognizer.open(files, threads=1, options=DecodingOptions(beam_size)) for beam_size in (1, 4)
    )
    assert beamed.kind is ModelKind.RNNT
    for clip in CLIPS:
        one, other = (model.recognize_samples(clip.wave(), alternatives=2) for model in (greedy, beamed))
        assert one.text == other.text == clip.said
        assert other.alternatives
        assert [word.text for word in one.words] == [word.text for word in other.words]
        assert all(token.duration_frames <= 4 for token in other.tokens)


def test_a_ctc_model_has_no_alternatives_and_ignores_the_beam(tmp_path: Path) -> None:
    files = find_model(str(write_ctc(tmp_path / "model")), Precision.FP32)
    plain, warm = (
        ParakeetRecognizer.open(files, threads=1, options=options)
        for options in (DecodingOptions(), DecodingOptions(beam_size=4, temperature=2.0))
    )
    one, other = (model.recognize_samples(CLIPS[1].wave(), alternatives=2) for model in (plain, warm))
    assert one.text == other.text
    assert one.alternatives == other.alternatives == ()
    assert other.confidence < one.confidence


def test_a_temperature_changes_confidences_only(recognizer: ParakeetRecognizer) -> None:
    files = find_model(str(mini()), recognizer.precision)
    confident = []
    for temperature in (1.0, 2.0):
        warm = ParakeetRecognizer.open(files, threads=1, options=DecodingOptions(temperature=temperature))
        found = [warm.recognize_samples(clip.wave()) for clip in CLIPS[:3]]
        assert [one.text for one in found] == [recognizer.recognize_samples(clip.wave()).text for clip in CLIPS[:3]]
        confident.append([one.confidence for one in found])
    assert all(low < high for high, low in zip(*confident, strict=True))


def test_equal_texts_are_one_and_the_shares_are_of_all() -> None:
    vocabulary = Vocabulary(("\u2581a", "b", "<unk>", "<blk>"))

    def found(share: float, *ids: int) -> Found:
        return Found(tuple(Token(number, 0, 1, -0.1) for number in ids), math.log(share))

    sequences = [found(0.4, 0), found(0.2, 0, 1), found(0.1, 0, 2, 1), found(0.1)]
    [other] = alternatives_of(sequences, "a", vocabulary)
    assert other.text == "ab"
    assert other.share == pytest.approx(0.3 / 0.8)
    assert alternatives_of([], "a", vocabulary) == ()


def test_texts_with_the_same_words_are_one() -> None:
    vocabulary = Vocabulary(("\u2581a", "b", ".", "\u2581A", "<blk>"))

    def found(share: float, *ids: int) -> Found:
        return Found(tuple(Token(number, 0, 1, -0.1) for number in ids), math.log(share))

    sequences = [found(0.3, 0), found(0.2, 3, 2), found(0.15, 0, 1), found(0.1, 3, 1, 2), found(0.25, 0, 1, 2)]
    [other] = alternatives_of(sequences, "a.", vocabulary)
    assert other.text == "ab."
    assert other.share == pytest.approx(0.5)


def test_the_first_of_several_is_the_one_that_is_asked_for_alone(recognizer: ParakeetRecognizer) -> None:
    for clip in CLIPS:
        one, three = (recognizer.recognize_samples(clip.wave(), alternatives=count).alternatives for count in (1, 3))
        assert one == three[:1]
