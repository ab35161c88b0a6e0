"""Converts audio from a device to 16 kHz, as a stream."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import soxr

from coldvoxd.core.conditioning import OFFSET, SETTLED_S, OffsetRemoval
from coldvoxd.core.values import SAMPLE_RATE


class StreamConverter:
    """Reorders interleaved int16, removes constant offsets, and resamples; keeps the state of the filter."""

    def __init__(self, rate: int, channels: int, order: Sequence[int] | None = None) -> None:
        """`order` has the position of each wanted channel in the stream, from 0; by default all, unchanged."""
        self._rate = rate
        self._channels = channels
        self._order = None if order is None or list(order) == list(range(channels)) else list(order)
        self._wanted = channels if order is None else len(order)
        self._offset = OffsetRemoval(rate)
        self._offset_found = False
        self._unsummed: list[npt.NDArray[np.int16]] = []
        self._unsummed_frames = 0
        self._resampler: soxr.ResampleStream | None = None
        if rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, self._wanted, dtype="float32")

    def convert(self, raw: bytes) -> npt.NDArray[np.int16]:
        """16 kHz, int16 (m,) of one channel or (m, channels), from interleaved int16 bytes. One thread.

        m may be 0 while the filter fills. Audio at 16 kHz without an offset is passed bit-exact.
        """
        samples = np.frombuffer(raw, dtype=np.int16).reshape(-1, self._channels)
        if self._order is not None:
            samples = samples[:, self._order]
        if self._has_offset(samples) or self._resampler is not None:
            sound: npt.NDArray[np.float32] = samples.astype(np.float32) / np.float32(32768)
            if self._offset_found:
                sound = self._offset(sound)
            if self._resampler is not None:
                sound = self._resampler.resample_chunk(np.ascontiguousarray(sound)).reshape(-1, self._wanted)
            samples = np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)
        return samples[:, 0] if self._wanted == 1 else samples

    def _has_offset(self, samples: npt.NDArray[np.int16]) -> bool:
        """Whether a channel may have an offset, by its means over half a second each.

        Most microphones have none, so their buffers are only collected for half a second: the sum of one buffer takes
        as long as all other work for it on PortAudio's thread.
        """
        if self._offset_found:
            return True
        self._unsummed.append(samples)
        self._unsummed_frames += len(samples)
        if self._unsummed_frames >= SETTLED_S * self._rate:
            sums = np.concatenate(self._unsummed).sum(axis=0, dtype=np.int64)
            self._offset_found = bool((np.abs(sums) >= OFFSET * 32768 * self._unsummed_frames).any())
            self._unsummed.clear()
            self._unsummed_frames = 0
        return self._offset_found
