"""Builds tiny but real Parakeet directories: ONNX graphs that emit a scripted token sequence or NaN, or fail to run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Fault = Literal["nan", "nan-encoder", "raise", "raise-decoder", "endless"]
Emission = tuple[str | None, int]
"""A piece, or None for blank, and its duration in encoder frames."""

BINS = 80
DURATIONS = 5
SUBSAMPLING = 8
ENDLESS_COLUMNS = 200
"""Two seconds of audio."""
HELLO: tuple[Emission, ...] = (("\u2581Hello", 2), (None, 1), (",", 0), ("\u2581world", 3), (".", 1))


def write_tiny_parakeet(
    directory: Path,
    script: Sequence[Emission] = HELLO,
    fault: Fault | None = None,
    *,
    pieces: Sequence[str] = (),
    max_tokens_per_step: int = 10,
    certainty: float = 5.0,
) -> Path:
    """Write a model directory whose decoder emits `script` in order, whatever the audio.

    `nan` makes the decoder's scores NaN, `nan-encoder` the encoder's frames; `raise` and `raise-decoder` make that
    graph's run fail inside ONNX Runtime; `endless` keeps the encoder busy indefinitely with more than ENDLESS_COLUMNS
    of audio. `pieces` precede those of the script in the vocabulary; `certainty` is by how much the score of the
    emitted piece exceeds all others'.
    """
    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = list(dict.fromkeys((*pieces, *(piece for piece, _ in script if piece is not None))))
    vocabulary.append("<blk>")
    lines = "".join(f"{piece} {index}\n" for index, piece in enumerate(vocabulary))
    (directory / "vocab.txt").write_text(lines, encoding="utf-8")
    configuration = {"model_type": "nemo-conformer-tdt", "features_size": BINS, "subsampling_factor": SUBSAMPLING}
    (directory / "config.json").write_text(json.dumps(configuration | {"max_tokens_per_step": max_tokens_per_step}))
    _save(_encoder(fault), directory / "encoder-model.onnx")
    table = _table(script, vocabulary, max_tokens_per_step, certainty)
    _save(_decoder_joint(table, fault), directory / "decoder_joint-model.onnx")
    return directory


def _table(
    script: Sequence[Emission], vocabulary: list[str], max_tokens_per_step: int, certainty: float
) -> npt.NDArray[np.float32]:
    """Return logits, float32 (frames, tokens emitted before, classes). Outside the script: blank, advancing by 1."""
    blank = len(vocabulary) - 1
    total = sum(duration for _, duration in script) + len(script) + 1
    table = np.zeros((total, len(script) + 1, len(vocabulary) + DURATIONS), dtype=np.float32)
    table[:, :, blank] = certainty
    table[:, :, blank + 1 + 1] = certainty
    frame = emitted = here = 0
    for piece, duration in script:
        cell = table[frame, emitted]
        cell[:] = 0.0
        cell[blank if piece is None else vocabulary.index(piece)] = certainty
        cell[blank + 1 + duration] = certainty
        emitted, here = emitted + (piece is not None), here + (piece is not None)
        if duration > 0:
            frame, here = frame + duration, 0
        elif piece is None or here == max_tokens_per_step:
            frame, here = frame + 1, 0
    return table


def _encoder(fault: Fault | None) -> onnx.ModelProto:
    """Encode each frame as its own index."""
    nodes = [
        helper.make_node("Add", ["length", "round_up"], ["rounded"]),
        helper.make_node("Div", ["rounded", "subsampling"], ["encoded_lengths"]),
        helper.make_node("Squeeze", ["encoded_lengths"], ["frames"]),
        helper.make_node("Range", ["zero", "frames", "one"], ["indices"]),
        helper.make_node("Cast", ["indices"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["values", "leading"], ["honest"]),
    ]
    if fault == "nan-encoder":
        nodes.append(helper.make_node("Mul", ["honest", "nan"], ["outputs"]))
    elif fault == "raise":
        nodes += _failing("honest", "outputs")
    elif fault == "endless":
        nodes += _endless("honest", "length", "outputs")
    else:
        nodes.append(helper.make_node("Identity", ["honest"], ["outputs"]))
    return _model(
        nodes,
        inputs=[("audio_signal", TensorProto.FLOAT, ["b", BINS, "t"]), ("length", TensorProto.INT64, ["b"])],
        outputs=[("outputs", TensorProto.FLOAT, ["b", 1, "t2"]), ("encoded_lengths", TensorProto.INT64, ["b"])],
        constants={
            "round_up": np.array(SUBSAMPLING - 1),
            "subsampling": np.array(SUBSAMPLING),
            "zero": np.array(0),
            "one": np.array(1),
            "leading": np.array([0, 1]),
            "nan": np.array(np.nan, dtype=np.float32),
            "far": np.array([1_000_000]),
            "endless_columns": np.array([ENDLESS_COLUMNS]),
            "one_turn": np.array([1]),
            "endless_turns": np.array([2**62]),
            "scalar": np.array([], dtype=np.int64),
            "again": np.array(True),
        },
    )


def _decoder_joint(table: npt.NDArray[np.float32], fault: Fault | None) -> onnx.ModelProto:
    """Look up by the frame's index and the number of tokens so far, which its state counts."""
    nodes = [
        helper.make_node("Reshape", ["encoder_outputs", "flat"], ["frame"]),
        helper.make_node("Reshape", ["input_states_1", "flat"], ["emitted"]),
        helper.make_node("Concat", ["frame", "emitted"], ["place"], axis=0),
        helper.make_node("Cast", ["place"], ["exact_place"], to=TensorProto.INT64),
        helper.make_node("Min", ["exact_place", "last_place"], ["index"]),
        helper.make_node("GatherND", ["table", "index"], ["row"]),
        helper.make_node("Reshape", ["row", "row_shape"], ["honest"]),
        helper.make_node("Add", ["input_states_1", "one"], ["output_states_1"]),
        helper.make_node("Cast", ["targets"], ["token"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["input_states_2", "token"], ["output_states_2"]),
        helper.make_node("Identity", ["target_length"], ["prednet_lengths"]),
    ]
    if fault == "nan":
        nodes.append(helper.make_node("Mul", ["honest", "nan"], ["outputs"]))
    elif fault == "raise-decoder":
        nodes += _failing("honest", "outputs")
    else:
        nodes.append(helper.make_node("Identity", ["honest"], ["outputs"]))
    classes = table.shape[-1]
    return _model(
        nodes,
        inputs=[
            ("encoder_outputs", TensorProto.FLOAT, ["b", 1, "t"]),
            ("targets", TensorProto.INT32, ["b", "u"]),
            ("target_length", TensorProto.INT32, ["b"]),
            ("input_states_1", TensorProto.FLOAT, [1, "b", 1]),
            ("input_states_2", TensorProto.FLOAT, [1, "b", 1]),
        ],
        outputs=[
            ("outputs", TensorProto.FLOAT, ["b", "t", "u", classes]),
            ("prednet_lengths", TensorProto.INT32, ["b"]),
            ("output_states_1", TensorProto.FLOAT, [1, "b", 1]),
            ("output_states_2", TensorProto.FLOAT, [1, "b", 1]),
        ],
        constants={
            "flat": np.array([1]),
            "table": table,
            "last_place": np.array(table.shape[:2]) - 1,
            "row_shape": np.array([1, 1, 1, classes]),
            "one": np.array(1, dtype=np.float32),
            "nan": np.array(np.nan, dtype=np.float32),
            "far": np.array([1_000_000]),
        },
    )


def _failing(source: str, target: str) -> list[onnx.NodeProto]:
    """Pass the graph's checks, and gather a missing row at run time."""
    return [
        # Computed from the input's own shape, so that no optimizer can predict it.
        helper.make_node("Shape", [source], ["shape"]),
        helper.make_node("Mul", ["shape", "far"], ["row_too_far"]),
        helper.make_node("Gather", [source, "row_too_far"], ["never"], axis=0),
        helper.make_node("Reshape", ["never", "shape"], [target]),
    ]


def _endless(source: str, columns: str, target: str) -> list[onnx.NodeProto]:
    """Forward a value, after a practically endless loop if there are too many columns."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes_on"], ["goes_on_out"]), helper.make_node("Neg", ["value"], ["value_out"])],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, None),
        ],
    )
    return [
        helper.make_node("Greater", [columns, "endless_columns"], ["too_many"]),
        helper.make_node("Where", ["too_many", "endless_turns", "one_turn"], ["turns"]),
        helper.make_node("Reshape", ["turns", "scalar"], ["turn_count"]),
        helper.make_node("Neg", [source], ["turned"]),
        helper.make_node("Loop", ["turn_count", "again", "turned"], [target], body=body),
    ]


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, int, list[int | str]]],
    outputs: list[tuple[str, int, list[int | str]]],
    constants: dict[str, npt.NDArray[np.generic]],
) -> onnx.ModelProto:
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*declared) for declared in inputs],
        [helper.make_tensor_value_info(*declared) for declared in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _save(model: onnx.ModelProto, path: Path) -> None:
    onnx.checker.check_model(model)
    onnx.save(model, path)
