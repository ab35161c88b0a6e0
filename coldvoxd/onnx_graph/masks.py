"""What an encoder does to hide a batch's padding, left out where there is none.

An utterance is a batch of its own, so once its features are given at just their length, every mask lets everything through.
Masked, a graph multiplies each feature map of its subsampling by ones (33 MB of them for 10 s of audio, and ONNX Runtime can't
keep the maps in the layout of its convolutions meanwhile) and picks each attention score anew.
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
"""How a node masks: which input is the mask, which one is masked, and with what value of the mask that goes through."""


@dataclass(frozen=True, slots=True)
class Masks:
    """Where an encoder hides padding; `found_in` makes it."""

    graph: Graph
    passing: Mapping[str, bool | float]
    """The masks, with the value that lets through what is masked: 1.0 of factors, False or True of choices."""
    masked: Mapping[str, str]
    """What is masked: the tensor that the node gives, and the one that it lets through."""

    def alone(self) -> bytes:
        """An ONNX file that gives the masks and computes nothing else."""
        return self.graph.alone(
            {name: "float32" if isinstance(value, float) else "bool" for name, value in self.passing.items()}
        )

    def let_all_through(self, masks: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Whether masks of some audio, as `alone` gives them, change nothing."""
        return all(bool(np.all(masks[name] == value)) for name, value in self.passing.items())

    def removed(self) -> bytes:
        """The ONNX file without masks, for features of just the length that is given with them."""
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
    """Where the audio is multiplied or chosen by what depends on its given length; None where it meets that in other ways.

    Raises ValueError where `model` is no ONNX file.
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
