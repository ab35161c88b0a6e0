"""Noise with which a recognizer finds words in audio that it took for silence."""

import numpy as np
import numpy.typing as npt

RMS = 1e-3
"""-60 dBFS. Parakeet v3 returned no text for speech followed by 0.4 s of zeros or of noise up to 1e-4, and all of it with
noise at 1e-3 (NVIDIA-NeMo/Speech#15757)."""
VOICE_PEAK = 0.3
"""Peak of speech at an ordinary level: the noise is that far below the voice, whatever the recording's level."""


def with_noise(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return float32 (n,) raised to at least that peak, with the same noise every time."""
    peak = float(np.abs(samples).max(initial=0.0))
    gain = VOICE_PEAK / peak if 0.0 < peak < VOICE_PEAK else 1.0
    noise = np.random.default_rng(0).standard_normal(len(samples), dtype=np.float32)
    return samples * np.float32(gain) + noise * np.float32(RMS)
