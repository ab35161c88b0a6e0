"""Greedy decoding of connectionist temporal classification (CTC). Pure."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core.values import Token
from coldvoxd.engines.parakeet.tdt import log_probability, with_durations


def decode(
    scores: npt.NDArray[np.float32],
    *,
    blank: int,
    excluded: npt.NDArray[np.bool_] | None = None,
    temperature: float = 1.0,
) -> tuple[Token, ...]:
    """The tokens of scores, float32 (frames, vocabulary): the best of each frame, without repetitions and blanks.

    A token is at the first frame of its repetitions, and its probability is the highest among them. `excluded`, bool
    (vocabulary,), are never the best. `temperature` divides the scores before they become probabilities. Source: Graves et al., "Connectionist Temporal Classification" (2006), best path.
    """
    if len(scores) == 0:
        return ()
    best = (scores if excluded is None else np.where(excluded, -np.inf, scores)).argmax(axis=1)
    begins = np.flatnonzero(np.diff(best, prepend=-1))
    ends = [*begins[1:], len(best)]
    tokens = [
        Token(
            int(best[begin]),
            int(begin),
            0,
            max(log_probability(row / temperature, int(best[begin])) for row in scores[begin:end]),
        )
        for begin, end in zip(begins, ends, strict=True)
        if best[begin] != blank
    ]
    return with_durations(tokens, len(scores))
