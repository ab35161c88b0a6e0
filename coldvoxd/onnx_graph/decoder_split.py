"""Splits the decoder_joint of a transducer into its two networks.

One step of a transducer runs the prediction network and the joint network. The first depends only on the tokens, so its
output is unchanged after a blank; published models have both in one graph, which computes it again in each step.
"""

from dataclasses import dataclass

from coldvoxd.onnx_graph.graph import Graph, needed

FRAME = "encoder_outputs"
"""The input on which only the joint network depends."""
LOGITS = "outputs"
STATES = ("output_states_1", "output_states_2")


@dataclass(frozen=True, slots=True)
class DecoderSplit:
    """Two models that together are the original one if `link` is passed on; each a complete ONNX file."""

    prediction: bytes
    joint: bytes
    link: str
    """The tensor that is an output of the first and an input of the second."""


def cut(model: bytes) -> DecoderSplit | None:
    """The parts of a decoder_joint; None if it cannot be split at one tensor, or its weights are in another file.

    Every node is copied unchanged, so that each part computes the same as in the original. Tensors that no node reads
    are not inputs: OpenVINO's provider fails with such inputs. Raises ValueError if `model` is not an ONNX file.
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
