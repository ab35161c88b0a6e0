"""What the inputs and outputs of a prediction and a joint network are called, or in which order they come."""

from dataclasses import dataclass

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.native.session import OrtSession
from coldvoxd.onnx_graph.decoder_split import FRAME, LOGITS, STATES

INPUT_STATES = ("input_states_1", "input_states_2")
TOKENS = "targets"
COUNT = "target_length"
_POSITIONS = 4
"""Token, number of tokens and two states; the prediction, its length and two states."""

__all__ = ["COUNT", "FRAME", "INPUT_STATES", "LOGITS", "STATES", "TOKENS", "Ports", "ports_of"]


@dataclass(frozen=True, slots=True)
class Ports:
    """Names of tensors."""

    token: str
    count: str
    """Of the number of tokens, which a graph may lack."""
    states: tuple[str, str]
    predicted: str
    """What the prediction network gives to the joint network."""
    next_states: tuple[str, str]
    frame: str
    read: str
    """The joint network's name of `predicted`."""
    logits: str


def ports_of(prediction: OrtSession, joint: OrtSession) -> Ports:
    """Return the names in two graphs. Raises ModelInvalid.

    By the names that NeMo gives to the inputs of a `decoder_joint`; where the prediction network has others, by the order
    in which sherpa-onnx passes them, since an export of the network alone names its states by number.
    """
    takes, gives = list(prediction.inputs), list(prediction.outputs)
    if {TOKENS, *INPUT_STATES} <= set(takes) and set(STATES) <= set(gives):
        token, count, states, next_states = TOKENS, COUNT, INPUT_STATES, STATES
        predicted = next((name for name in gives if name not in STATES), "")
    elif len(takes) == len(gives) == _POSITIONS:
        token, count, *_ = takes
        predicted = gives[0]
        states, next_states = (takes[2], takes[3]), (gives[2], gives[3])
    else:
        raise _not_ours(prediction, "prediction", [*takes, *gives])
    read = [name for name in joint.inputs if name != FRAME]
    if not predicted or FRAME not in joint.inputs or len(read) != 1 or not joint.outputs:
        raise _not_ours(joint, "joint", [*joint.inputs, *joint.outputs])
    logits = LOGITS if LOGITS in joint.outputs else next(iter(joint.outputs))
    return Ports(token, count, states, predicted, next_states, FRAME, read[0], logits)


def _not_ours(session: OrtSession, what: str, names: list[str]) -> ModelInvalid:
    return ModelInvalid(
        f"{session.path} is not the {what} network of a Parakeet transducer: its inputs and outputs are {', '.join(names)}"
    )
