"""Builds other kinds of Parakeet from the bundled one: with its trained weights, so that real speech gives real tokens."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from coldvoxd.core.features import log_mel
from coldvoxd.core.values import Precision, Token
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.models.directories import bundled_directory
from coldvoxd.native.opening import open_session
from tests.support.sound.speech import samples

ENCODER, DECODER_JOINT = "encoder-model.onnx", "decoder_joint-model.onnx"
BINS, PIECES, WIDTH = 128, 385, 128
STEPS = 200
"""Steps of gradient descent: all targets are best by then."""


def write_rnnt(directory: Path, *, fitted: bool = True) -> Path:
    """The bundled model without its durations: an RNN-T whose joint network scores the 385 pieces of the vocabulary.

    Its last layer is `fitted` to the tokens of the bundled samples. Otherwise it is the layer of the TDT, which was never
    trained for a second look at the frame of a token: it repeats tokens up to the limit of each frame.
    """
    _write_config(directory, "nemo-conformer-rnnt")
    shutil.copy(bundled_directory() / ENCODER, directory)
    model = onnx.load(str(bundled_directory() / DECODER_JOINT))
    layer = _rnnt_layer() if fitted else None
    for tensor, values in zip(_last_layer(model), layer or (None, None), strict=True):
        kept = numpy_helper.to_array(tensor)[..., :PIECES] if values is None else values
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kept), tensor.name))
    output = next(value for value in model.graph.output if value.name == "outputs")
    output.type.tensor_type.shape.dim[-1].dim_value = PIECES
    _save(model, directory / DECODER_JOINT)
    return directory


def write_ctc(directory: Path, *, bins: int = BINS) -> Path:
    """The bundled model's encoder with a linear head that was fitted to the tokens of the bundled samples: a CTC model."""
    _write_config(directory, "nemo-conformer-ctc", bins)
    model = onnx.load(str(bundled_directory() / ENCODER))
    graph = model.graph
    last = next(node for node in graph.node if node.output[0] == "outputs")
    weights, bias = _ctc_head()
    graph.initializer.extend([numpy_helper.from_array(weights, "head"), numpy_helper.from_array(bias, "head_bias")])
    frames = last.input[0]
    graph.node.remove(last)
    graph.node.extend(
        [
            helper.make_node("MatMul", [frames, "head"], ["head_product"]),
            helper.make_node("Add", ["head_product", "head_bias"], ["head_scores"]),
            helper.make_node("LogSoftmax", ["head_scores"], ["logprobs"], axis=-1),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logprobs", TensorProto.FLOAT, ["batch", "frames", PIECES]))
    _drop_unused(graph)
    if bins != BINS:
        _take_bins(graph, bins)
    _save(model, directory / "model.onnx")
    return directory


def write_with_bins(directory: Path, write: Callable[[Path], Path], bins: int) -> Path:
    """Another model, whose encoder takes another number of mel bins, between which it interpolates."""
    write(directory)
    model = onnx.load(str(directory / ENCODER))
    _take_bins(model.graph, bins)
    _save(model, directory / ENCODER)
    configuration = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(configuration | {"features_size": bins}))
    return directory


def write_tdt(directory: Path) -> Path:
    """A copy of the bundled model, in fp32."""
    _write_config(directory, "nemo-conformer-tdt")
    for name in (ENCODER, DECODER_JOINT):
        shutil.copy(bundled_directory() / name, directory)
    return directory


def with_weights_beside(directory: Path, suffix: str = ".data") -> Path:
    """Move the weights of each graph in a directory into a file beside it."""
    for path in sorted(directory.glob("*.onnx")):
        onnx.save(
            onnx.load(str(path)),
            str(path),
            save_as_external_data=True,
            location=f"{path.name}{suffix}",
            size_threshold=0,
        )
    return directory


def _write_config(directory: Path, kind: str, bins: int = BINS) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(bundled_directory() / "vocab.txt", directory)
    content: Mapping[str, object] = {"model_type": kind, "features_size": bins, "subsampling_factor": 8}
    (directory / "config.json").write_text(json.dumps(content))


def _last_layer(model: onnx.ModelProto) -> tuple[onnx.TensorProto, onnx.TensorProto]:
    """The weights and the bias of the joint network's last layer."""
    scoring = next(node for node in model.graph.node if node.output[0] == "outputs")
    product = next(node for node in model.graph.node if node.output[0] in scoring.input)
    named = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = next(named[name] for name in product.input if name in named)
    bias = next(named[name] for name in scoring.input if name in named)
    return weights, bias


@lru_cache(maxsize=1)
def _heard() -> tuple[tuple[npt.NDArray[np.float32], tuple[Token, ...]], ...]:
    """Encoder frames, float32 (frames, WIDTH), and tokens of the bundled samples."""
    recognizer = ParakeetRecognizer.open(find_model(str(bundled_directory()), Precision.FP32), threads=1)
    encoded = [recognizer.encode(log_mel(sample.wave(), recognizer.features_size)) for sample in samples()]
    heard = tuple((frames, recognizer.decode(frames)) for frames in encoded)
    recognizer.close()
    return heard


@lru_cache(maxsize=1)
def _rnnt_layer() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights, float32 (WIDTH, PIECES), and bias with which an RNN-T emits the TDT's tokens at the TDT's frames."""
    model = onnx.load(str(bundled_directory() / DECODER_JOINT))
    scoring = next(node for node in model.graph.node if node.output[0] == "outputs")
    product = next(node for node in model.graph.node if node.output[0] in scoring.input)
    hidden = next(name for name in product.input if name not in {tensor.name for tensor in model.graph.initializer})
    model.graph.output.append(helper.make_tensor_value_info(hidden, TensorProto.FLOAT, None))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hidden.onnx"
        onnx.save(model, str(path))
        session = open_session(path, threads=1)
    rows: list[npt.NDArray[np.float32]] = []
    targets: list[int] = []

    def step(frame: npt.NDArray[np.float32], token: int, states: Sequence[npt.NDArray[np.float32]]) -> list[Any]:
        feeds = {"encoder_outputs": frame[None, :, None], "targets": np.array([[token]], np.int32)}
        feeds |= {"target_length": np.ones(1, np.int32), "input_states_1": states[0], "input_states_2": states[1]}
        return session.run((hidden, "output_states_1", "output_states_2"), feeds)

    def follow(encoded: npt.NDArray[np.float32], tokens: Sequence[Token], before: Sequence[Token]) -> None:
        """Collect the rows of an utterance after the tokens of another one, without its final mark."""
        states: Sequence[npt.NDArray[np.float32]] = [np.zeros((2, 1, WIDTH), np.float32)] * 2
        last, place = PIECES - 1, 0
        for token in before[:-1]:
            _, *states = step(encoded[0], last, states)
            last = token.id
        for frame in range(len(encoded)):
            while True:
                row, *after = step(encoded[frame], last, states)
                emits = place < len(tokens) and tokens[place].encoder_frame <= frame
                rows.append(row.reshape(-1))
                targets.append(tokens[place].id if emits else PIECES - 1)
                if not emits:
                    break
                last, states, place = tokens[place].id, after, place + 1

    heard = _heard()
    for number, (encoded, tokens) in enumerate(heard):
        follow(encoded, tokens, ())
        follow(encoded, tokens, heard[number - 1][1])
    session.close()
    return _fitted(np.array(rows), np.array(targets))


@lru_cache(maxsize=1)
def _ctc_head() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights, float32 (WIDTH, PIECES), and bias of a head that repeats what the transducer hears in the bundled samples."""
    rows, targets = [], []
    for encoded, tokens in _heard():
        labels = np.full(len(encoded), PIECES - 1)
        free = 0
        for token in tokens:  # a CTC model emits one token a frame
            begin = max(free, token.encoder_frame)
            free = begin + min(2, max(1, token.duration_frames))
            labels[begin:free] = token.id
        rows.append(encoded)
        targets.append(labels)
    return _fitted(np.concatenate(rows), np.concatenate(targets))


def _fitted(
    rows: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights, float32 (WIDTH, PIECES), and bias of the linear layer that gives each row its target.

    By multinomial logistic regression, with gradient descent on normalized columns. Pieces that are no target are never best.
    """
    used, places = np.unique(targets, return_inverse=True)
    scale = (rows.std(axis=0) + 1e-3).astype(np.float32)
    given = np.column_stack([rows / scale, np.ones(len(rows), np.float32)])
    wanted = np.eye(len(used), dtype=np.float32)[places]
    layer = np.zeros((given.shape[1], len(used)), np.float32)
    momentum = np.zeros_like(layer)
    for _ in range(STEPS):
        scores = np.exp(given @ layer - (given @ layer).max(axis=1, keepdims=True))
        momentum = 0.9 * momentum + given.T @ (scores / scores.sum(axis=1, keepdims=True) - wanted) / len(given)
        layer -= momentum
    weights = np.zeros((rows.shape[1], PIECES), np.float32)
    bias = np.full(PIECES, layer[-1].min() - 100, np.float32)
    weights[:, used] = layer[:-1] / scale[:, None]
    bias[used] = layer[-1]
    return weights, bias


def _take_bins(graph: onnx.GraphProto, bins: int) -> None:
    """Let the encoder take other mel bins, and compute its own from them by interpolation."""
    places = np.linspace(0, bins - 1, BINS)
    between = np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(bins)[None, :])).astype(np.float32)
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == "audio_signal":
                node.input[index] = "interpolated"
    graph.initializer.append(numpy_helper.from_array(between, "between"))
    graph.node.insert(0, helper.make_node("MatMul", ["between", "audio_signal"], ["interpolated"]))
    audio = next(value for value in graph.input if value.name == "audio_signal")
    audio.type.tensor_type.shape.dim[1].dim_value = bins


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes on which no output depends."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
            for attribute in node.attribute:
                for inner in attribute.g.node:
                    wanted |= set(inner.input)
    del graph.node[:]
    graph.node.extend(kept[::-1])


def _save(model: onnx.ModelProto, path: Path) -> None:
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def write_sherpa(directory: Path, model: Path, *, numbered: bool = False) -> Path:
    """A model of onnx-asr's layout in that of sherpa-onnx: three graphs, and the encoder's metadata.

    `numbered` names the states as NeMo's export of the prediction network does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    configuration = json.loads((model / "config.json").read_text())
    shutil.copy(model / "vocab.txt", directory / "tokens.txt")
    whole = onnx.load(str(model / DECODER_JOINT))
    takes = {value.name: value for value in whole.graph.input}
    gives = {value.name: value for value in whole.graph.output}
    state = takes["input_states_1"].type.tensor_type.shape.dim
    link = _predicted(whole.graph)
    predicted = helper.make_tensor_value_info("decoder_out", TensorProto.FLOAT, ["batch", state[2].dim_value, "tokens"])
    length = helper.make_tensor_value_info("prednet_lengths", TensorProto.INT32, ["batch"])
    prediction = _part(
        whole,
        [
            *_needed(whole.graph, [link, "output_states_1", "output_states_2"], stop=()),
            helper.make_node("Transpose", [link], ["decoder_out"], perm=[0, 2, 1]),
            helper.make_node("Identity", ["target_length"], ["prednet_lengths"]),
        ],
        [takes[name] for name in ("targets", "target_length", "input_states_1", "input_states_2")],
        [predicted, length, gives["output_states_1"], gives["output_states_2"]],
    )
    read = helper.make_tensor_value_info("decoder_outputs", TensorProto.FLOAT, ["batch", state[2].dim_value, "tokens"])
    joint = _part(
        whole,
        [
            helper.make_node("Transpose", ["decoder_outputs"], [link], perm=[0, 2, 1]),
            *_needed(whole.graph, ["outputs"], stop=(link,)),
        ],
        [takes["encoder_outputs"], read],
        [gives["outputs"]],
    )
    if numbered:
        _rename(prediction.graph, {"decoder_out": "outputs", "output_states_1": "states", "output_states_2": "162"})
        _rename(prediction.graph, {"input_states_1": "states.1", "input_states_2": "onnx::Slice_3"})
        joint.graph.output[0].type.tensor_type.shape.dim[-1].dim_param = "classes"
    encoder = onnx.load(str(model / ENCODER))
    is_tdt = configuration["model_type"] == "nemo-conformer-tdt"
    helper.set_model_props(
        encoder,
        {
            "vocab_size": str(PIECES - 1),
            "normalize_type": "per_feature",
            "pred_rnn_layers": str(state[0].dim_value),
            "pred_hidden": str(state[2].dim_value),
            "subsampling_factor": "8",
            "model_type": "EncDecRNNTBPEModel",
            "version": "2",
            "model_author": "NeMo",
            "feat_dim": str(configuration["features_size"]),
            # sherpa-onnx decides by the address whether there are durations.
            "url": f"https://huggingface.co/nvidia/parakeet-{'tdt' if is_tdt else 'rnnt'}-0.6b",
        },
    )
    for part, content in {"encoder": encoder, "decoder": prediction, "joiner": joint}.items():
        _save(content, directory / f"{part}.onnx")
    return directory


def _predicted(graph: onnx.GraphProto) -> str:
    """The prediction network's output, (batch, tokens, width): the last transposed tensor independent of the encoder."""
    of_encoder = {"encoder_outputs"}
    found = ""
    for node in graph.node:
        if of_encoder & set(node.input):
            of_encoder |= set(node.output)
        elif node.op_type == "Transpose":
            found = node.output[0]
    return found


def _needed(graph: onnx.GraphProto, wanted: Sequence[str], stop: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes on which these tensors depend, in order, back to the tensors in `stop`."""
    names, found = set(wanted) - set(stop), []
    for node in reversed(graph.node):
        if names & set(node.output):
            found.append(node)
            names |= set(node.input) - set(stop)
    return found[::-1]


def _part(
    whole: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    takes: Sequence[onnx.ValueInfoProto],
    gives: Sequence[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in whole.graph.initializer if tensor.name in used]
    graph = helper.make_graph(nodes, "part", takes, gives, initializer=weights)
    return helper.make_model(graph, opset_imports=list(whole.opset_import), ir_version=whole.ir_version)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def replay(directory: Path, frames: npt.NDArray[np.float32]) -> Path:
    """Make a model's encoder return these frames, float32 (frames, WIDTH), whatever it hears: both peers decode the same."""
    path = directory / "encoder.onnx"
    model = onnx.load(str(path))
    graph = model.graph
    del graph.node[:], graph.initializer[:]
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(frames.T[None]), "frames"))
    graph.initializer.append(numpy_helper.from_array(np.array([len(frames)]), "count"))
    graph.node.append(helper.make_node("Identity", ["frames"], ["outputs"]))
    graph.node.append(helper.make_node("Identity", ["count"], ["encoded_lengths"]))
    _save(model, path)
    return directory


def heard_frames() -> tuple[npt.NDArray[np.float32], ...]:
    """The bundled encoder's frames of each sample, float32 (frames, WIDTH)."""
    return tuple(frames for frames, _ in _heard())


def prefer_no_duration(directory: Path) -> Path:
    """Let the decoder of a TDT predict a duration of 0 throughout, so that the limit of tokens at a frame counts."""
    model = onnx.load(str(directory / DECODER_JOINT))
    _, bias = _last_layer(model)
    values = numpy_helper.to_array(bias).copy()
    values[PIECES] += 1000
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    _save(model, directory / DECODER_JOINT)
    return directory


def with_int8(directory: Path) -> Path:
    """Add int8 graphs to a model, by ONNX Runtime's converter."""
    for path in sorted(directory.glob("*.onnx")):
        quantize_dynamic(path, path.with_suffix(".int8.onnx"), weight_type=QuantType.QUInt8)
    return directory
