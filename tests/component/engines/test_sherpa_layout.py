"""Models in sherpa-onnx's layout: three graphs and tokens.txt. They give sherpa-onnx's tokens."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx
import pytest
from onnx import helper

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.models.family import (
    heard_frames,
    prefer_no_duration,
    replay,
    write_rnnt,
    write_sherpa,
    write_tdt,
    write_with_bins,
)
from tests.support.models.peers import heard_by_sherpa, open_sherpa, pieces_of
from tests.support.sound.speech import samples

MODELS: dict[str, Callable[[Path], Path]] = {
    "TDT": write_tdt,
    "RNN-T": write_rnnt,
    "TDT that repeats tokens": lambda directory: prefer_no_duration(write_tdt(directory)),
    "RNN-T that repeats tokens": partial(write_rnnt, fitted=False),
}


def opened(directory: Path) -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(directory), Precision.FP32), threads=1)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_frames_give_the_tokens_of_the_peer(name: str, tmp_path: Path) -> None:
    directory = write_sherpa(tmp_path / "sherpa", MODELS[name](tmp_path / "model"), numbered=True)
    wave = samples()[0].wave()
    tokens = 0
    for frames in heard_frames()[:6]:
        replay(directory, frames)
        ours = opened(directory)
        heard = pieces_of(ours, ours.recognize_samples(wave).tokens)
        assert heard == heard_by_sherpa(open_sherpa(directory), wave)[1]
        tokens += len(heard)
        ours.close()
    assert tokens > (100 if "repeats" in name else 30)


@pytest.mark.parametrize("numbered", [False, True], ids=["named states", "numbered states"])
@pytest.mark.parametrize("write", [write_tdt, write_rnnt])
def test_it_gives_the_tokens_of_the_same_weights_in_the_other_layout(
    write: Callable[[Path], Path], numbered: bool, tmp_path: Path
) -> None:
    model = write(tmp_path / "model")
    sherpa, other = opened(write_sherpa(tmp_path / "sherpa", model, numbered=numbered)), opened(model)
    assert (sherpa.kind, sherpa.features_size) == (other.kind, 128)
    for sample in samples():
        assert sherpa.recognize_samples(sample.wave()).tokens == other.recognize_samples(sample.wave()).tokens


def test_a_recording_gives_the_text_of_the_peer(tmp_path: Path) -> None:
    """Its features are computed in another way, so a token may come a frame earlier or later."""
    directory = write_sherpa(tmp_path / "sherpa", write_tdt(tmp_path / "model"))
    ours, peer = opened(directory), open_sherpa(directory)
    for sample in samples():
        assert ours.recognize_samples(sample.wave()).text == heard_by_sherpa(peer, sample.wave())[0]


def test_the_metadata_has_what_no_configuration_says(tmp_path: Path) -> None:
    model = write_with_bins(tmp_path / "model", write_tdt, 80)
    directory = write_sherpa(tmp_path / "sherpa", model)
    recognizer = opened(directory)
    assert not (directory / "config.json").exists()
    assert (recognizer.features_size, recognizer.kind) == (80, ModelKind.TDT)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"normalize_type": "NA"}, "normalization 'NA', as streaming models do.*non-streaming"),
        ({"is_giga_am": "1"}, "the encoder of a GigaAM model"),
        ({"subsampling_factor": "eight"}, "'eight' for subsampling_factor in its metadata"),
    ],
)
def test_a_model_of_another_kind_in_this_layout_is_named(
    changed: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    directory = write_sherpa(tmp_path / "sherpa", write_tdt(tmp_path / "model"))
    encoder = onnx.load(str(directory / "encoder.onnx"))
    props = {prop.key: prop.value for prop in encoder.metadata_props}
    helper.set_model_props(encoder, props | changed)
    onnx.save(encoder, str(directory / "encoder.onnx"))
    with pytest.raises(ModelInvalid, match=complaint):
        opened(directory)


def test_a_missing_joiner_is_named(tmp_path: Path) -> None:
    directory = write_sherpa(tmp_path / "sherpa", write_tdt(tmp_path / "model"))
    (directory / "joiner.onnx").unlink()
    with pytest.raises(ModelInvalid, match=r"lacks joiner\.onnx"):
        opened(directory)


def test_graphs_in_the_wrong_places_are_named(tmp_path: Path) -> None:
    directory = write_sherpa(tmp_path / "sherpa", write_tdt(tmp_path / "model"))
    (directory / "joiner.onnx").rename(directory / "kept")
    (directory / "decoder.onnx").rename(directory / "joiner.onnx")
    (directory / "kept").rename(directory / "decoder.onnx")
    with pytest.raises(ModelInvalid, match=r"decoder\.onnx is not the prediction network of a Parakeet transducer"):
        opened(directory)
