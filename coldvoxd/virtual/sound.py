"""The sounds of the virtual microphone, int16 (n,) at 16 kHz."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

_SEED = 20_061  # arbitrary; fixed, so that all runs use the same noise


def _silence() -> list[npt.NDArray[np.int16]]:
    """About 4 s of noise at -85 dBFS in chunks of 512 samples: a quiet room has no digital silence."""
    loudness = np.array([-3, -2, -1, 1, 2, 3], dtype=np.int16)
    return list(np.random.default_rng(_SEED).choice(loudness, size=(125, FRAME_SAMPLES)))


SILENCE = _silence()
"""Background noise, to be repeated."""


def noise(samples: int, dbfs: float) -> npt.NDArray[np.int16]:
    """White noise with this RMS in decibels below a full-scale square wave; raises ValueError above 0."""
    if not dbfs <= 0:
        raise ValueError(f"{dbfs:g} dBFS is above full scale")
    white = np.random.default_rng(_SEED).standard_normal(samples) * 32768 * 10 ** (dbfs / 20)
    return np.clip(np.rint(white), -32768, 32767).astype(np.int16)


def speech(file: Path) -> npt.NDArray[np.int16]:
    """A recording as mono at 16 kHz, mixed and resampled if necessary; 16 kHz mono int16 files are kept bit-exact.

    Raises ValueError if the file cannot be read.
    """
    try:
        samples, rate = soundfile.read(file, dtype="int16", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{file} cannot be played: {error}") from error
    if rate == SAMPLE_RATE and samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0])
    mono: npt.NDArray[np.float32] = soxr.resample(samples.mean(axis=1, dtype=np.float32), rate, SAMPLE_RATE)
    return np.clip(np.rint(mono), -32768, 32767).astype(np.int16)
