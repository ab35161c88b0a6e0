"""What is done to the ONNX graphs before they run: `decoder_joint` is cut in two.

One step of a transducer runs the prediction network and the joint network. The first depends on the tokens alone, so
after a blank its answer is what it was; published models have both in one graph, which computes it again each time.
Field numbers are from onnx.proto.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from coldvoxd.core.wire import Buffer, fields, spans, texts, whole_fields, written, written_number

FRAME = "encoder_outputs"
"""The one input on which the joint network alone depends."""
LOGITS = "outputs"
STATES = ("output_states_1", "output_states_2")

_MODEL_GRAPH = 7
_NODE, _GRAPH_NAME, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 2, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA = 8, 13
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_ELEMENT = 1, 1
_FLOAT32 = 1


@dataclass(frozen=True, slots=True)
class Halves:
    """Two models that are one where `link` is passed on; each a whole ONNX file."""

    prediction: bytes
    joint: bytes
    link: str
    """Output of the one and input of the other."""


@dataclass(frozen=True, slots=True)
class _Node:
    span: tuple[int, int]
    reads: frozenset[str]
    gives: tuple[str, ...]


def cut(model: bytes) -> Halves | None:
    """The halves of a decoder_joint; None where it doesn't fall apart at one tensor, or its weights lie elsewhere.

    Every node goes over as it is, so each half computes what it computed in the whole. Raises ValueError where
    `model` is no ONNX file.
    """
    graph = next(spans(model, (0, len(model)), _MODEL_GRAPH), None)
    if graph is None or any(
        True for tensor in spans(model, graph, _INITIALIZER) for _ in spans(model, tensor, _TENSOR_EXTERNAL_DATA)
    ):
        return None
    nodes = [_node(model, span) for span in spans(model, graph, _NODE)]
    inputs = {texts(model, span, _VALUE_NAME)[0] for span in spans(model, graph, _INPUT)}
    heard = _reached({FRAME}, nodes)
    told = _reached(inputs - {FRAME}, nodes)
    joint = _needed({LOGITS}, [node for node in nodes if not told.intersection(node.gives) or heard & set(node.gives)])
    links = {name for node in joint for name in node.reads} & told - heard
    if len(links) != 1 or LOGITS not in heard or heard.intersection(STATES):
        return None
    (link,) = links
    prediction = _needed({link, *STATES}, [node for node in nodes if not heard.intersection(node.gives)])
    if link in inputs:
        return None
    return Halves(
        prediction=_model(model, graph, prediction, inputs=inputs - {FRAME}, outputs=(link, *STATES), link=link),
        joint=_model(model, graph, joint, inputs={FRAME, link}, outputs=(LOGITS,), link=link),
        link=link,
    )


def _node(model: Buffer, span: tuple[int, int]) -> _Node:
    return _Node(span, frozenset(_read_by(model, span)), tuple(texts(model, span, _NODE_OUTPUT)))


def _read_by(model: Buffer, node: tuple[int, int]) -> Iterable[str]:
    """Names that a node reads, and the nodes of the graphs within it."""
    yield from texts(model, node, _NODE_INPUT)
    for attribute in spans(model, node, _NODE_ATTRIBUTE):
        for number, begin, end in fields(model, *attribute):
            if number in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}:
                for inner in spans(model, (begin, end), _NODE):
                    yield from _read_by(model, inner)


def _reached(names: set[str], nodes: Iterable[_Node]) -> set[str]:
    """These names and all that depends on them; nodes stand in the order in which they run."""
    reached = set(names)
    for node in nodes:
        if node.reads & reached:
            reached.update(node.gives)
    return reached


def _needed(names: set[str], nodes: list[_Node]) -> list[_Node]:
    """The nodes without which these names can't be had, in their order."""
    wanted = set(names)
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.gives):
            kept.append(node)
            wanted |= node.reads
    return kept[::-1]


def _model(
    model: bytes, graph: tuple[int, int], nodes: list[_Node], *, inputs: set[str], outputs: tuple[str, ...], link: str
) -> bytes:
    read = {name for node in nodes for name in node.reads}
    parts = [written(_NODE, model[slice(*node.span)]) for node in nodes]
    parts += [written(_GRAPH_NAME, name.encode()) for name in texts(model, graph, _GRAPH_NAME)]
    parts += [
        written(_INITIALIZER, model[slice(*span)])
        for span in spans(model, graph, _INITIALIZER)
        if texts(model, span, _TENSOR_NAME)[0] in read
    ]
    values = {
        (number, texts(model, (begin, end), _VALUE_NAME)[0]): model[begin:end]
        for number, begin, end in fields(model, *graph)
        if number in {_INPUT, _OUTPUT, _VALUE_INFO}
    }
    unnamed = written(_VALUE_NAME, link.encode()) + written(
        _VALUE_TYPE, written(_TYPE_TENSOR, written_number(_TENSOR_ELEMENT, _FLOAT32))
    )
    linked = values.get((_VALUE_INFO, link), unnamed)
    # What no node reads must go: OpenVINO's provider fails to run a graph that has such an input.
    parts += [
        written(_INPUT, linked if name == link else values[_INPUT, name]) for name in sorted(inputs) if name in read
    ]
    parts += [written(_OUTPUT, linked if name == link else values[_OUTPUT, name]) for name in outputs]
    head = b"".join(
        model[field:end] for number, field, _, end in whole_fields(model, 0, len(model)) if number != _MODEL_GRAPH
    )
    return head + written(_MODEL_GRAPH, b"".join(parts))
