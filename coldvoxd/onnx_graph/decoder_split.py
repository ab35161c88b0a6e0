"""The decoder_joint of a transducer, cut in its two networks.

One step of a transducer runs the prediction network and the joint network. The first depends on the tokens alone, so
after a blank its answer is what it was; published models have both in one graph, which computes it again each time.
"""

from dataclasses import dataclass

from coldvoxd.onnx_graph.graph import Graph, needed

FRAME = "encoder_outputs"
"""The one input on which the joint network alone depends."""
LOGITS = "outputs"
STATES = ("output_states_1", "output_states_2")


@dataclass(frozen=True, slots=True)
class DecoderSplit:
    """Two models that are one where `link` is passed on; each a whole ONNX file."""

    prediction: bytes
    joint: bytes
    link: str
    """Output of the one and input of the other."""


def cut(model: bytes) -> DecoderSplit | None:
    """The halves of a decoder_joint; None where it doesn't fall apart at one tensor, or its weights lie elsewhere.

    Every node goes over as it is, so each half computes what it computed in the whole. What no node reads is no input:
    OpenVINO's provider fails to run a graph that has such an input. Raises ValueError where `model` is no ONNX file.
    """
    graph = Graph(model)
    if graph.weights_lie_beside:
        return None
    heard = graph.depending_on({FRAME}, by_shape=True)
    told = graph.depending_on(graph.inputs - {FRAME}, by_shape=True)
    if LOGITS not in heard or heard.intersection(STATES):
        return None
    joint = needed(
        [node for node in graph.nodes if not told.intersection(node.gives) or heard.intersection(node.gives)], {LOGITS}
    )
    links = {name for node in joint for name in node.reads} & told - heard
    if len(links) != 1 or links <= graph.inputs:
        return None
    (link,) = links
    prediction = needed([node for node in graph.nodes if not heard.intersection(node.gives)], {link, *STATES})
    elements = {link: "float32"}
    return DecoderSplit(
        prediction=graph.part(prediction, (link, *STATES), elements),
        joint=graph.part(joint, (LOGITS,), elements),
        link=link,
    )
