"""Half precision: a graph's weights and arithmetic in float16, made from its fp32 form by ONNX Runtime's own converter."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import coldvoxd.native.ort  # noqa: F401 - before ONNX Runtime itself, to turn off its telemetry

# isort: split
import onnx
from onnx import TensorProto
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

BOUNDED = frozenset({"Sin", "Cos", "Tanh", "Sigmoid", "Softmax"})
"""Operators whose output fits into float16 for any input."""
_INTEGERS = frozenset({TensorProto.INT32, TensorProto.INT64})


def write_half(source: Path, target: Path) -> None:
    """Write `target` and `target.data`, whose inputs and outputs are `source`'s. Blocks, for minutes; raises OSError.

    What is counted rather than heard stays in fp32: lengths and positions, which float16 holds exactly up to 2048 only.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load(str(source), load_external_data=False))
    _load_weights(model, source.parent)
    _name_all(model.graph)
    counting = _keep_apart(model.graph, _counting_nodes(model.graph))
    half = convert_float_to_float16(
        model,
        keep_io_types=True,
        disable_shape_infer=True,
        op_block_list=DEFAULT_OP_BLOCK_LIST,
        node_block_list=sorted(counting),
    )
    _drop_doubles(half.graph)
    onnx.save(
        half, str(target), save_as_external_data=True, all_tensors_to_one_file=True, location=f"{target.name}.data"
    )


def _load_weights(model: Any, directory: Path) -> None:
    """Read the weights from the files beside the graph.

    Not `onnx.load_external_data_for_model`: it refuses symbolic and hard links, of which the cache of Hugging Face's hub
    and backups consist.
    """
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        with (directory / entries["location"]).open("rb") as weights:
            weights.seek(int(entries.get("offset", "0")))
            tensor.raw_data = weights.read(int(entries["length"]) if "length" in entries else -1)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _counting_nodes(graph: Any) -> AbstractSet[str]:
    """Names of the nodes that compute counts, that is floats derived from integers and not from the audio."""
    types = {value.name: value.type.tensor_type.elem_type for value in _values(graph)}
    heard = {value.name for value in graph.input if types[value.name] == TensorProto.FLOAT}
    counted: set[str] = set()
    nodes: set[str] = set()
    for node in graph.node:
        inputs = set(node.input)
        if inputs & heard and node.op_type not in {"Shape", "Size"}:
            heard |= set(node.output)
            continue
        makes_floats = any(types.get(name) == TensorProto.FLOAT for name in node.output)
        begins = node.op_type in {"Cast", "Range"} and makes_floats and types.get(node.input[0]) in _INTEGERS
        if begins or inputs & counted:
            nodes.add(node.name)
            if makes_floats and node.op_type not in BOUNDED:
                counted |= set(node.output)
    readers = _readers(graph)
    constants = [node for node in graph.node if node.op_type == "Constant"]
    nodes |= {node.name for node in constants if readers.get(node.output[0], set()) & nodes}
    return nodes


def _keep_apart(graph: Any, counting: AbstractSet[str]) -> AbstractSet[str]:
    """Keep counts in fp32 between the counting nodes, and lead them to all others through an Identity node each.

    Returns the names of all nodes that stay in fp32. The converter casts each tensor that `graph.value_info` lists, also
    between two counting nodes, so only tensors that leave them are listed.
    """
    readers = _readers(graph)
    notes = {value.name: value for value in graph.value_info}
    inside: set[str] = set()
    exits = []
    for node in graph.node:
        for name in node.output if node.name in counting else ():
            others = readers.get(name, set()) - counting
            if not readers.get(name, set()) & counting:
                continue
            inside.add(name)
            if others and name in notes:
                left = f"{name}_left"
                exits.append(onnx.helper.make_node("Identity", [name], [left], name=left))
                note = graph.value_info.add()
                note.CopyFrom(notes[name])
                note.name = left
                _read_instead(graph, others, name, left)
    graph.node.extend(exits)
    kept = [value for value in graph.value_info if value.name not in inside]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return counting | {node.name for node in exits}


def _read_instead(graph: Any, nodes: AbstractSet[str], before: str, after: str) -> None:
    for node in graph.node:
        if node.name in nodes:
            for place, name in enumerate(node.input):
                if name == before:
                    node.input[place] = after


def _readers(graph: Any) -> dict[str, set[str]]:
    """The nodes that read each tensor, by its name."""
    found: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            found.setdefault(name, set()).add(node.name)
    return found


def _name_all(graph: Any) -> None:
    """Give each node a unique name, by which the converter distinguishes them."""
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"


def _drop_doubles(graph: Any) -> None:
    """Keep the first of the casts that the converter makes for each reader of a tensor under the same name."""
    seen: set[str] = set()
    kept = []
    for node in graph.node:
        if node.op_type == "Cast" and node.output[0] in seen:
            continue
        seen |= set(node.output)
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _values(graph: Any) -> Iterator[Any]:
    yield from graph.input
    yield from graph.value_info
    yield from graph.output
