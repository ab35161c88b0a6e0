"""Writes a Parakeet in sherpa-onnx's layout: separate decoder and joiner, and metadata in the encoder."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def prepare(model: Path, into: Path, precision: str) -> Path:
    """Return the directory, rebuilt if the model's files are newer. External weights are hard-linked if possible."""
    suffix = "" if precision == "fp32" else f".{precision}"
    encoder = model / f"encoder-model{suffix}.onnx"
    decoder_joint = model / f"decoder_joint-model{suffix}.onnx"
    done = into / f"complete{suffix}"
    stamp = " ".join(f"{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in (encoder, decoder_joint))
    if done.exists() and done.read_text() == stamp:
        return into
    into.mkdir(parents=True, exist_ok=True)
    metadata = _split(onnx.load(decoder_joint), into, suffix)
    pieces = (model / "vocab.txt").read_text(encoding="utf-8")
    (into / "tokens.txt").write_text(pieces, encoding="utf-8")
    metadata |= {"vocab_size": pieces.count("\n") - 1, "subsampling_factor": 8, "feat_dim": 128}
    _write_encoder(encoder, into / f"encoder{suffix}.onnx", metadata)
    done.write_text(stamp)
    return into


def _write_encoder(source: Path, target: Path, metadata: dict[str, object]) -> None:
    graph = onnx.load(source, load_external_data=False)
    # sherpa-onnx takes durations for pieces unless the URL names a TDT.
    fixed = {
        "normalize_type": "per_feature",
        "model_type": "EncDecRNNTBPEModel",
        "model_author": "NeMo",
        "version": 2,
        "url": "https://huggingface.co/nvidia/parakeet-tdt-0.6b-v2",
    }
    helper.set_model_props(graph, {key: str(value) for key, value in (metadata | fixed).items()})
    onnx.save(graph, target)
    weights = source.with_name(source.name + ".data")
    if weights.exists():
        link = target.with_name(weights.name)
        link.unlink(missing_ok=True)
        try:
            os.link(weights, link)
        except OSError:  # a different file system
            shutil.copyfile(weights, link)


def _split(model: onnx.ModelProto, into: Path, suffix: str) -> dict[str, object]:
    """Write decoder and joiner; return the metadata about them that the encoder needs."""
    graph = model.graph
    inputs = {value.name: value for value in graph.input}
    outputs = {value.name: value for value in graph.output}
    cut = _cut(graph)
    predicted = inputs["input_states_1"].type.tensor_type.shape.dim
    layers, width = predicted[0].dim_value, predicted[2].dim_value

    def number(name: str, dimensions: Sequence[str | int | None]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions)

    def write(
        name: str, nodes: list[onnx.NodeProto], takes: list[onnx.ValueInfoProto], gives: list[onnx.ValueInfoProto]
    ) -> None:
        used = {name for node in nodes for name in node.input}
        constants = [tensor for tensor in graph.initializer if tensor.name in used]
        part = helper.make_model(
            helper.make_graph(nodes, name, takes, gives, initializer=constants), opset_imports=list(model.opset_import)
        )
        part.ir_version = model.ir_version
        onnx.save(part, into / f"{name}{suffix}.onnx")

    states = ["output_states_1", "output_states_2"]
    write(
        "decoder",
        [
            *_needed(graph, [cut, *states], stop=set()),
            helper.make_node("Transpose", [cut], ["decoder_out"], perm=[0, 2, 1]),
            helper.make_node("Identity", ["target_length"], ["prednet_lengths"]),
        ],
        [inputs[name] for name in ("targets", "target_length", "input_states_1", "input_states_2")],
        [
            number("decoder_out", ["B", width, "U"]),
            helper.make_tensor_value_info("prednet_lengths", TensorProto.INT32, ["B"]),
            *(outputs[name] for name in states),
        ],
    )
    write(
        "joiner",
        [
            helper.make_node("Transpose", ["decoder_outputs"], [cut], perm=[0, 2, 1]),
            *_needed(graph, ["outputs"], stop={cut}),
        ],
        [inputs["encoder_outputs"], number("decoder_outputs", ["B", width, "U"])],
        [outputs["outputs"]],
    )
    return {"pred_rnn_layers": layers, "pred_hidden": width}


def _cut(graph: onnx.GraphProto) -> str:
    """Return the prediction network's output, (B, U, width): the last transposition independent of the encoder."""
    of_encoder = {"encoder_outputs"}
    candidate = ""
    for node in graph.node:
        if of_encoder & set(node.input):
            of_encoder |= set(node.output)
    recurrent = {name for node in graph.node if "LSTM" in node.op_type for name in node.output}
    for node in graph.node:
        if recurrent & set(node.input) and not of_encoder & set(node.output):
            recurrent |= set(node.output)
            if node.op_type == "Transpose":
                candidate = node.output[0]
    if not candidate:
        raise SystemExit("the decoder's graph has no prediction network that can be cut off for sherpa-onnx")
    return candidate


def _needed(graph: onnx.GraphProto, wanted: Iterable[str], stop: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes on which these values depend, in order, back to the names in `stop`."""
    open_names = set(wanted) - stop
    found = []
    for node in reversed(graph.node):
        if open_names & set(node.output):
            found.append(node)
            open_names |= set(node.input) - stop
    return found[::-1]
