"""Features in double precision, to find which of two single-precision results is wrong if they differ."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core import features


def exact_log_mel(samples: npt.NDArray[np.float32], bins: int) -> npt.NDArray[np.float32]:
    """Compute `core.features.log_mel` with each step in float64, for 320 samples or more."""
    columns = len(samples) // features.HOP_SAMPLES
    exact = samples.astype(np.float64)
    padded = np.pad(
        np.concatenate([exact[:1], exact[1:] - features.PRE_EMPHASIS * exact[:-1]]), features.FFT_SAMPLES // 2
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, features.FFT_SAMPLES)[:: features.HOP_SAMPLES][:columns]
    edge = (features.FFT_SAMPLES - features.WINDOW_SAMPLES) // 2
    window = np.pad(np.hanning(features.WINDOW_SAMPLES), edge)
    power = np.abs(np.fft.rfft(windows * window, axis=-1)) ** 2
    logarithms = np.log(power @ features.mel_filterbank(bins).astype(np.float64) + features.LOG_GUARD).T
    deviations = logarithms.std(axis=1, ddof=1, keepdims=True) + features.DEVIATION_GUARD
    normal: npt.NDArray[np.float64] = (logarithms - logarithms.mean(axis=1, keepdims=True)) / deviations
    return normal.astype(np.float32)
