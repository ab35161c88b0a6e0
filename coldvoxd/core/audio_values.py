"""Audio on its way from the microphone to the voice activity detector, all frozen."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio as a microphone delivers it, on any thread."""

    samples: npt.NDArray[np.int16]
    """int16, 16 kHz, any n: (n,) for one channel, or (n, channels)."""
    arrived_s: float
    """`time.monotonic()` when the last sample arrived."""
    overflow: bool = False
    """Audio of unknown length was lost before this chunk."""
    age_s: float | None = None
    """Age of the last sample at `arrived_s`, in seconds, as measured by the driver for this chunk; None if unknown."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Consecutive audio that is scored together."""

    start_sample: int
    """Counted from when the microphone was first opened; lost audio counts too."""
    samples: npt.NDArray[np.int16]
    """int16 (512,), 16 kHz mono."""
    channels: npt.NDArray[np.int16] | None = field(default=None, repr=False, compare=False)
    """int16 (512, channels), from which `samples` was computed; None if there is only one channel."""

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class GapReason(StrEnum):
    OVERRUN = "overrun"
    """The reader was too slow: the inbox or the sound server dropped audio."""
    STALLED = "stalled"
    """The stream delivered nothing while the clock advanced."""
    REOPENED = "reopened"
    """The microphone was closed in between."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Lost audio, which is never spliced over silently."""

    start_sample: int
    samples: int
    """Best estimate from the clock; 0 if the length is unknown."""
    reason: GapReason


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """A frame and the values that are computed from it once, for all consumers."""

    frame: Frame
    speech_probability: float
    """0..1, by Silero."""
    level_db: float
    """Root mean square in dBFS: `core.levels.level_db`."""
