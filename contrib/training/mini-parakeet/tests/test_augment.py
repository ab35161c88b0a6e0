from __future__ import annotations

import numpy as np
import pytest

from mini_parakeet import augment
from mini_parakeet.corpus import SAMPLE_RATE


@pytest.mark.parametrize("kind", [*augment.NOISES, *augment.ALONE])
def test_every_noise_has_unit_power(kind: object) -> None:
    assert callable(kind)
    samples = kind(np.random.default_rng(1), SAMPLE_RATE)
    assert samples.shape == (SAMPLE_RATE,)
    assert np.isfinite(samples).all()
    assert np.sqrt(np.mean(samples.astype(np.float64) ** 2)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("seed", range(30))
def test_a_recording_is_finite_and_within_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clip = np.sin(np.arange(9_000) * 0.1).astype(np.float32) * 0.3
    samples = augment.recorded(augment.voiced(clip, rng, augment.FULL), rng, augment.FULL)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0


def test_digital_silence_survives_augmentation() -> None:
    for seed in range(20):
        samples = augment.recorded(np.zeros(4000, np.float32), np.random.default_rng(seed), augment.FULL)
        assert np.isfinite(samples).all()


def test_a_narrow_line_leaves_nothing_above_4_khz() -> None:
    rng = np.random.default_rng(3)
    wide = rng.standard_normal(16_000).astype(np.float32) * 0.1
    powers = []
    for seed in range(10):
        narrow = augment.through_narrow_line(wide, np.random.default_rng(seed))
        spectrum = np.abs(np.fft.rfft(narrow)) ** 2
        powers.append(spectrum[4500 * len(narrow) // 16_000 :].sum() / spectrum.sum())
    assert np.median(powers) < 0.01
    assert len(narrow) == len(wide)


def test_faster_speech_is_shorter_by_the_factor() -> None:
    assert len(augment.resampled(np.zeros(16_000, np.float32), 1.25)) == 12_800


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.4])
def test_tempo_changes_the_length_and_not_the_pitch(factor: float) -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / SAMPLE_RATE).astype(np.float32)
    spoken = augment.at_tempo(tone, factor)
    assert len(spoken) == pytest.approx(16_000 / factor, rel=0.06)
    middle = spoken[2_000:-2_000]
    peak_hz = np.abs(np.fft.rfft(middle)).argmax() * SAMPLE_RATE / len(middle)
    assert peak_hz == pytest.approx(200, abs=4)
    assert np.abs(middle).max() == pytest.approx(1.0, abs=0.1)


def test_masks_leave_shape_and_the_original_alone() -> None:
    features = np.ones((128, 100), np.float32)
    masked = augment.masked(features, np.random.default_rng(0))
    assert features.min() == 1.0
    assert masked.shape == features.shape
    assert masked.min() == 0.0
