"""What an encoder multiplies of positions alone, computed once: each layer reads it from a table instead.

With relative positions every layer of a Conformer (Transformer-XL's attention, arXiv:1901.02860, 3.3) multiplies the same
2 T - 1 rows of positions by a matrix of its own, and the products depend on nothing but the number of frames T: those of fewer
frames are the middle rows of those of more. Rows beyond the table are multiplied as before. Field numbers are from onnx.proto.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.wire import fields, spans, texts, whole_fields, written, written_number

Computed = Mapping[str, npt.NDArray[np.float32]]

_OPSETS, _OPSET_DOMAIN, _OPSET_VERSION = 8, 1, 2
_GRAPH, _GRAPH_NAME = 7, 2
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_NUMBER, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TYPE, _ATTRIBUTE_GRAPHS = 1, 3, 6, 20, 11
_IS_NUMBER = 2
_TENSOR_SIZES, _TENSOR_ELEMENT, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _ELEMENT = 1, 1
_ELEMENTS = {"float32": 1, "uint8": 2, "int64": 7}
_INT64 = 7
_OLDEST = 13
"""Opset from which Split takes its sizes as an input."""
_PRODUCTS = {"MatMul": (), "MatMulInteger": ("Cast", "Mul")}
"""With what each begins, and the nodes that follow."""
_NEW = "coldvoxd.positions"
"""Begins the name of all that is added."""
_ROWS = -2
"""Axis of the positions, whether a batch stands before it or not."""


@dataclass(frozen=True, slots=True)
class _Node:
    span: tuple[int, int]
    kind: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Positions:
    """Where an encoder multiplies positions; `found_in` makes it."""

    model: bytes
    shared: str
    """The tensor of positions that all layers read."""
    products: Mapping[str, tuple[int, int]]
    """The products, by name, with the numbers of the nodes that read the positions and give the product."""
    ranges: tuple[str, ...]
    """Scale and zero point of the positions where they are quantized; where these differ, so do the products."""

    def alone(self) -> bytes:
        """An ONNX file that gives the products, float32 (..., 2 T - 1, size), and the ranges, and computes nothing else."""
        graph = next(spans(self.model, (0, len(self.model)), _GRAPH))
        outputs = dict.fromkeys(self.products, "float32") | dict(zip(self.ranges, ("float32", "uint8"), strict=False))
        wanted = set(outputs)
        kept = []
        for node in reversed(_nodes(self.model, graph)):
            if wanted.intersection(node.gives):
                kept.append(node)
                wanted.update(node.reads)
        parts = [written(_NODE, self.model[slice(*node.span)]) for node in reversed(kept)]
        parts += _named(self.model, graph, _INITIALIZER, _TENSOR_NAME, wanted)
        parts += _named(self.model, graph, _INPUT, _VALUE_NAME, wanted)
        for name, element in outputs.items():
            kind = written(_TYPE_TENSOR, written_number(_ELEMENT, _ELEMENTS[element]))
            parts.append(written(_OUTPUT, written(_VALUE_NAME, name.encode()) + written(_VALUE_TYPE, kind)))
        return _whole(self.model, written(_GRAPH_NAME, b"positions") + b"".join(parts))

    def folded(self, tables: Computed, ranges: Mapping[str, npt.NDArray[Any]]) -> bytes:
        """The ONNX file that takes the products from `tables`, (..., 2 T - 1, size) each, as far as these reach.

        And only where the positions' ranges are just `ranges`, with which the tables were computed.
        """
        (rows,) = {table.shape[_ROWS] for table in tables.values()}
        graph = next(spans(self.model, (0, len(self.model)), _GRAPH))
        reading = {first for first, _ in self.products.values()}
        giving = {last: name for name, (_, last) in self.products.items()}
        added = [_tensor(f"{_NEW}.{name}", table) for name, table in tables.items()]
        added += [_tensor(f"{_NEW}.{name}", np.array(values, np.int64)) for name, values in _numbers(rows).items()]
        added += [_tensor(f"{_NEW}.{name}", ranges[name]) for name in self.ranges]
        parts = []
        begun = False
        for number, node in enumerate(_nodes(self.model, graph)):
            if number in reading and not begun:
                parts += _borders(self.shared, self.ranges)
                begun = True
            content = self.model[slice(*node.span)]
            if number in reading:
                content = _renamed(content, _NODE_INPUT, self.shared, f"{_NEW}.outside")
            if number in giving:
                content = _renamed(content, _NODE_OUTPUT, giving[number], f"{_NEW}.{giving[number]}.outside")
            parts.append(written(_NODE, content))
            if number in giving:
                parts += _looked_up(giving[number])
        parts += [
            self.model[field:end] for number, field, _, end in whole_fields(self.model, *graph) if number != _NODE
        ]
        return _whole(self.model, b"".join(parts + [written(_INITIALIZER, tensor) for tensor in added]))


def found_in(model: bytes) -> Positions | None:
    """Where layers multiply one tensor that depends on the length alone by weights; None where they don't just so.

    They do it in fp32 (MatMul), or in int8 as ONNX Runtime's dynamic quantization writes it (MatMulInteger, Cast, Mul). Raises
    ValueError where `model` is no ONNX file.
    """
    graph = next(spans(model, (0, len(model)), _GRAPH), None)
    if graph is None or _opset(model) < _OLDEST:
        return None
    nodes = _nodes(model, graph)
    weights = {texts(model, span, _TENSOR_NAME)[0] for span in spans(model, graph, _INITIALIZER)}
    inputs = {texts(model, span, _VALUE_NAME)[0] for span in spans(model, graph, _INPUT)} - weights
    outputs = {texts(model, span, _VALUE_NAME)[0] for span in spans(model, graph, _OUTPUT)}
    heard, counted = _told_apart(nodes, inputs)
    readers: dict[str, list[int]] = {}
    for number, node in enumerate(nodes):
        for name in node.reads:
            readers.setdefault(name, []).append(number)
    shared = set()
    products: dict[str, tuple[int, int]] = {}
    for number, node in enumerate(nodes):
        if node.kind in _PRODUCTS and node.reads[0] in counted and node.reads[1] in weights:
            last = _last(number, nodes, readers, heard)
            if last is None or outputs.intersection(nodes[last].gives):
                return None
            shared.add(node.reads[0])
            products[nodes[last].gives[0]] = (number, last)
    if len(shared) != 1:
        return None
    (positions,) = shared
    maker = next(node for node in nodes if positions in node.gives)
    ranges = maker.gives[1:] if maker.kind == "DynamicQuantizeLinear" else ()
    quantized = {nodes[first].kind for first, _ in products.values()} == {"MatMulInteger"}
    return Positions(model, positions, products, ranges) if quantized == bool(ranges) else None


def _told_apart(nodes: list[_Node], inputs: set[str]) -> tuple[set[str], set[str]]:
    """What depends on the audio or its given length, and what depends on its shape alone."""
    heard, counted = set(inputs), set[str]()
    for node in nodes:
        if node.kind != "Shape" and heard.intersection(node.reads):
            heard.update(node.gives)
        elif (heard | counted).intersection(node.reads):
            counted.update(node.gives)
    return heard, counted


def _last(number: int, nodes: list[_Node], readers: Mapping[str, list[int]], heard: set[str]) -> int | None:
    """The node that gives the product which this one begins; None where what follows is not just as expected."""
    for kind in _PRODUCTS[nodes[number].kind]:
        after = readers.get(nodes[number].gives[0], [])
        if len(after) != 1 or nodes[after[0]].kind != kind or heard.intersection(nodes[after[0]].reads):
            return None
        (number,) = after
    return number


def tables_of(
    compute: Callable[[int], Computed], columns: int, others: tuple[int, ...], tolerance: float
) -> Computed | None:
    """The products of so many feature columns; None unless those of each of `others` are their middle rows.

    `compute` gives the products of a number of columns. They may differ by `tolerance` of the greatest in a table.
    """
    tables = compute(columns)
    if len({table.shape[_ROWS] for table in tables.values()}) != 1:
        return None
    for fewer in others:
        for name, product in compute(fewer).items():
            table = tables[name]
            spare = table.shape[_ROWS] - product.shape[_ROWS]
            if spare < 0 or spare % 2:
                return None
            middle = table[..., spare // 2 : table.shape[_ROWS] - spare // 2, :]
            if middle.shape != product.shape or not np.allclose(
                middle, product, rtol=0, atol=tolerance * float(np.abs(table).max())
            ):
                return None
    return tables


def _numbers(rows: int) -> dict[str, list[int]]:
    return {"reach": [rows], "zero": [0], "two": [2], "axis": [_ROWS]}


def _borders(shared: str, ranges: tuple[str, ...]) -> list[bytes]:
    """Nodes that tell which rows the table has, and that gather the positions outside it on both sides."""
    reach, fitting = ".reach", list[tuple[str, tuple[str, ...], str, dict[str, int]]]()
    for name in ranges:
        known, less = f".{name}", f"{reach}.less"
        fitting.append(("Equal", (name, known), f"{known}.same", {}))
        fitting.append(("Cast", (f"{known}.same",), f"{known}.one", {"to": _INT64}))
        fitting.append(("Mul", (reach, f"{known}.one"), less, {}))
        reach = less
    steps: tuple[tuple[str, tuple[str, ...], str, dict[str, int]], ...] = (
        *fitting,
        ("Gather", (".sizes", ".axis"), ".rows", {"axis": 0}),
        ("Sub", (".rows", reach), ".more", {}),
        ("Max", (".more", ".zero"), ".missing", {}),
        ("Div", (".missing", ".two"), ".head", {}),
        ("Sub", (".rows", ".missing"), ".inside", {}),
        ("Sub", (reach, ".inside"), ".spare", {}),
        ("Div", (".spare", ".two"), ".begin", {}),
        ("Add", (".begin", ".inside"), ".end", {}),
        ("Add", (".head", ".inside"), ".tail", {}),
        ("Sub", (".rows", ".tail"), ".rest", {}),
        ("Concat", (".head", ".rest"), ".both", {"axis": 0}),
        ("Slice", (shared, ".zero", ".head", ".axis"), ".before", {}),
        ("Slice", (shared, ".tail", ".rows", ".axis"), ".after", {}),
        ("Concat", (".before", ".after"), ".outside", {"axis": _ROWS}),
    )
    made = [_node("Shape", (shared,), (f"{_NEW}.sizes",), {})]
    for kind, reads, gives, numbers in steps:
        named = tuple(f"{_NEW}{name}" if name.startswith(".") else name for name in reads)
        made.append(_node(kind, named, (f"{_NEW}{gives}",), numbers))
    return made


def _looked_up(product: str) -> list[bytes]:
    """Nodes that put a product together: rows before the table, the table's, rows after it."""
    own = f"{_NEW}.{product}"
    before, after = f"{own}.before", f"{own}.after"
    borders = (f"{_NEW}.begin", f"{_NEW}.end", f"{_NEW}.axis")
    return [
        _node("Split", (f"{own}.outside", f"{_NEW}.both"), (before, after), {"axis": _ROWS}),
        _node("Slice", (own, *borders), (f"{own}.inside",), {}),
        _node("Concat", (before, f"{own}.inside", after), (product,), {"axis": _ROWS}),
    ]


def _node(kind: str, reads: tuple[str, ...], gives: tuple[str, ...], numbers: Mapping[str, int]) -> bytes:
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
    return written(_NODE, content)


def _tensor(name: str, values: npt.NDArray[Any]) -> bytes:
    content = b"".join(written_number(_TENSOR_SIZES, size) for size in values.shape)
    content += written_number(_TENSOR_ELEMENT, _ELEMENTS[values.dtype.name]) + written(_TENSOR_NAME, name.encode())
    return content + written(_TENSOR_RAW, values.astype(values.dtype.newbyteorder("<")).tobytes())


def _renamed(node: bytes, field: int, before: str, after: str) -> bytes:
    return b"".join(
        written(field, after.encode()) if number == field and node[begin:end] == before.encode() else node[start:end]
        for number, start, begin, end in whole_fields(node, 0, len(node))
    )


def _named(model: bytes, graph: tuple[int, int], field: int, name: int, wanted: set[str]) -> list[bytes]:
    return [
        written(field, model[slice(*span)])
        for span in spans(model, graph, field)
        if texts(model, span, name)[0] in wanted
    ]


def _whole(model: bytes, graph: bytes) -> bytes:
    head = b"".join(
        model[field:end] for number, field, _, end in whole_fields(model, 0, len(model)) if number != _GRAPH
    )
    return head + written(_GRAPH, graph)


def _opset(model: bytes) -> int:
    """Of ONNX's own operators; 0 where it isn't told."""
    for span in spans(model, (0, len(model)), _OPSETS):
        if not any(texts(model, span, _OPSET_DOMAIN)):
            return max((model[begin] for begin, _ in spans(model, span, _OPSET_VERSION)), default=0)
    return 0


def _nodes(model: bytes, graph: tuple[int, int]) -> list[_Node]:
    return [_read(model, span) for span in spans(model, graph, _NODE)]


def _read(model: bytes, span: tuple[int, int]) -> _Node:
    reads = list(texts(model, span, _NODE_INPUT))
    for attribute in spans(model, span, _NODE_ATTRIBUTE):
        for number, begin, end in fields(model, *attribute):
            if number in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}:
                for inner in spans(model, (begin, end), _NODE):
                    reads += _read(model, inner).reads
    (kind,) = texts(model, span, _NODE_TYPE)
    return _Node(span, kind, tuple(reads), tuple(texts(model, span, _NODE_OUTPUT)))
