"""Features of the open utterance, computed during speech so that little is left to compute at its end."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audio_values import Frame
from coldvoxd.core.endpointing import EndpointState, Phase
from coldvoxd.core.features import BLOCK_SAMPLES, EarlyColumns
from coldvoxd.core.framing import joined


class EarlyFeatures:
    """Computes feature columns block by block. Use from one thread."""

    def __init__(self, features_size: Callable[[], int]) -> None:
        """`features_size` returns the number of mel bins that the recognizer takes, 0 while unknown."""
        self._features_size = features_size
        self._columns: EarlyColumns | None = None
        self._start_sample = 0
        """First sample of the audio that the columns belong to."""

    def update(self, state: EndpointState, audio: Iterable[Frame], end_sample: int) -> None:
        """Compute the blocks that the audio up to `end_sample` completes; discard all if no utterance is open."""
        size = self._features_size()
        if state.phase is Phase.SILENCE or not size:
            self._columns = None
            return
        if self._columns is None or self._start_sample != state.audio_start_sample:
            self._columns, self._start_sample = EarlyColumns(size), state.audio_start_sample
        known_sample = self._start_sample + self._columns.samples
        if end_sample - known_sample >= BLOCK_SAMPLES:
            self._columns.extend(joined(audio, known_sample, end_sample))

    def of(self, start_sample: int) -> npt.NDArray[np.float32] | None:
        """Return the columns of the audio that starts there, float32 (bins, whole blocks); None without any."""
        known = self._columns is not None and self._start_sample == start_sample
        return self._columns.columns if self._columns is not None and known else None
