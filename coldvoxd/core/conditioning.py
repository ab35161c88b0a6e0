"""Conditioning: corrects the scale and removes a constant offset of audio before any other processing."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import InputFault

FULL_SCALES = (2.0**15, 2.0**23, 2.0**31)
"""Full scales of 16-bit, 24-bit and 32-bit integers, which some programs write as floats."""
LOUDEST = 8.0
"""18 dB above full scale. Samples of a mix in floats may exceed 1, but only single samples exceed this."""
LOUDEST_SHARE = 0.01
"""If more than this share of the samples exceeds LOUDEST, the values have another scale."""
OFFSET = 0.002
"""Smallest constant offset that is removed: -54 dBFS."""
OFFSET_SHARE = 0.05
"""It must also be at least this share of the signal's own level: the mean of speech itself is smaller."""
SETTLED_S = 0.5
"""Seconds of audio before an offset is removed."""
OFFSET_S = 2.0
"""Seconds over which an offset is averaged."""


@dataclass(slots=True)
class OffsetRemoval:
    """Removes a constant offset from each channel of a stream, and leaves other audio unchanged. One thread."""

    rate: int
    """Samples per second."""
    _seen: int = 0
    _mean: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    _power: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    _removed: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __call__(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the block, float32 (n, channels) in [-1, 1], without the offset; the same array if there is none."""
        if len(block) == 0:
            return block
        self._average(block)
        spread = np.sqrt(np.maximum(self._power - self._mean**2, 0))
        found = (np.abs(self._mean) >= OFFSET) & (np.abs(self._mean) >= OFFSET_SHARE * spread)
        if self._seen < SETTLED_S * self.rate or not (found | (self._removed != 0)).any():
            return block
        offset = np.where(found | (self._removed != 0), self._mean, 0.0)
        first = not self._removed.any()
        before, self._removed = self._removed, offset
        if first:
            return (block - offset).astype(np.float32)
        ramp = np.linspace(0.0, 1.0, len(block))[:, None]
        return (block - (before + (offset - before) * ramp)).astype(np.float32)

    def _average(self, block: npt.NDArray[np.float32]) -> None:
        mean, power = block.mean(axis=0, dtype=np.float64), np.square(block, dtype=np.float64).mean(axis=0)
        if self._seen == 0:
            self._mean, self._power, self._removed = mean, power, np.zeros(len(mean))
        self._seen += len(block)
        share = min(1.0, max(len(block) / (OFFSET_S * self.rate), len(block) / self._seen))
        self._mean = self._mean + share * (mean - self._mean)
        self._power = self._power + share * (power - self._power)


class Conditioning:
    """Scales a recording to [-1, 1], centred on zero. One thread; create a new instance for each pass over it."""

    def __init__(self, rate: int) -> None:
        self._scale = 1.0
        self._remove_offset = OffsetRemoval(rate)

    def __call__(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the corrected block, float32 (n, channels), of finite values; the same array if nothing is wrong.

        Integers written as floats are divided by their full scale; single extreme samples are clipped. Raises
        InputFault if the values have no known scale.
        """
        if len(block) == 0:
            return block
        loudest = np.abs(block)
        if float(loudest.max()) > LOUDEST * self._scale:
            typical = float(np.quantile(loudest, 1 - LOUDEST_SHARE))
            if typical > LOUDEST * self._scale:
                self._scale = _full_scale(typical)
        if self._scale > 1:
            block = block / np.float32(self._scale)
        if float(loudest.max()) > LOUDEST * self._scale:
            block = np.clip(block, -LOUDEST, LOUDEST)
        return self._remove_offset(block)


def _full_scale(typical: float) -> float:
    for full_scale in FULL_SCALES:
        if typical <= full_scale:
            return full_scale
    raise InputFault(f"values of {typical:.2g} where full scale is 1, or {FULL_SCALES[-1]:.0f} for whole numbers")
