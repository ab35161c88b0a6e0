"""An encoder that reads position products from a table returns the same; one of another structure is left unchanged."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper

from coldvoxd.core.features import log_mel
from coldvoxd.core.values import Precision
from coldvoxd.models import find_model
from coldvoxd.native.opening import open_session
from coldvoxd.onnx_graph.positions import Computed, Positions, found_in, tables_of
from tests.support.models.internals import layers_of
from tests.support.models.tiny_graphs import write_tiny_parakeet
from tests.support.sound.speech import mini, samples

FP32 = mini() / "encoder-model.onnx"
INT8 = mini() / "encoder-model.int8.onnx"


def given(graph: Path, features: npt.NDArray[np.float32], content: bytes | None = None) -> npt.NDArray[np.float32]:
    session = open_session(graph, content=content)
    lengths = np.array([features.shape[1]], np.int64)
    (outputs,) = session.run(["outputs"], {"audio_signal": features[np.newaxis], "length": lengths})
    return outputs


def noise(columns: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(columns).normal(0, 1, (128, columns)).astype(np.float32)


def positions_of(graph: Path) -> Positions:
    positions = found_in(graph.read_bytes())
    assert positions is not None
    return positions


def computing(graph: Path) -> Callable[[int], dict[str, npt.NDArray[Any]]]:
    positions = positions_of(graph)
    session = open_session(graph, content=positions.alone())

    def compute(count: int) -> dict[str, npt.NDArray[Any]]:
        feeds: dict[str, npt.NDArray[Any]] = {"audio_signal": noise(count)[np.newaxis], "length": np.array([count])}
        names = [*positions.products, *positions.ranges]
        return dict(zip(names, session.run(names, {name: feeds[name] for name in session.inputs}), strict=True))

    return compute


def tables(graph: Path, columns: int, others: Sequence[int] = (), tolerance: float = 0.0) -> Computed | None:
    return tables_of(computing(graph), columns, tuple(others), tolerance)


def folded(graph: Path, columns: int) -> bytes:
    positions = positions_of(graph)
    made = computing(graph)(columns)
    return positions.folded({name: made[name] for name in positions.products}, made)


@pytest.mark.parametrize("graph", [FP32, INT8], ids=["fp32", "int8"])
def test_each_layer_multiplies_positions_once(graph: Path) -> None:
    assert len(positions_of(graph).products) == layers_of(graph)


@pytest.mark.heavy
def test_speech_is_encoded_as_before(tmp_path: Path) -> None:
    content = folded(FP32, 800)
    onnx.checker.check_model(onnx.load_from_string(content))
    (tmp_path / "folded.onnx").write_bytes(content)
    for clip in samples():
        features = log_mel(clip.wave(), 128)
        before, after = given(FP32, features), given(tmp_path / "folded.onnx", features)
        assert np.abs(before - after).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize("columns", [9, 100, 792, 800, 801, 809, 1600])
def test_within_the_table_at_its_end_and_beyond(columns: int) -> None:
    before, after = given(FP32, noise(columns)), given(FP32, noise(columns), folded(FP32, 800))
    assert before.shape == after.shape
    assert np.abs(before - after).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize("columns", [9, 100, 800, 1600])
def test_in_int8_where_ranges_differ_the_table_is_not_used(columns: int) -> None:
    before, after = given(INT8, noise(columns)), given(INT8, noise(columns), folded(INT8, 800))
    assert np.array_equal(before, after)


def test_the_table_is_what_is_read() -> None:
    made = tables(FP32, 800)
    assert made is not None
    wrong = positions_of(FP32).folded({name: np.zeros_like(table) for name, table in made.items()}, {})
    assert np.abs(given(FP32, noise(400)) - given(FP32, noise(400), wrong)).max() > 0.1


def test_shorter_audio_has_the_middle_rows() -> None:
    assert tables(FP32, 800, (100, 301), 1e-6) is not None
    assert tables(FP32, 800, (808,), 1e-6) is None, "more than the table has"


def test_products_that_are_not_the_middle_of_longer_ones_are_refused() -> None:
    def from_the_first_on(columns: int) -> Computed:
        return {"product": np.arange(2 * columns - 1, dtype=np.float32)[:, np.newaxis]}

    assert tables_of(from_the_first_on, 100, (10,), 1e-4) is None


def test_a_graph_without_positions_is_left_alone(tmp_path: Path) -> None:
    write_tiny_parakeet(tmp_path / "tiny")
    files = find_model(str(tmp_path / "tiny"), Precision.FP32)
    assert found_in(files.encoder.read_bytes()) is None


def test_weights_that_meet_what_is_heard_are_left_alone() -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["audio_signal", "weight"], ["outputs"])],
            "heard",
            [helper.make_tensor_value_info("audio_signal", TensorProto.FLOAT, ["T", 2])],
            [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["T", 2])],
            [helper.make_tensor("weight", TensorProto.FLOAT, [2, 2], [1.0, 0.0, 0.0, 1.0])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    assert found_in(model.SerializeToString()) is None


def test_an_older_opset_is_left_alone() -> None:
    model = onnx.load(str(FP32))
    model.opset_import[0].version = 12
    assert found_in(model.SerializeToString()) is None


def test_two_tensors_of_positions_are_left_alone() -> None:
    model = onnx.load(str(FP32))
    shared = positions_of(FP32).shared
    node = next(node for node in model.graph.node if node.op_type == "MatMul" and node.input[0] == shared)
    place = list(model.graph.node).index(node)
    model.graph.node.insert(place, helper.make_node("Identity", [shared], ["another"]))
    node.input[0] = "another"
    assert found_in(model.SerializeToString()) is None


def test_what_is_no_onnx_is_told() -> None:
    with pytest.raises(ValueError, match="truncated"):
        found_in(FP32.read_bytes()[:1000])
