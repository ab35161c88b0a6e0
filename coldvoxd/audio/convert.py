"""Converting what a device delivers to 16 kHz, as a stream."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import soxr

from coldvoxd.core.conditioning import OffsetRemoval
from coldvoxd.core.values import SAMPLE_RATE


class StreamConverter:
    """Puts interleaved int16 in order, removes constant offsets, then resamples; keeps the filter's memory."""

    def __init__(self, rate: int, channels: int, order: Sequence[int] | None = None) -> None:
        """`order` says where each channel that is wanted stands in the stream, from 0: all as they come by default."""
        self._channels = channels
        self._order = None if order is None or list(order) == list(range(channels)) else list(order)
        self._wanted = channels if order is None else len(order)
        self._offset = OffsetRemoval(rate)
        self._resampler: soxr.ResampleStream | None = None
        if rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, self._wanted, dtype="float32")

    def convert(self, raw: bytes) -> npt.NDArray[np.int16]:
        """16 kHz, int16 (m,) of one channel or (m, channels), from interleaved int16 bytes. One thread.

        m may be 0 while the filter fills. What is at 16 kHz and without an offset passes bit-exact.
        """
        samples = np.frombuffer(raw, dtype=np.int16).reshape(-1, self._channels)
        if self._order is not None:
            samples = samples[:, self._order]
        scaled = samples.astype(np.float32)
        scaled /= 32768
        sound = self._offset(scaled)
        if sound is not scaled or self._resampler is not None:
            if self._resampler is not None:
                sound = self._resampler.resample_chunk(np.ascontiguousarray(sound)).reshape(-1, self._wanted)
            samples = np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)
        return samples[:, 0] if self._wanted == 1 else samples
