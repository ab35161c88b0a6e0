"""Audio that no model could take."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.conditioning import FULL_SCALES
from coldvoxd.core.errors import InputFault
from coldvoxd.core.features import HOP_SAMPLES
from coldvoxd.core.values import SAMPLE_RATE

MIN_SAMPLES = 2 * HOP_SAMPLES
"""Shorter audio has fewer than two feature columns, and features are normalized by their deviation over columns."""
MAX_SECONDS = 400
"""The positional table of the published exports ends here."""


def check_input(samples: npt.NDArray[Any], sample_rate: int) -> None:
    """Raise InputFault, which says what is wrong."""
    if sample_rate != SAMPLE_RATE:
        raise InputFault(f"audio at {sample_rate} Hz: the model takes {SAMPLE_RATE} Hz, resample it first")
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32:
        kind = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
        raise InputFault(f"audio of type {kind}: the model takes float32 in [-1, 1] (int16 divided by 32768)")
    if samples.ndim != 1:
        raise InputFault(f"audio of shape {samples.shape}: the model takes one channel, float32 (n,)")
    if len(samples) > MAX_SECONDS * SAMPLE_RATE:
        raise InputFault(
            f"{len(samples) / SAMPLE_RATE:.0f} s of audio at once: the model takes {MAX_SECONDS} s, cut it at pauses"
        )
    if not np.isfinite(samples).all():
        raise InputFault("audio with NaN or infinite values: its source is faulty")
    if len(samples) > 0 and (loudest := float(np.abs(samples).max())) > FULL_SCALES[-1]:
        raise InputFault(
            f"audio with values of {loudest:.2g}: the model takes float32 in [-1, 1], its source is faulty"
        )
