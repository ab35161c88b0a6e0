"""Removes the operations by which an encoder masks the padding of a batch, if there is no padding.

An utterance is processed as a batch of one, so if its features have exactly their given length, every mask passes all
values. A masked graph multiplies each feature map of its subsampling by ones (33 MB for 10 s of audio, which also
prevents ONNX Runtime from keeping the maps in the layout of its convolutions) and selects each attention score again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.onnx_graph.graph import Graph, Node, needed

AUDIO, LENGTH = "audio_signal", "length"

_MASKING: Mapping[tuple[str, tuple[str, ...]], tuple[int, int, bool | float]] = {
    ("Mul", ("heard", "told")): (1, 0, 1.0),
    ("Mul", ("told", "heard")): (0, 1, 1.0),
    ("Where", ("told", "", "heard")): (0, 2, False),
    ("Where", ("told", "heard", "")): (0, 1, True),
}
"""How a node masks: the index of the mask input, that of the masked input, and the value of the mask that passes it."""


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks of an encoder; created by `found_in`."""

    graph: Graph
    passing: Mapping[str, bool | float]
    """The masks, with the value that passes the masked tensor: 1.0 for factors, False or True for selections."""
    masked: Mapping[str, str]
    """The masked tensors: the output of the node, and its input that passes."""

    def alone(self) -> bytes:
        """An ONNX file that computes only the masks."""
        return self.graph.alone(
            {name: "float32" if isinstance(value, float) else "bool" for name, value in self.passing.items()}
        )

    def let_all_through(self, masks: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Whether masks, as computed by `alone` for some audio, change nothing."""
        return all(bool(np.all(masks[name] == value)) for name, value in self.passing.items())

    def removed(self) -> bytes:
        """The ONNX file without masks, for features that have exactly the given length."""
        nodes: list[Node] = []
        for node in self.graph.nodes:
            if any(name in self.masked for name in node.gives):
                continue
            changed = node
            for name in dict.fromkeys(node.reads):
                if (through := self._through(name)) != name:
                    changed = changed.reading(name, through)
            nodes.append(changed)
        return self.graph.rewritten(needed(nodes, self.graph.outputs))

    def _through(self, name: str) -> str:
        while name in self.masked:
            name = self.masked[name]
        return name


def found_in(model: bytes) -> Masks | None:
    """The masks that depend on the given length; None if the audio depends on it in any other way.

    Raises ValueError if `model` is not an ONNX file.
    """
    graph = Graph(model)
    if not {AUDIO, LENGTH} <= graph.inputs:
        return None
    heard = graph.depending_on({AUDIO})
    told = graph.depending_on({LENGTH}, but=heard)
    passing: dict[str, bool | float] = {}
    masked: dict[str, str] = {}
    for node in graph.nodes:
        if node.kind == "Shape" or not (told.intersection(node.reads) and heard.intersection(node.reads)):
            continue
        kinds = tuple("heard" if name in heard else "told" if name in told else "" for name in node.reads)
        if (node.kind, kinds) not in _MASKING or node.nested or node.gives[0] in graph.outputs:
            return None
        mask, through, value = _MASKING[node.kind, kinds]
        if passing.setdefault(node.reads[mask], value) != value:
            return None
        masked[node.gives[0]] = node.reads[through]
    if any(node.nested and set(masked).intersection(node.reads) for node in graph.nodes):
        return None
    return Masks(graph, passing, masked) if masked else None
