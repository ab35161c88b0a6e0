"""Greedy decoding of a token-and-duration transducer (TDT)."""

from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.values import Token

S = TypeVar("S")

MAX_TOKENS_PER_STEP = 10
"""Tokens emitted at one encoder frame before the decoder moves on regardless: NeMo's `max_symbols`."""


class Step(Protocol[S]):
    """One run of the prediction and joint networks."""

    def __call__(
        self, encoder_frame: npt.NDArray[np.float32], previous_token: int, state: S, /
    ) -> tuple[npt.NDArray[np.float32], S]:
        """Logits, float32 (vocabulary + durations,), and the state after `previous_token`.

        `encoder_frame` is float32 (encoder size,); before the first token, `previous_token` is blank.
        """
        ...


def decode_greedy(
    encoded: npt.NDArray[np.float32],
    step: Step[S],
    initial_state: S,
    *,
    blank: int,
    max_tokens_per_step: int = MAX_TOKENS_PER_STEP,
) -> tuple[Token, ...]:
    """The tokens of one utterance, from encoder frames, float32 (frames, encoder size).

    `blank` is the vocabulary's last id; the logits after it score durations of 0, 1, 2, ... frames. A blank leaves the
    state as it was. Source: Xu et al., "Efficient Sequence Transduction by Jointly Predicting Tokens and Durations"
    (2023), algorithm 2, with NeMo's limit of tokens a frame.

    Raises ProviderFault where logits are not finite, and whatever `step` raises.
    """
    tokens: list[Token] = []
    previous, state = blank, initial_state
    frame = emitted_here = 0
    while frame < len(encoded):
        logits, next_state = step(encoded[frame], previous, state)
        scores, duration_scores = logits[: blank + 1], logits[blank + 1 :]
        token = int(scores.argmax())
        duration = int(duration_scores.argmax())
        # argmax stops at the first NaN and finds any +inf, so these two tell of all that matters.
        if not (np.isfinite(scores[token]) and np.isfinite(duration_scores[duration])):
            raise ProviderFault(
                f"the decoder's output at encoder frame {frame} is not finite; the same audio may succeed on another provider"
            )
        if token != blank:
            tokens.append(Token(token, frame, duration, log_probability(scores, token)))
            previous, state = token, next_state
            emitted_here += 1
        if duration > 0:
            frame += duration
            emitted_here = 0
        elif token == blank or emitted_here >= max_tokens_per_step:
            frame += 1
            emitted_here = 0
    return tuple(tokens)


def log_probability(scores: npt.NDArray[np.float32], index: int) -> float:
    """Natural logarithm of softmax(scores)[index], for float32 (n,)."""
    shifted = scores - scores.max()
    return float(shifted[index] - np.log(np.exp(shifted).sum(dtype=np.float64)))
