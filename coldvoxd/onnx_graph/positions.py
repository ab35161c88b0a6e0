"""Precomputed relative-position projections for a Conformer encoder: each layer reads them from a table.

With relative positions every layer of a Conformer (Transformer-XL's attention, arXiv:1901.02860, 3.3) multiplies the
same 2 T - 1 rows of positions by its own matrix. The products depend only on the number of frames T, and those of fewer
frames are the middle rows of those of more. Rows beyond the table are multiplied as before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.onnx_graph.graph import INT64, Graph, Node, made

Computed = Mapping[str, npt.NDArray[np.float32]]

_OLDEST = 13
"""First opset in which Split takes its sizes as an input."""
_PRODUCTS = {"MatMul": (), "MatMulInteger": ("Cast", "Mul")}
"""The first node of a product, and the nodes that follow."""
_NEW = "coldvoxd.positions"
"""Prefix of all added names."""
_ROWS = -2
"""Axis of the positions, with or without a batch axis before it."""


@dataclass(frozen=True, slots=True)
class Positions:
    """The position products of an encoder; created by `found_in`."""

    graph: Graph
    shared: str
    """The tensor of positions that all layers read."""
    products: Mapping[str, tuple[int, int]]
    """The products by name, with the indices of the nodes that read the positions and return the product."""
    ranges: tuple[str, ...]
    """Scale and zero point of quantized positions; the products depend on them."""

    def alone(self) -> bytes:
        """An ONNX file that computes only the products, float32 (..., 2 T - 1, size), and the ranges."""
        ranges = dict(zip(self.ranges, ("float32", "uint8"), strict=False))
        return self.graph.alone(dict.fromkeys(self.products, "float32") | ranges)

    def folded(self, tables: Computed, ranges: Mapping[str, npt.NDArray[Any]]) -> bytes:
        """The ONNX file that reads the products from `tables`, (..., 2 T - 1, size) each, as far as these reach.

        The tables are used only if the positions' ranges equal `ranges`, for which the tables were computed.
        """
        (rows,) = {table.shape[_ROWS] for table in tables.values()}
        reading = {first for first, _ in self.products.values()}
        giving = {last: name for name, (_, last) in self.products.items()}
        added: dict[str, npt.NDArray[Any]] = {f"{_NEW}.{name}": table for name, table in tables.items()}
        added |= {f"{_NEW}.{name}": np.array(values, np.int64) for name, values in _numbers(rows).items()}
        added |= {f"{_NEW}.{name}": ranges[name] for name in self.ranges}
        nodes: list[Node] = []
        begun = False
        for number, node in enumerate(self.graph.nodes):
            if number in reading and not begun:
                nodes += _borders(self.shared, self.ranges)
                begun = True
            changed = node.reading(self.shared, f"{_NEW}.outside") if number in reading else node
            if number in giving:
                changed = changed.giving(giving[number], f"{_NEW}.{giving[number]}.outside")
            nodes.append(changed)
            if number in giving:
                nodes += _looked_up(giving[number])
        return self.graph.rewritten(nodes, added)


def found_in(model: bytes) -> Positions | None:
    """The products of weights and one tensor that depends only on the length; None if the graph differs.

    In fp32 they are a MatMul, in int8 as written by ONNX Runtime's dynamic quantization (MatMulInteger, Cast, Mul).
    Raises ValueError if `model` is not an ONNX file.
    """
    graph = Graph(model)
    if graph.opset < _OLDEST:
        return None
    nodes = graph.nodes
    heard = graph.depending_on(graph.inputs)
    counted = _counted(graph, heard)
    readers: dict[str, list[int]] = {}
    for number, node in enumerate(nodes):
        for name in node.reads:
            readers.setdefault(name, []).append(number)
    shared = set()
    products: dict[str, tuple[int, int]] = {}
    for number, node in enumerate(nodes):
        if node.kind in _PRODUCTS and node.reads[0] in counted and node.reads[1] in graph.weights:
            last = _last(number, nodes, readers, heard)
            if last is None or graph.outputs.intersection(nodes[last].gives):
                return None
            shared.add(node.reads[0])
            products[nodes[last].gives[0]] = (number, last)
    if len(shared) != 1:
        return None
    (positions,) = shared
    maker = next(node for node in nodes if positions in node.gives)
    ranges = maker.gives[1:] if maker.kind == "DynamicQuantizeLinear" else ()
    quantized = {nodes[first].kind for first, _ in products.values()} == {"MatMulInteger"}
    return Positions(graph, positions, products, ranges) if quantized == bool(ranges) else None


def _counted(graph: Graph, heard: set[str]) -> set[str]:
    """The tensors that depend only on the shape of the audio, not on its values or on the given length."""
    counted = set[str]()
    for node in graph.nodes:
        if (heard | counted).intersection(node.reads):
            counted.update(set(node.gives) - heard)
    return counted


def _last(number: int, nodes: list[Node], readers: Mapping[str, list[int]], heard: set[str]) -> int | None:
    """The node that returns the product which this one starts; None if the following nodes differ."""
    for kind in _PRODUCTS[nodes[number].kind]:
        after = readers.get(nodes[number].gives[0], [])
        if len(after) != 1 or nodes[after[0]].kind != kind or heard.intersection(nodes[after[0]].reads):
            return None
        (number,) = after
    return number


def tables_of(
    compute: Callable[[int], Computed], columns: int, others: tuple[int, ...], tolerance: float
) -> Computed | None:
    """The products for this many feature columns; None unless those for each of `others` are their middle rows.

    `compute` returns the products for a number of columns. They may differ by `tolerance` relative to the greatest
    value of a table.
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


def _borders(shared: str, ranges: tuple[str, ...]) -> list[Node]:
    """Nodes that compute which rows the table has, and gather the positions outside it on both sides."""
    reach, fitting = ".reach", list[tuple[str, tuple[str, ...], str, dict[str, int]]]()
    for name in ranges:
        known, less = f".{name}", f"{reach}.less"
        fitting.append(("Equal", (name, known), f"{known}.same", {}))
        fitting.append(("Cast", (f"{known}.same",), f"{known}.one", {"to": INT64}))
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
    nodes = [made("Shape", (shared,), (f"{_NEW}.sizes",), {})]
    for kind, reads, gives, numbers in steps:
        named = tuple(f"{_NEW}{name}" if name.startswith(".") else name for name in reads)
        nodes.append(made(kind, named, (f"{_NEW}{gives}",), numbers))
    return nodes


def _looked_up(product: str) -> list[Node]:
    """Nodes that assemble a product: rows before the table, the table's, rows after it."""
    own = f"{_NEW}.{product}"
    before, after = f"{own}.before", f"{own}.after"
    borders = (f"{_NEW}.begin", f"{_NEW}.end", f"{_NEW}.axis")
    return [
        made("Split", (f"{own}.outside", f"{_NEW}.both"), (before, after), {"axis": _ROWS}),
        made("Slice", (own, *borders), (f"{own}.inside",), {}),
        made("Concat", (before, f"{own}.inside", after), (product,), {"axis": _ROWS}),
    ]
