"""Builds a tiny but real multilingual Parakeet: what its decoder emits depends on the language's token that it has read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from tests.support.models.tiny_graphs import BINS, DURATIONS, SUBSAMPLING, Emission, _encoder, _model, _save, _table

CERTAINTY = 5.0
CONTROL_PIECES = ("<unk>", "<|nospeech|>", "<|endoftext|>", "<|pnc|>", "<|itn|>", "<|0|>", "<|unklang|>", "<|emo:sad|>")
"""Pieces of the published vocabulary that look like a language's token, and are none."""
SCRIPTS: Mapping[str, Sequence[Emission]] = {
    "auto": (("\u2581\u041c\u0438\u0440", 4), (None, 4), ("\u2581hello", 4), (".", 4)),
    "de": (("\u2581Hallo", 4), (None, 4), ("\u2581Welt", 4), (".", 4)),
    "en": (("\u2581Hello", 4), (None, 4), ("\u2581\u043c\u0438\u0440", 4), (".", 4)),
    "ru": (("\u2581\u041f\u0440\u0438\u0432\u0435\u0442", 4), (None, 4), ("\u2581hello", 4), (".", 4)),
    "ja": (("\u2581\u3053", 4), (None, 4), (".", 4)),
}
"""What is emitted after the token of each language, and without one."""
RIVALS = {
    "\u2581\u041c\u0438\u0440": "\u2581Peace",
    "\u2581hello": "\u2581\u043c\u0438\u0440",
    "\u2581\u043c\u0438\u0440": "\u2581world",
}
"""The second best piece wherever the first one is emitted."""
TEXTS = {"auto": "Мир hello.", "de": "Hallo Welt.", "en": "Hello world.", "ru": "Привет мир."}
"""What is recognized in each language with both means."""


def write_multilingual_parakeet(
    directory: Path,
    scripts: Mapping[str, Sequence[Emission]] = SCRIPTS,
    rivals: Mapping[str, str] = RIVALS,
    *,
    pieces: Sequence[str] = (),
) -> Path:
    """Write a model directory whose decoder emits the script of the last language's token that it has read.

    `pieces` are further ones of the vocabulary. The decoder falls into a prediction and a joint network, as published
    ones do. Other tokens than languages only advance the script.
    """
    directory.mkdir(parents=True, exist_ok=True)
    codes = [code for code in scripts if code != "auto"]
    emitted = [piece for script in scripts.values() for piece, _ in script if piece is not None]
    named = (*CONTROL_PIECES, *(f"<|{code}|>" for code in codes), *pieces, *emitted, *rivals.values(), "<blk>")
    vocabulary = list(dict.fromkeys(named))
    lines = "".join(f"{piece} {index}\n" for index, piece in enumerate(vocabulary))
    (directory / "vocab.txt").write_text(lines, encoding="utf-8")
    configuration = {"model_type": "nemo-conformer-tdt", "features_size": BINS, "subsampling_factor": SUBSAMPLING}
    (directory / "config.json").write_text(json.dumps(configuration))
    _save(_encoder(None), directory / "encoder-model.onnx")
    tables = [_table(scripts[code], vocabulary, 10, CERTAINTY) for code in ("auto", *codes)]
    for table in tables:
        _rank_second(table, vocabulary, rivals)
    weights = np.zeros((len(vocabulary), 2), np.float32)
    weights[: len(vocabulary) - 1, 0] = 1
    for number, code in enumerate(codes, start=1):
        weights[vocabulary.index(f"<|{code}|>")] = 0, number
    _save(_decoder_joint(_stacked(tables, len(vocabulary)), weights), directory / "decoder_joint-model.onnx")
    return directory


def _rank_second(table: npt.NDArray[np.float32], vocabulary: list[str], rivals: Mapping[str, str]) -> None:
    for best, second in rivals.items():
        if best in vocabulary:
            cells = table[..., vocabulary.index(best)] == CERTAINTY
            table[cells, vocabulary.index(second)] = CERTAINTY - 1


def _stacked(tables: Sequence[npt.NDArray[np.float32]], pieces: int) -> npt.NDArray[np.float32]:
    """Return the logits of all languages, float32 (frames, tokens read before, languages, classes)."""
    frames, read = (max(table.shape[axis] for table in tables) for axis in (0, 1))
    stacked = np.zeros((frames, read, len(tables), pieces + DURATIONS), np.float32)
    stacked[..., pieces - 1] = stacked[..., pieces + 1] = CERTAINTY
    for number, table in enumerate(tables):
        stacked[: table.shape[0], : table.shape[1], number] = table
    return stacked


def _decoder_joint(table: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> onnx.ModelProto:
    """Look up by the frame's index, the number of tokens read and the language, which the states hold."""
    classes = table.shape[-1]
    nodes = [
        helper.make_node("Reshape", ["targets", "flat"], ["token"]),
        helper.make_node("Gather", ["weights", "token"], ["told"], axis=0),
        helper.make_node("Reshape", ["input_states_1", "cell"], ["read"]),
        helper.make_node("Reshape", ["input_states_2", "cell"], ["language"]),
        helper.make_node("Concat", ["read", "language"], ["known"], axis=1),
        helper.make_node("Add", ["known", "told"], ["predicted"]),
        helper.make_node("Slice", ["predicted", "first", "second", "columns"], ["now_read"]),
        helper.make_node("Slice", ["predicted", "second", "end", "columns"], ["now_language"]),
        helper.make_node("Reshape", ["now_read", "state"], ["output_states_1"]),
        helper.make_node("Reshape", ["now_language", "state"], ["output_states_2"]),
        helper.make_node("Reshape", ["encoder_outputs", "cell"], ["frame"]),
        helper.make_node("Concat", ["frame", "predicted"], ["place"], axis=1),
        helper.make_node("Cast", ["place"], ["exact_place"], to=TensorProto.INT64),
        helper.make_node("Min", ["exact_place", "last_place"], ["index"]),
        helper.make_node("GatherND", ["table", "index"], ["row"]),
        helper.make_node("Reshape", ["row", "row_shape"], ["outputs"]),
    ]
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
            ("output_states_1", TensorProto.FLOAT, [1, "b", 1]),
            ("output_states_2", TensorProto.FLOAT, [1, "b", 1]),
        ],
        constants={
            "flat": np.array([1]),
            "cell": np.array([1, 1]),
            "state": np.array([1, 1, 1]),
            "first": np.array([0]),
            "second": np.array([1]),
            "end": np.array([2]),
            "columns": np.array([1]),
            "weights": weights,
            "table": table,
            "last_place": np.array([table.shape[:3]]) - 1,
            "row_shape": np.array([1, 1, 1, classes]),
        },
    )
