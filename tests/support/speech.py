"""Speech for tests, synthesized on the spot."""

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from coldvoxd.core.values import SAMPLE_RATE


def synthesize(text: str, scratch: Path) -> npt.NDArray[np.int16]:
    """A synthetic voice saying the text, int16 (n,) at 16 kHz, at half of full scale."""
    wav = scratch / "spoken.wav"
    subprocess.run(["espeak-ng", "-w", str(wav), text], check=True)
    samples, rate = soundfile.read(wav, dtype="float32")
    resampled: npt.NDArray[np.float32] = soxr.resample(samples, rate, SAMPLE_RATE)
    scaled: npt.NDArray[np.float32] = resampled * np.float32(16_384 / np.abs(resampled).max())
    return scaled.astype(np.int16)
