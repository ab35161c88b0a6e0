"""Noise with which words are found is equally far below speech of any level."""

import numpy as np
import pytest

from coldvoxd.core.audible_noise import RMS, VOICE_PEAK, with_noise

SPEECH = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.mark.parametrize("gain", [1.0, 0.03, 1e-3])
def test_quiet_speech_is_raised_before_the_noise_is_added(gain: float) -> None:
    noisy = with_noise(SPEECH * np.float32(gain))
    assert np.abs(noisy).max() >= VOICE_PEAK - 5 * RMS
    clean = SPEECH * np.float32(max(1.0, VOICE_PEAK / np.abs(SPEECH * gain).max()) * gain)
    assert np.std(noisy - clean) == pytest.approx(RMS, rel=0.1)


def test_zeros_become_noise_that_is_the_same_every_time() -> None:
    silence = np.zeros(16_000, np.float32)
    assert np.std(with_noise(silence)) == pytest.approx(RMS, rel=0.1)
    np.testing.assert_array_equal(with_noise(silence), with_noise(silence))
    assert len(with_noise(silence[:0])) == 0
