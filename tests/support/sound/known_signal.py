"""A signal that can't be mistaken for another."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core.values import SAMPLE_RATE


def known_signal(seconds: float) -> npt.NDArray[np.int16]:
    """Return fixed noise, int16 (n,), without exact zeros."""
    samples = np.random.default_rng(42).normal(0, 3000, round(seconds * SAMPLE_RATE))
    rounded = np.rint(np.clip(samples, -32_000, 32_000)).astype(np.int16)
    return np.where(rounded == 0, np.int16(1), rounded)


def heard_at(recording: npt.NDArray[np.int16], signal: npt.NDArray[np.int16]) -> int:
    """Return the position of the whole signal in a recording, sample by sample; fail if it isn't found once."""
    starts = np.flatnonzero(recording[: len(recording) - len(signal) + 1] == signal[0])
    found = [int(start) for start in starts if np.array_equal(recording[start : start + len(signal)], signal)]
    assert len(found) == 1, f"found {len(found)} times in {len(recording)} samples; {len(starts)} starts looked at"
    return found[0]
