"""Parakeet's log-mel features, with the vocal-tract-length warp that training adds."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft

from mini_parakeet.corpus import SAMPLE_RATE, Samples

HOP = 160
WINDOW = 400
FFT_SIZE = 512
MEL_BINS = 128
PRE_EMPHASIS = 0.97
LOG_GUARD = 2.0**-24
STD_GUARD = 1e-5

Features = npt.NDArray[np.float32]
"""Log-mel features, float32 (128, T), one column per 10 ms."""

_WINDOW = np.pad(np.hanning(WINDOW), (FFT_SIZE - WINDOW) // 2).astype(np.float32)


def hz_to_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Slaney's scale: linear to 1000 Hz, logarithmic above (27 mels for each factor 6.4)."""
    linear = hz * 3 / 200
    return np.where(hz < 1000, linear, 15 + np.log(np.maximum(hz, 1e-9) / 1000) * 27 / np.log(6.4))


def mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def warped(hz: npt.NDArray[np.float64], warp: float, knee_hz: float = 4800.0) -> npt.NDArray[np.float64]:
    """Vocal-tract-length warp of Jaitly and Hinton (2013): scaled up to a knee, then straight to Nyquist."""
    nyquist = SAMPLE_RATE / 2
    knee = knee_hz * min(warp, 1.0) / warp
    above = nyquist - (nyquist - knee * warp) / (nyquist - knee) * (nyquist - hz)
    return np.where(hz <= knee, hz * warp, above)


@cache
def filterbank(warp: float = 1.0) -> npt.NDArray[np.float32]:
    """Area-normalized triangular filters, float32 (257, 128), 0 to 8000 Hz."""
    edges = mel_to_hz(np.linspace(0.0, hz_to_mel(np.array([SAMPLE_RATE / 2]))[0], MEL_BINS + 2))
    if warp != 1.0:
        edges = warped(edges, warp)
    bins = np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE)[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    return (np.maximum(triangles, 0.0) * 2 / (upper - lower)).astype(np.float32)


def power_spectrum(samples: Samples) -> npt.NDArray[np.float32]:
    """float32 (n // 160, 257) of float32 (n,) samples."""
    frames = len(samples) // HOP
    emphasized = np.concatenate([samples[:1], samples[1:] - np.float32(PRE_EMPHASIS) * samples[:-1]])
    padded = np.pad(emphasized, FFT_SIZE // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP][:frames] * _WINDOW
    spectrum = rfft(windows, axis=-1)
    power: npt.NDArray[np.float32] = spectrum.real**2 + spectrum.imag**2
    return power


def normalized_log_mel(power: npt.NDArray[np.float32], warp: float = 1.0) -> Features:
    """Features of a power spectrum with at least two frames, through warped filters."""
    logs = np.log(power @ filterbank(warp) + np.float32(LOG_GUARD))
    normalized = (logs - logs.mean(axis=0)) / (logs.std(axis=0, ddof=1) + STD_GUARD)
    return np.ascontiguousarray(normalized.T, dtype=np.float32)


def log_mel(samples: Samples, warp: float = 1.0) -> Features:
    """Normalized log-mel features, float32 (128, n // 160), of float32 (n,) samples; n must be at least 320."""
    return normalized_log_mel(power_spectrum(samples), warp)
