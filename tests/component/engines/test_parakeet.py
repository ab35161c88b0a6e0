"""The recognizer on scripted graphs and on the bundled model: defined results, rejected input, named faults."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.errors import InputFault, ModelInvalid, OutputNotFinite, ProviderFault, ProviderUnavailable
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import EndReason, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.models.tiny_graphs import Fault, write_tiny_parakeet
from tests.support.sound.speech import mini, samples

SECOND = np.random.default_rng(0).normal(0.0, 0.1, 16_000).astype(np.float32)


def opened(directory: Path, precision: Precision = Precision.FP32) -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(directory), precision), threads=1)


@pytest.fixture(scope="module", params=[Precision.FP32, Precision.INT8], ids=str)
def recognizer(request: pytest.FixtureRequest) -> Iterator[ParakeetRecognizer]:
    recognizer = opened(mini(), request.param)
    yield recognizer
    recognizer.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_parakeet(tmp_path / "tiny")


def test_the_recognizer_fits_the_seam(tiny: Path) -> None:
    recognizer: Recognizer = opened(tiny)
    hypothesis = recognizer.recognize(Utterance(1, 1, 0, SECOND, EndReason.ENDPOINT))
    assert hypothesis.text == "Hello, world."
    assert hypothesis.provider == recognizer.provider == "CPUExecutionProvider"
    assert hypothesis.inference_s > 0


def test_words_have_their_times_and_confidence(tiny: Path) -> None:
    hello, world = opened(tiny).recognize_samples(SECOND).words
    assert (hello.text, world.text) == ("Hello,", "world.")
    assert (hello.start_s, hello.end_s, world.start_s, world.end_s) == pytest.approx((0.0, 0.24, 0.24, 0.56))
    assert 0.9 < hello.confidence <= 1.0


def test_config_limits_the_tokens_of_one_frame(tmp_path: Path) -> None:
    script = [("a", 0), ("b", 0), ("c", 0), ("d", 1)]
    recognizer = opened(write_tiny_parakeet(tmp_path / "tiny", script, max_tokens_per_step=2))
    assert [token.encoder_frame for token in recognizer.recognize_samples(SECOND).tokens] == [0, 0, 1, 1]


def test_control_pieces_are_tokens_but_never_text(tmp_path: Path) -> None:
    hypothesis = opened(write_tiny_parakeet(tmp_path / "v3", [("<|en|>", 1), ("▁Ja", 1)])).recognize_samples(SECOND)
    assert (hypothesis.text, len(hypothesis.tokens), len(hypothesis.words)) == ("Ja", 2, 1)


@pytest.mark.parametrize("count", [0, 1, 160, 319, 16_000, 60 * 16_000])
def test_exact_silence_of_any_length_is_no_text(recognizer: ParakeetRecognizer, count: int) -> None:
    hypothesis = recognizer.recognize_samples(np.zeros(count, dtype=np.float32))
    assert (hypothesis.text, hypothesis.tokens, hypothesis.words, hypothesis.confidence) == ("", (), (), 0.0)


@pytest.mark.parametrize("count", [1, 160, 319])
def test_less_than_two_columns_are_no_text(recognizer: ParakeetRecognizer, count: int) -> None:
    assert recognizer.recognize_samples(SECOND[:count]).tokens == ()


@pytest.mark.parametrize("count", [320, 321, 640, 1279, 1280, 1281])
def test_the_shortest_audio_that_the_model_takes_gives_a_result(recognizer: ParakeetRecognizer, count: int) -> None:
    assert recognizer.recognize_samples(SECOND[:count]).confidence <= 1.0


def test_a_minute_of_speech_is_heard_to_its_end(recognizer: ParakeetRecognizer) -> None:
    waves = [sample.wave() for sample in samples()]
    minute = np.concatenate(waves * 2)[: 60 * 16_000]
    hypothesis = recognizer.recognize_samples(minute)
    assert len(hypothesis.words) > 60
    assert hypothesis.words[-1].end_s == pytest.approx(60, abs=3)
    assert all(a.start_s <= a.end_s <= 60 for a in hypothesis.words)
    assert [word.start_s for word in hypothesis.words] == sorted(word.start_s for word in hypothesis.words)


def test_the_same_audio_gives_the_same_hypothesis_every_time(recognizer: ParakeetRecognizer) -> None:
    wave = with_exact_silence(samples()[2].wave(), before=4000, after=6400)
    first, second = recognizer.recognize_samples(wave), recognizer.recognize_samples(wave)
    assert first.tokens == second.tokens


def with_exact_silence(wave: npt.NDArray[np.float32], before: int, after: int) -> npt.NDArray[np.float32]:
    return np.concatenate((np.zeros(before, np.float32), wave, np.zeros(after, np.float32)))


def test_exact_silence_around_speech_loses_no_sentence(recognizer: ParakeetRecognizer) -> None:
    """Losses are counted over all sentences, since new weights may recognize single sentences differently."""
    heard = [
        (recognizer.recognize_samples(with_exact_silence(sample.wave(), 8000, 6400)).text, sample.said)
        for sample in samples()
    ]
    assert all(text for text, _ in heard)
    assert sum(text == said for text, said in heard) >= 0.9 * len(heard)


@pytest.mark.parametrize(
    ("audio", "sample_rate", "complaint"),
    [
        (SECOND, 44_100, "44100 Hz.*resample"),
        (SECOND.astype(np.float64), 16_000, "float64"),
        ((SECOND * 32767).astype(np.int16), 16_000, "int16.*divided by 32768"),
        (SECOND.reshape(2, -1), 16_000, r"shape \(2, 8000\).*one channel"),
        (np.where(np.arange(16_000) == 9000, np.float32(np.nan), SECOND), 16_000, "NaN"),
        (np.where(np.arange(16_000) == 9000, np.float32(np.inf), SECOND), 16_000, "infinite"),
        (np.zeros(401 * 16_000, dtype=np.float32), 16_000, "401 s.*cut it"),
        ([0.0] * 16_000, 16_000, "list"),
    ],
)
def test_audio_that_no_model_could_take_is_refused(
    tiny: Path, audio: npt.NDArray[np.float32], sample_rate: int, complaint: str
) -> None:
    with pytest.raises(InputFault, match=complaint):
        opened(tiny).recognize_samples(audio, sample_rate)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("nan", OutputNotFinite),
        ("nan-encoder", OutputNotFinite),
        ("raise", ProviderFault),
        ("raise-decoder", ProviderFault),
    ],
)
def test_a_model_that_fails_at_run_time_is_the_providers_fault(
    tmp_path: Path, fault: Fault, error: type[ProviderFault]
) -> None:
    recognizer = opened(write_tiny_parakeet(tmp_path / "tiny", fault=fault))
    with pytest.raises(error, match="another provider"):
        recognizer.recognize_samples(SECOND)


def test_a_closed_recognizer_says_so(tiny: Path) -> None:
    recognizer = opened(tiny)
    recognizer.close()
    with pytest.raises(ProviderFault, match="closed"):
        recognizer.recognize_samples(SECOND)


def test_a_vocabulary_of_another_model_is_noticed(tiny: Path) -> None:
    shutil.copy(mini() / "vocab.txt", tiny / "vocab.txt")
    with pytest.raises(
        ModelInvalid, match=r"decoder_joint-model\.onnx scores 10 classes, but the vocabulary has 385 lines"
    ):
        opened(tiny)


def test_an_encoder_for_other_features_is_noticed(tiny: Path) -> None:
    (tiny / "config.json").write_text('{"features_size": 128}')
    with pytest.raises(ModelInvalid, match=r"takes 80 features, but config\.json beside it says 128"):
        opened(tiny)


def test_an_encoder_of_another_model_is_noticed(tiny: Path) -> None:
    shutil.copy(mini() / "encoder-model.onnx", tiny / "encoder-model.onnx")
    (tiny / "config.json").write_text('{"features_size": 128}')
    with pytest.raises(ModelInvalid, match=r"gives 128 values a frame, but decoder_joint-model\.onnx takes 1"):
        opened(tiny)


def test_graphs_of_another_layout_are_noticed(tiny: Path) -> None:
    shutil.copy(tiny / "encoder-model.onnx", tiny / "decoder_joint-model.onnx")
    with pytest.raises(
        ModelInvalid, match="is not the decoder_joint of a Parakeet transducer: it lacks encoder_outputs"
    ):
        opened(tiny)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "cannot be read"),
        ("[" * 20_000, "cannot be read .it is nested too deeply"),
        ("[]", "JSON object"),
        (
            '{"model_type": "whisper"}',
            "has a Whisper model: config.json says model_type 'whisper'.*coldvoxd runs offline",
        ),
        ('{"features_size": "80"}', "features_size is '80'"),
        ('{"max_tokens_per_step": 0}', "max_tokens_per_step is 0"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(tiny: Path, content: str, complaint: str) -> None:
    (tiny / "config.json").write_text(content)
    with pytest.raises(ModelInvalid, match=complaint):
        opened(tiny)


def test_without_a_config_the_features_have_80_bins(tiny: Path) -> None:
    assert json.loads((tiny / "config.json").read_text())["features_size"] == 80
    (tiny / "config.json").unlink()
    assert opened(tiny).recognize_samples(SECOND).text == "Hello, world."


def test_a_provider_that_is_not_there_is_never_replaced(tiny: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="warp"):
        ParakeetRecognizer.open(find_model(str(tiny), Precision.FP32), "warp")
