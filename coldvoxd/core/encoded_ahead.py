"""Encoder output of an utterance that was computed before it is recognized, together with that of others."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class EncodedAhead:
    """What a recognizer computed of an utterance's audio."""

    frames: npt.NDArray[np.float32] = field(repr=False)
    """float32 (frames, encoder size)."""
    maker: object = field(repr=False)
    """The recognizer; any other one computes its own."""
