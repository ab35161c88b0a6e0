"""How a kind of model turns encoder frames into tokens: one interface for all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.decoding_options import GREEDY, DecodingOptions
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.values import StageSeconds, Token
from coldvoxd.engines.parakeet import ctc
from coldvoxd.engines.parakeet.beam import BeamSearch, Found
from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.steering import NOT_STEERED, Steering
from coldvoxd.engines.parakeet.tdt import greedy, with_durations

Frames = npt.NDArray[np.float32]
"""float32 (frames, encoder size)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The output of the model for an utterance; empty if it was not run."""

    tokens: tuple[Token, ...] = field(default=(), repr=False)
    encoded: Frames = field(default_factory=lambda: np.empty((0, 0), np.float32), repr=False)
    stages: StageSeconds | None = None
    holes: int = 0
    filled: int = 0
    """Number of holes in which words were found."""


class Decoding(Protocol):
    """Greedy decoding by one kind of model. One thread at a time."""

    @property
    def kind(self) -> ModelKind: ...

    @property
    def reads_tokens(self) -> bool:
        """Whether tokens depend on those before them: a prediction network reads them."""
        ...

    def decode(
        self, encoded: Frames, stop: CancellationToken | None = None, steering: Steering = NOT_STEERED
    ) -> tuple[Token, ...]:
        """The tokens in encoder frames. Raises ProviderFault, OutputNotFinite or Stopped."""
        ...

    def continued(
        self, encoded: Frames, before: Sequence[int], stop: CancellationToken | None, steering: Steering
    ) -> Iterator[Token]:
        """Yield the tokens in encoder frames that follow the tokens `before`, as they are decoded. Raises as `decode`.

        Without a prediction network these are the tokens of `decode`.
        """
        ...

    def others(
        self, encoded: Frames, most: int, stop: CancellationToken | None = None, steering: Steering = NOT_STEERED
    ) -> list[Found]:
        """Return token sequences that have at least `most` beside the best one, best first; none without a beam."""
        ...

    def close(self) -> None:
        """Release the sessions, if there are any beside the encoder's."""
        ...


LEAST_BEAM = 4
"""Number of sequences with which other texts are searched at least: fewer would miss a more probable one."""


class TransducerDecoding:
    """Implements Decoding for TDT and RNN-T."""

    reads_tokens = True

    def __init__(
        self, decoder: Decoder, blank: int, max_tokens_per_step: int, options: DecodingOptions = GREEDY
    ) -> None:
        self.decoder = decoder
        self.options = options
        self.kind = ModelKind.TDT if decoder.classes > blank + 1 else ModelKind.RNNT
        self._blank = blank
        self._max_tokens_per_step = max_tokens_per_step

    def decode(
        self, encoded: Frames, stop: CancellationToken | None = None, steering: Steering = NOT_STEERED
    ) -> tuple[Token, ...]:
        if self.options.beam_size > 1:
            found = self.search(encoded, self.options.beam_size, stop, steering)
            return found[0].tokens if found else ()
        return self._timed(tuple(self.continued(encoded, (), stop, steering)), len(encoded))

    def search(
        self, encoded: Frames, beam_size: int, stop: CancellationToken | None = None, steering: Steering = NOT_STEERED
    ) -> list[Found]:
        """Return at most `beam_size` token sequences, best first. Raises as `decode`."""
        search = BeamSearch(
            self.decoder,
            self._blank,
            beam_size,
            self._max_tokens_per_step,
            steering.before,
            steering.excluded,
            self.options.temperature,
            stop=stop,
        )
        return [replace(one, tokens=self._timed(one.tokens, len(encoded))) for one in search.run(encoded)]

    def others(
        self, encoded: Frames, most: int, stop: CancellationToken | None = None, steering: Steering = NOT_STEERED
    ) -> list[Found]:
        return self.search(encoded, max(self.options.beam_size, most + 1, LEAST_BEAM), stop, steering)

    def _timed(self, tokens: tuple[Token, ...], frames: int) -> tuple[Token, ...]:
        return tokens if self.kind is ModelKind.TDT else with_durations(tokens, frames)

    def continued(
        self, encoded: Frames, before: Sequence[int], stop: CancellationToken | None, steering: Steering
    ) -> Iterator[Token]:
        return greedy(
            encoded,
            self.decoder,
            blank=self._blank,
            max_tokens_per_step=self._max_tokens_per_step,
            before=(*steering.before, *before),
            excluded=steering.excluded,
            temperature=self.options.temperature,
            stop=stop,
        )

    def close(self) -> None:
        self.decoder.close()


class CtcDecoding:
    """Implements Decoding for CTC: the encoder's frames are the scores of the vocabulary. It has no beam."""

    kind = ModelKind.CTC
    reads_tokens = False

    def __init__(self, blank: int, options: DecodingOptions = GREEDY) -> None:
        self._blank = blank
        self._options = options

    def decode(
        self, encoded: Frames, stop: CancellationToken | None = None, steering: Steering = NOT_STEERED
    ) -> tuple[Token, ...]:
        if stop is not None:
            stop.check()
        return ctc.decode(encoded, blank=self._blank, excluded=steering.excluded, temperature=self._options.temperature)

    def continued(
        self,
        encoded: Frames,
        before: Sequence[int],  # noqa: ARG002 - nothing reads tokens
        stop: CancellationToken | None,
        steering: Steering,
    ) -> Iterator[Token]:
        return iter(self.decode(encoded, stop, steering))

    def others(
        self,
        encoded: Frames,  # noqa: ARG002 - it has no beam
        most: int,  # noqa: ARG002
        stop: CancellationToken | None = None,  # noqa: ARG002
        steering: Steering = NOT_STEERED,  # noqa: ARG002
    ) -> list[Found]:
        return []

    def close(self) -> None:
        """There is no session beside the encoder's."""
