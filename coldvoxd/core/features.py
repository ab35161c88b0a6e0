"""Log-mel features as computed by NeMo's preprocessor, with which Parakeet was trained."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from coldvoxd.core.values import SAMPLE_RATE

HOP_SAMPLES = 160
"""One feature column per 10 ms."""
WINDOW_SAMPLES = 400
FFT_SAMPLES = 512
PRE_EMPHASIS = 0.97
LOG_GUARD = 2.0**-24
"""Added before the logarithm, so that silence has a finite value."""
DEVIATION_GUARD = 1e-5
"""Added to the standard deviation, so that a constant bin has finite values."""
BLOCK_COLUMNS = 64
"""Spectra are computed in blocks of this many columns: a block bounds memory, fits in the cache, and keeps each product
so small that BLAS does not wake threads for it, which would contend with the recognizer's. Blocks begin at multiples of
this number, so that a column is bit-identical whether it is computed while the speech arrives or afterwards."""
BLOCK_SAMPLES = BLOCK_COLUMNS * HOP_SAMPLES


def log_mel(
    samples: npt.NDArray[np.float32], bins: int, early: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Return log-mel features, float32 (bins, n // 160), of float32 (n,) at 16 kHz; one column per 10 ms.

    Pre-emphasis, 25 ms symmetric Hann windows centred every 10 ms with zeros beyond both ends, power spectrum, Slaney
    mel filterbank, natural logarithm, then each bin normalized to zero mean and unit (n - 1) deviation per utterance.
    Source of the procedure: NVIDIA NeMo's FilterbankFeatures with `normalize="per_feature"` and no dither.

    `early` holds the columns that `EarlyColumns` computed for the beginning of these samples; they are not computed
    again. Every length has a defined result: fewer than 160 samples give no columns; 160 to 319 give one column, whose
    deviation from its own mean is zero (NeMo divides by zero there). Pure; any thread.
    """
    columns = len(samples) // HOP_SAMPLES
    features = np.empty((bins, columns), dtype=np.float32)
    if columns == 0:
        return features
    ready = 0
    if early is not None and early.shape[0] == bins:
        while ready + BLOCK_COLUMNS <= early.shape[1] and _needed_samples(ready + BLOCK_COLUMNS) <= len(samples):
            ready += BLOCK_COLUMNS
        features[:, :ready] = early[:, :ready]
    for begin in range(ready, columns, BLOCK_COLUMNS):
        end = min(begin + BLOCK_COLUMNS, columns)
        features[:, begin:end] = _energies(samples, begin, end, bins)
    features -= features.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    if columns > 1:
        variance = np.square(features).sum(axis=1, keepdims=True, dtype=np.float64) / (columns - 1)
        features /= (np.sqrt(variance) + DEVIATION_GUARD).astype(np.float32)
    return features


class EarlyColumns:
    """Computes features of speech that is still arriving, except those that depend on its end. One thread at a time."""

    def __init__(self, bins: int) -> None:
        self._bins = bins
        self._samples = np.zeros(0, np.float32)
        self._columns = np.zeros((bins, 0), np.float32)

    @property
    def samples(self) -> int:
        """Number of samples added so far."""
        return len(self._samples)

    @property
    def columns(self) -> npt.NDArray[np.float32]:
        """Columns for `log_mel`: not normalized, float32 (bins, whole blocks)."""
        return self._columns

    def extend(self, samples: npt.NDArray[np.float32]) -> None:
        """Add the next samples, float32 (n,), and compute the blocks that they complete: 0.2 ms each."""
        self._samples = np.concatenate([self._samples, samples])
        begin = self._columns.shape[1]
        made = [self._columns]
        while _needed_samples(begin + BLOCK_COLUMNS) <= len(self._samples):
            made.append(_energies(self._samples, begin, begin + BLOCK_COLUMNS, self._bins))
            begin += BLOCK_COLUMNS
        if len(made) > 1:
            self._columns = np.concatenate(made, axis=1)


def _needed_samples(columns: int) -> int:
    """Return the number of samples from which none of these columns reaches beyond the end."""
    return (columns - 1) * HOP_SAMPLES + WINDOW_SAMPLES // 2


def _energies(samples: npt.NDArray[np.float32], begin: int, end: int, bins: int) -> npt.NDArray[np.float32]:
    """Return the logarithms of the mel energies, float32 (bins, end - begin), of the columns [begin, end)."""
    first, last = begin * HOP_SAMPLES - FFT_SAMPLES // 2, (end - 1) * HOP_SAMPLES + FFT_SAMPLES // 2
    emphasized = np.zeros(last - first, dtype=np.float32)
    there = slice(max(first, 0), min(last, len(samples)))
    part = emphasized[there.start - first : there.stop - first]
    part[:] = samples[there]
    before = samples[max(there.start - 1, 0) : there.stop - 1]
    part[len(part) - len(before) :] -= np.float32(PRE_EMPHASIS) * before
    windows = np.lib.stride_tricks.sliding_window_view(emphasized, FFT_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(windows * _window(), axis=-1)
    power = np.ascontiguousarray((spectrum.real**2 + spectrum.imag**2).T, dtype=np.float32)
    energies = np.empty((bins, end - begin), dtype=np.float32)
    for energy, (low, high, weights) in zip(energies, _triangles(bins), strict=True):
        np.dot(weights, power[low:high], out=energy)
    energies += np.float32(LOG_GUARD)
    return np.log(energies, out=energies)


@lru_cache(maxsize=4)
def mel_filterbank(bins: int, fft_samples: int = FFT_SAMPLES) -> npt.NDArray[np.float32]:
    """Return the Slaney mel filterbank for 0 to 8000 Hz, float32 (fft_samples // 2 + 1, bins): spectrum to mel energies.

    Triangles whose corners are equally spaced in mel, each scaled to unit area over Hz (2 / bandwidth). Source: Malcolm
    Slaney, Auditory Toolbox (1998), as in librosa's `mel(htk=False, norm="slaney")`.
    """
    corners_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(SAMPLE_RATE / 2), bins + 2))
    line_hz = np.arange(fft_samples // 2 + 1) * SAMPLE_RATE / fft_samples
    lower, centre, upper = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising = (line_hz[:, None] - lower) / (centre - lower)
    falling = (upper - line_hz[:, None]) / (upper - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (upper - lower))
    bank = np.ascontiguousarray(weights, dtype=np.float32)
    bank.flags.writeable = False
    return bank


@lru_cache(maxsize=4)
def _triangles(bins: int) -> tuple[tuple[int, int, npt.NDArray[np.float32]], ...]:
    """Return for each mel filter the range [first, last) of spectral lines with nonzero weights, and these weights."""
    triangles = []
    for weights in mel_filterbank(bins).T:
        lines = np.flatnonzero(weights)
        first, last = int(lines[0]), int(lines[-1]) + 1
        triangles.append((first, last, np.ascontiguousarray(weights[first:last])))
    return tuple(triangles)


# Slaney's scale is linear up to 1000 Hz, 15 mel, and logarithmic above: 27 mel for each factor of 6.4.
_HZ_PER_MEL = 200.0 / 3.0
_LOG_FROM_HZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _LOG_FROM_HZ:
        return hz / _HZ_PER_MEL
    return float(_LOG_FROM_MEL + np.log(hz / _LOG_FROM_HZ) / _LOG_STEP)


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = np.maximum(mel - _LOG_FROM_MEL, 0.0)
    return np.where(mel < _LOG_FROM_MEL, mel * _HZ_PER_MEL, _LOG_FROM_HZ * np.exp(above * _LOG_STEP))


@lru_cache(maxsize=1)
def _window() -> npt.NDArray[np.float32]:
    """Return a symmetric Hann window of 400 samples centred in 512, float32 (512,)."""
    edge = (FFT_SAMPLES - WINDOW_SAMPLES) // 2
    return np.pad(np.hanning(WINDOW_SAMPLES), (edge, edge)).astype(np.float32)
