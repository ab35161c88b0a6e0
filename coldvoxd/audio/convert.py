"""Converting what a device delivers to 16 kHz mono, as a stream."""

import numpy as np
import numpy.typing as npt
import soxr

from coldvoxd.core.values import SAMPLE_RATE


class StreamConverter:
    """Mixes interleaved int16 of any channel count to mono, then resamples it; keeps the filter's memory."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self._channels = channels
        self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32") if rate != SAMPLE_RATE else None

    @property
    def identical(self) -> bool:
        """Whether the device delivers just what is wanted, and samples stay bit-exact."""
        return self._resampler is None and self._channels == 1

    def convert(self, raw: bytes) -> npt.NDArray[np.int16]:
        """16 kHz mono, int16 (m,), from interleaved int16 bytes; m may be 0 while the filter fills. One thread."""
        samples = np.frombuffer(raw, dtype=np.int16)
        if self.identical:
            return samples
        mono: npt.NDArray[np.float32] = samples.reshape(-1, self._channels).mean(axis=1, dtype=np.float32)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono)
        return np.clip(np.rint(mono), -32768, 32767).astype(np.int16)
