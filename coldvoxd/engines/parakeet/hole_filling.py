"""Recognizes the parts of an utterance again in which the first decoding returned no words: `holes`."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audible_noise import with_noise
from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.features import log_mel
from coldvoxd.core.values import SAMPLE_RATE, Token
from coldvoxd.engines.parakeet import holes
from coldvoxd.engines.parakeet.configuration import ParakeetConfiguration
from coldvoxd.engines.parakeet.decoding import Decoding, Frames
from coldvoxd.engines.parakeet.holes import Hole
from coldvoxd.engines.parakeet.steering import Steering
from coldvoxd.engines.parakeet.vocabulary import Vocabulary

Samples = npt.NDArray[np.float32]
CONTEXT_SAMPLES = SAMPLE_RATE // 4
"""Samples on both sides of a hole that are encoded with it."""


class HoleFilling:
    """Fills the holes of one utterance. Blocks; one thread at a time."""

    def __init__(
        self,
        samples: Samples,
        encoded: Frames,
        *,
        encode: Callable[[Samples, CancellationToken | None], Frames],
        decoding: Decoding,
        configuration: ParakeetConfiguration,
        vocabulary: Vocabulary,
        steering: Steering,
        stop: CancellationToken | None,
    ) -> None:
        """`encoded` are the encoder frames of `samples`, float32 (n,). `encode` takes features."""
        self._samples = samples
        self._encoded = encoded
        self._encode = encode
        self._decoding = decoding
        self._configuration = configuration
        self._vocabulary = vocabulary
        self._steering = steering
        self._stop = stop

    def fill_all(self, found: Sequence[Hole], tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], int]:
        """Recognize the parts of the holes again; return the tokens with those found, and the number of filled holes."""
        filled = 0
        for hole in reversed(found):
            more = self._fill(hole, tokens)
            tokens, filled = more or tokens, filled + bool(more)
        return tokens, filled

    def _fill(self, hole: Hole, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        """Recognize the part of a hole again; return the tokens with those found, () if there are none."""
        # Otherwise the first decoding began with the same state at the same frame.
        if hole.begin and self._decoding.reads_tokens:
            part = self._encoded[hole.begin : hole.end]
            again = holes.moved(self._decoding.decode(part, self._stop, self._steering), hole.begin)
            if more := holes.filled(tokens, hole, again, self._vocabulary):
                return more
        frame_samples = self._configuration.frame_samples
        begin = max(0, hole.begin * frame_samples - CONTEXT_SAMPLES)
        samples = self._samples[begin : hole.end * frame_samples + CONTEXT_SAMPLES]
        encoded = self._encode(log_mel(with_noise(samples), self._configuration.features_size), self._stop)
        again = holes.moved(self._decoding.decode(encoded, self._stop, self._steering), begin // frame_samples)
        return holes.filled(tokens, hole, again, self._vocabulary)
