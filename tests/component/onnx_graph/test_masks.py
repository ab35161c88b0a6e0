"""An encoder without masks returns the same as with them, and one with unknown masks is left unchanged."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from coldvoxd.core.features import log_mel
from coldvoxd.native.opening import open_session
from coldvoxd.native.session import OrtSession
from coldvoxd.onnx_graph.masks import Masks, found_in
from tests.support.models.internals import layers_of
from tests.support.sound.speech import mini, samples

FP32 = mini() / "encoder-model.onnx"
INT8 = mini() / "encoder-model.int8.onnx"
SAME = 1e-5
"""Relative error permitted for float arithmetic in a different order."""


def masks_of(graph: Path) -> Masks:
    masks = found_in(graph.read_bytes())
    assert masks is not None
    return masks


def encoded(session: OrtSession, features: npt.NDArray[np.float32], spare: int) -> npt.NDArray[np.float32]:
    """Encode the features followed by `spare` empty columns."""
    bins, columns = features.shape
    padded = np.zeros((1, bins, columns + spare), np.float32)
    padded[0, :, :columns] = features
    outputs, lengths = session.run(
        ["outputs", "encoded_lengths"], {"audio_signal": padded, "length": np.array([columns], np.int64)}
    )
    return outputs[0, :, : int(lengths[0])]


@pytest.fixture(scope="module")
def masked() -> OrtSession:
    return open_session(FP32)


@pytest.fixture(scope="module")
def unmasked() -> OrtSession:
    return open_session(FP32, content=masks_of(FP32).removed())


@pytest.mark.parametrize("graph", [FP32, INT8], ids=["fp32", "int8"])
def test_subsampling_attention_and_convolutions_are_masked(graph: Path) -> None:
    masks = masks_of(graph)
    assert list(masks.passing.values()).count(1.0) == 6
    assert list(masks.passing.values()).count(False) == 3 * layers_of(graph)
    onnx.checker.check_model(onnx.load_from_string(masks.removed()))


@pytest.mark.parametrize("columns", [*range(2, 34), 100, 801, 3000])
def test_any_length_is_encoded_as_before(masked: OrtSession, unmasked: OrtSession, columns: int) -> None:
    """Includes lengths for which the extra column of a masked encoder adds an empty frame."""
    features = np.random.default_rng(columns).normal(0, 1, (128, columns)).astype(np.float32)
    before, after = encoded(masked, features, 1), encoded(unmasked, features, 0)
    assert before.shape == after.shape
    # On AVX-512 machines it is equal to the last bit, except for a single frame, whose products use another kernel.
    assert np.abs(before - after).max() <= SAME * np.abs(before).max()


def test_speech_is_encoded_as_before(masked: OrtSession, unmasked: OrtSession) -> None:
    for clip in samples():
        features = log_mel(clip.wave(), 128)
        before, after = encoded(masked, features, 1), encoded(unmasked, features, 0)
        assert np.abs(before - after).max() <= SAME * np.abs(before).max(), clip.name


def test_in_int8_only_a_frame_of_nothing_tells_them_apart() -> None:
    masked, unmasked = open_session(INT8), open_session(INT8, content=masks_of(INT8).removed())
    for clip in samples():
        features = log_mel(clip.wave(), 128)
        filling = features[:, : features.shape[1] // 8 * 8]
        before, after = encoded(masked, filling, 1), encoded(unmasked, filling, 0)
        assert 0 < np.abs(before - after).max() <= 0.2 * np.abs(before).max()
        assert np.array_equal(encoded(masked, filling[:, :-3], 1), encoded(unmasked, filling[:, :-3], 0))


def test_masks_hide_what_comes_after_the_length_alone() -> None:
    masks = masks_of(FP32)
    session = open_session(FP32, content=masks.alone())

    def given(width: int, length: int) -> dict[str, npt.NDArray[Any]]:
        audio = np.ones((1, 128, width), np.float32)
        feeds: dict[str, npt.NDArray[Any]] = {"audio_signal": audio, "length": np.array([length], np.int64)}
        names = list(masks.passing)
        return dict(zip(names, session.run(names, {name: feeds[name] for name in session.inputs}), strict=True))

    assert masks.let_all_through(given(200, 200))
    assert not masks.let_all_through(given(208, 200))


def changed(node: int, kind: str) -> bytes:
    """Return the small model's encoder with another operator for the `node`-th multiplication with a mask's factors."""
    model = onnx.load(str(FP32))
    factors = {name for name, value in masks_of(FP32).passing.items() if value == 1.0}
    masking = [each for each in model.graph.node if each.op_type == "Mul" and factors.intersection(each.input)]
    masking[node].op_type = kind
    return bytes(model.SerializeToString())


def test_audio_that_meets_its_length_otherwise_is_left_alone() -> None:
    assert found_in(changed(0, "Mul")) is not None
    assert found_in(changed(0, "Add")) is None


def of(nodes: list[onnx.NodeProto]) -> ModelProto:
    """Return a graph of the audio, float32 (T,), and its length."""
    audio = helper.make_tensor_value_info("audio_signal", TensorProto.FLOAT, ["T"])
    length = helper.make_tensor_value_info("length", TensorProto.INT64, [1])
    outputs = helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["T"])
    nothing = helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0])
    graph = helper.make_graph(nodes, "small", [audio, length], [outputs], [nothing])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


CAST = helper.make_node("Cast", ["length"], ["mask"], to=TensorProto.FLOAT)
SIGNED = helper.make_node("Cast", ["length"], ["choice"], to=TensorProto.BOOL)
AFTER = helper.make_node("Neg", ["masked"], ["outputs"])


@pytest.mark.parametrize("reads", [["audio_signal", "mask"], ["mask", "audio_signal"]])
def test_factors_on_either_side_are_masks(reads: list[str]) -> None:
    masks = found_in(of([CAST, helper.make_node("Mul", reads, ["masked"]), AFTER]).SerializeToString())
    assert masks is not None
    assert masks.passing == {"mask": 1.0}
    (kept,) = onnx.load_from_string(masks.removed()).graph.node
    assert list(kept.input) == ["audio_signal"]


@pytest.mark.parametrize(
    ("reads", "value"), [(["choice", "nothing", "audio_signal"], False), (["choice", "audio_signal", "nothing"], True)]
)
def test_choices_are_masks(reads: list[str], value: bool) -> None:
    masks = found_in(of([SIGNED, helper.make_node("Where", reads, ["masked"]), AFTER]).SerializeToString())
    assert masks is not None
    assert masks.passing == {"choice": value}


def test_a_choice_by_what_is_heard_is_none() -> None:
    loud = helper.make_node("Cast", ["audio_signal"], ["loud"], to=TensorProto.BOOL)
    chosen = helper.make_node("Where", ["loud", "mask", "nothing"], ["masked"])
    assert found_in(of([CAST, loud, chosen, AFTER]).SerializeToString()) is None


def test_a_mask_right_before_the_end_is_left_alone() -> None:
    assert (
        found_in(of([CAST, helper.make_node("Mul", ["audio_signal", "mask"], ["outputs"])]).SerializeToString()) is None
    )


def test_a_graph_that_is_told_no_length_is_left_alone() -> None:
    model = of([helper.make_node("Neg", ["audio_signal"], ["outputs"])])
    del model.graph.input[1]
    assert found_in(model.SerializeToString()) is None


def test_what_is_no_onnx_is_told() -> None:
    with pytest.raises(ValueError, match="truncated"):
        found_in(FP32.read_bytes()[:1000])
