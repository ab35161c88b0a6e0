"""Greedy decoding of a transducer: of one with durations (TDT), and of one without (RNN-T).

An RNN-T is decoded like a TDT that predicts a duration of 0 with each token and each blank. Pure.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import OutputNotFinite
from coldvoxd.core.values import Token

MAX_TOKENS_PER_STEP = 10
"""Maximum number of tokens at one encoder frame, after which the decoder advances: NeMo's `max_symbols`."""
LONGEST_FRAMES = 4
"""The longest duration in encoder frames that a Parakeet TDT predicts, and that a token without a prediction gets."""


class Transducer(Protocol):
    """The prediction network, which reads tokens, and the joint network, which scores what comes next."""

    def begin(self) -> None:
        """Start an utterance: no token has been read."""
        ...

    def read(self, token: int) -> None:
        """Append this token."""
        ...

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits after the tokens read, float32 (vocabulary + durations,), of float32 (encoder size,).

        They are valid until the next call.
        """
        ...


def decode_greedy(
    encoded: npt.NDArray[np.float32],
    transducer: Transducer,
    *,
    blank: int,
    max_tokens_per_step: int = MAX_TOKENS_PER_STEP,
    before: Sequence[int] = (),
    excluded: npt.NDArray[np.bool_] | None = None,
    temperature: float = 1.0,
    stop: CancellationToken | None = None,
) -> tuple[Token, ...]:
    """The tokens of one utterance, from encoder frames, float32 (frames, encoder size).

    The parameters and errors are those of `greedy`.
    """
    return tuple(
        greedy(
            encoded,
            transducer,
            blank=blank,
            max_tokens_per_step=max_tokens_per_step,
            before=before,
            excluded=excluded,
            temperature=temperature,
            stop=stop,
        )
    )


def greedy(
    encoded: npt.NDArray[np.float32],
    transducer: Transducer,
    *,
    blank: int,
    max_tokens_per_step: int = MAX_TOKENS_PER_STEP,
    before: Sequence[int] = (),
    excluded: npt.NDArray[np.bool_] | None = None,
    temperature: float = 1.0,
    stop: CancellationToken | None = None,
) -> Iterator[Token]:
    """Yield the tokens in encoder frames, float32 (frames, encoder size), as they are decoded.

    `blank` is the vocabulary's last id; the logits after it score durations of 0, 1, 2, ... frames. Without any, the model
    is an RNN-T: each duration is 0, and a blank or the limit of tokens leads to the next frame. A blank is not read. The transducer first reads the tokens `before`, as if they had been decoded. Where the best token is one of
    `excluded`, bool (vocabulary,), the best of the others takes its place, with its own probability among all of them and
    the predicted duration. `temperature` divides the scores before they become the tokens' probabilities. Source: Xu et al., "Efficient Sequence Transduction by Jointly Predicting Tokens and Durations"
    (2023), algorithm 2, with NeMo's limit of tokens a frame.

    Raises OutputNotFinite where logits are not finite, Stopped between two scores, and whatever the transducer raises.
    """
    frame = emitted_here = 0
    transducer.begin()
    for token in before if len(encoded) else ():
        if stop is not None:
            stop.check()
        transducer.score(encoded[0])  # a token is read after a score
        transducer.read(token)
    while frame < len(encoded):
        if stop is not None:
            stop.check()
        logits = transducer.score(encoded[frame])
        scores, duration_scores = logits[: blank + 1], logits[blank + 1 :]
        token = int(scores.argmax())
        duration = int(duration_scores.argmax()) if len(duration_scores) else 0
        best_duration = duration_scores[duration] if len(duration_scores) else 0.0
        # argmax stops at the first NaN and finds any +inf, so these two values show any that matters.
        if not (math.isfinite(scores[token]) and math.isfinite(best_duration)):
            raise OutputNotFinite(
                f"the decoder's output at encoder frame {frame} is not finite; the same audio may succeed on another provider"
            )
        if excluded is not None and excluded[token]:
            token = int(np.where(excluded, -np.inf, scores).argmax())
        if token != blank:
            yield Token(token, frame, duration, log_probability(scores / temperature, token))
            transducer.read(token)
            emitted_here += 1
        if duration > 0:
            frame += duration
            emitted_here = 0
        elif token == blank or emitted_here >= max_tokens_per_step:
            frame += 1
            emitted_here = 0


def with_durations(tokens: Sequence[Token], frames: int) -> tuple[Token, ...]:
    """Return the tokens of a model without durations, each lasting until the next one, at most `LONGEST_FRAMES`.

    `frames` is the number of encoder frames, at which the last one ends at the latest. A token that shares its frame with
    the next one has no duration, as from a TDT.
    """
    ends = [*(token.encoder_frame for token in tokens[1:]), frames]
    return tuple(
        replace(token, duration_frames=min(end - token.encoder_frame, LONGEST_FRAMES))
        for token, end in zip(tokens, ends[: len(tokens)], strict=True)
    )


def log_probability(scores: npt.NDArray[np.float32], index: int) -> float:
    """Natural logarithm of softmax(scores)[index], for float32 (n,)."""
    shifted = scores - scores.max()
    return float(shifted[index] - np.log(np.exp(shifted).sum(dtype=np.float64)))
