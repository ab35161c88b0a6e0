"""An ONNX graph: reads, analyzes and rewrites its nodes. Field numbers are from onnx.proto."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.onnx_graph.protobuf import fields, head, spans, texts, whole_fields, written, written_number

_OPSETS, _OPSET_DOMAIN, _OPSET_VERSION = 8, 1, 2
_GRAPH, _GRAPH_NAME = 7, 2
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_NUMBER, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TYPE, _ATTRIBUTE_GRAPHS = 1, 3, 6, 20, 11
_IS_NUMBER = 2
_TENSOR_SIZES, _TENSOR_ELEMENT, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_BESIDE = 1, 2, 8, 9, 13
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _ELEMENT = 1, 1
ELEMENTS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
INT64 = ELEMENTS["int64"]

Part = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Node:
    content: bytes
    kind: str
    reads: tuple[str, ...]
    """Inputs of nodes in nested graphs come last."""
    gives: tuple[str, ...]
    nested: bool
    """Whether it has nested graphs."""

    def reading(self, before: str, after: str) -> "Node":
        """The same node with another input tensor."""
        reads = tuple(after if name == before else name for name in self.reads)
        return Node(_renamed(self.content, _NODE_INPUT, before, after), self.kind, reads, self.gives, self.nested)

    def giving(self, before: str, after: str) -> "Node":
        """The same node with another name for its output."""
        gives = tuple(after if name == before else name for name in self.gives)
        return Node(_renamed(self.content, _NODE_OUTPUT, before, after), self.kind, self.reads, gives, self.nested)


class Graph:
    """The graph of an ONNX file. Raises ValueError if it is not one."""

    def __init__(self, model: bytes) -> None:
        graph = next(spans(model, (0, len(model)), _GRAPH), None)
        if graph is None:
            raise ValueError("is not an ONNX file: it has no graph")
        self._model, self._graph = model, graph
        self._content = memoryview(model)
        self.nodes = [_node(model[slice(*span)]) for span in spans(model, graph, _NODE)]
        """In execution order."""
        self.weights = {texts(model, span, _TENSOR_NAME)[0] for span in spans(model, graph, _INITIALIZER)}
        self.inputs = {texts(model, span, _VALUE_NAME)[0] for span in spans(model, graph, _INPUT)} - self.weights
        self.outputs = {texts(model, span, _VALUE_NAME)[0] for span in spans(model, graph, _OUTPUT)}
        self._declared = {
            texts(model, (begin, end), _VALUE_NAME)[0]: model[begin:end]
            for number, begin, end in fields(model, *graph)
            if number in {_INPUT, _OUTPUT, _VALUE}
        }
        """Declared types and shapes of tensors."""

    @property
    def weights_lie_beside(self) -> bool:
        """Whether some of the weights are in another file."""
        model = self._model
        return any(
            True for tensor in spans(model, self._graph, _INITIALIZER) for _ in spans(model, tensor, _TENSOR_BESIDE)
        )

    @property
    def opset(self) -> int:
        """Version of ONNX's own operator set; 0 if it is not declared."""
        model = self._model
        for span in spans(model, (0, len(model)), _OPSETS):
            if not any(texts(model, span, _OPSET_DOMAIN)):
                return max((model[begin] for begin, _ in spans(model, span, _OPSET_VERSION)), default=0)
        return 0

    def depending_on(self, names: Iterable[str], *, but: Iterable[str] = (), by_shape: bool = False) -> set[str]:
        """These tensors and all that depend on their values, without those that depend on `but`.

        Tensors that depend only on their shapes are included if `by_shape` is true.
        """
        left_out = set(but)
        reached = set(names)
        for node in self.nodes:
            if (by_shape or node.kind != "Shape") and reached.intersection(node.reads):
                reached.update(set(node.gives) - left_out)
        return reached

    def part(self, nodes: Sequence[Node], gives: Iterable[str], elements: Mapping[str, str]) -> bytes:
        """An ONNX file of some of the nodes, with these outputs; its inputs are what none of the nodes produces.

        `elements` has the type (`float32`, ...) of inputs and outputs that the graph does not declare.
        """
        read = set().union(*(node.reads for node in nodes))
        takes = read.difference(self.weights, {""}, *(node.gives for node in nodes))
        parts: list[Part] = [written(_GRAPH_NAME, b"part"), *(written(_NODE, node.content) for node in nodes)]
        parts += self._initializers(read)
        for field, names in ((_INPUT, sorted(takes)), (_OUTPUT, gives)):
            parts += [written(field, self._declared.get(name) or _value(name, elements[name])) for name in names]
        return self._whole(parts)

    def alone(self, outputs: Mapping[str, str]) -> bytes:
        """An ONNX file that computes only these tensors, which have these types (`float32`, ...)."""
        return self.part(needed(self.nodes, outputs), outputs, outputs)

    def rewritten(self, nodes: Sequence[Node], weights: Mapping[str, npt.NDArray[Any]] | None = None) -> bytes:
        """An ONNX file with these nodes instead, and these weights in addition to those that are still read."""
        read = self.outputs.union(*(node.reads for node in nodes))
        parts: list[Part] = [written(_NODE, node.content) for node in nodes]
        parts += [
            self._content[field:end]
            for number, field, _, end in whole_fields(self._model, *self._graph)
            if number not in {_NODE, _INITIALIZER}
        ]
        parts += self._initializers(read)
        parts += [written(_INITIALIZER, _tensor(name, values)) for name, values in (weights or {}).items()]
        return self._whole(parts)

    def live(self, place: int) -> set[str]:
        """The tensors that are produced before that position, or inputs, and used after it, or outputs."""
        return {name for name, (given, taken) in self._lives.items() if given <= place <= taken}

    @cached_property
    def _lives(self) -> dict[str, tuple[int, int]]:
        """For each tensor, the first position at which it exists and the last one before which it is needed."""
        given = dict.fromkeys(self.inputs, 0)
        taken: dict[str, int] = {}
        for number, node in enumerate(self.nodes):
            given |= dict.fromkeys(node.gives, number + 1)
            taken |= dict.fromkeys(node.reads, number)
        taken |= dict.fromkeys(self.outputs, len(self.nodes))
        return {name: (place, taken[name]) for name, place in given.items() if name in taken and name}

    def giving(self, names: Iterable[str]) -> bytes:
        """An ONNX file that has these tensors of any type as additional outputs."""
        parts: list[Part] = [self._content[slice(*self._graph)]]
        parts += [written(_OUTPUT, written(_VALUE_NAME, name.encode())) for name in sorted(names)]
        return self._whole(parts)

    def piece(self, begin: int, end: int, elements: Mapping[str, str]) -> bytes:
        """An ONNX file of the nodes between two positions, with the tensors live at both as inputs and outputs.

        `elements` has the type of each tensor that is `live` at either position.
        """
        nodes = self.nodes[begin:end]
        gives = self.live(end) & {name for node in nodes for name in node.gives}
        return self.part(nodes, sorted(gives), elements)

    def _initializers(self, wanted: set[str]) -> list[Part]:
        return [
            self._content[start:end]
            for number, start, begin, end in whole_fields(self._model, *self._graph)
            if number == _INITIALIZER and texts(self._model, (begin, end), _TENSOR_NAME)[0] in wanted
        ]

    def _whole(self, graph: list[Part]) -> bytes:
        """The file with another graph. Weights are gigabytes: they are copied only once."""
        before = [
            self._content[field:end]
            for number, field, _, end in whole_fields(self._model, 0, len(self._model))
            if number != _GRAPH
        ]
        return b"".join([*before, head(_GRAPH, sum(map(len, graph))), *graph])


def needed(nodes: Sequence[Node], outputs: Iterable[str]) -> list[Node]:
    """The nodes that are necessary for these tensors, in their order."""
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.gives):
            kept.append(node)
            wanted.update(node.reads)
    return kept[::-1]


def made(kind: str, reads: tuple[str, ...], gives: tuple[str, ...], numbers: Mapping[str, int]) -> Node:
    """A node whose attributes are integers."""
    content = b"".join(written(_NODE_INPUT, name.encode()) for name in reads)
    content += b"".join(written(_NODE_OUTPUT, name.encode()) for name in gives)
    content += written(_NODE_NAME, gives[0].encode()) + written(_NODE_TYPE, kind.encode())
    for name, value in numbers.items():
        content += written(
            _NODE_ATTRIBUTE,
            written(_ATTRIBUTE_NAME, name.encode())
            + written_number(_ATTRIBUTE_NUMBER, value % 2**64)
            + written_number(_ATTRIBUTE_TYPE, _IS_NUMBER),
        )
    return Node(content, kind, reads, gives, nested=False)


def _node(content: bytes) -> Node:
    whole = (0, len(content))
    reads = texts(content, whole, _NODE_INPUT)
    inner = [
        _node(content[slice(*span)])
        for attribute in spans(content, whole, _NODE_ATTRIBUTE)
        for number, begin, end in fields(content, *attribute)
        if number in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}
        for span in spans(content, (begin, end), _NODE)
    ]
    for node in inner:
        reads += node.reads
    (kind,) = texts(content, whole, _NODE_TYPE)
    return Node(content, kind, tuple(reads), tuple(texts(content, whole, _NODE_OUTPUT)), nested=bool(inner))


def _value(name: str, element: str) -> bytes:
    kind = written(_TYPE_TENSOR, written_number(_ELEMENT, ELEMENTS[element]))
    return written(_VALUE_NAME, name.encode()) + written(_VALUE_TYPE, kind)


def _tensor(name: str, values: npt.NDArray[Any]) -> bytes:
    content = b"".join(written_number(_TENSOR_SIZES, size) for size in values.shape)
    content += written_number(_TENSOR_ELEMENT, ELEMENTS[values.dtype.name]) + written(_TENSOR_NAME, name.encode())
    return content + written(_TENSOR_RAW, np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes())


def _renamed(node: bytes, field: int, before: str, after: str) -> bytes:
    return b"".join(
        written(field, after.encode()) if number == field and node[begin:end] == before.encode() else node[start:end]
        for number, start, begin, end in whole_fields(node, 0, len(node))
    )
