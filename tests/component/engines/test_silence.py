"""Exact digital silence is replaced by inaudible noise; all other audio is unchanged."""

import numpy as np
import pytest

from coldvoxd.engines.parakeet.silence import (
    DITHER_RMS,
    MIN_RUN_SAMPLES,
    dither_rms,
    has_sound,
    without_exact_silence,
    zero_runs,
)

SPEECH = np.random.default_rng(0).normal(0, 0.1, 5_000).astype(np.float32)


def with_zeros(begin: int, end: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    samples = SPEECH.copy()
    samples[begin:end] = 0
    return samples


def test_audio_without_long_runs_of_zeros_is_the_very_same() -> None:
    for samples in (SPEECH, with_zeros(100, 100 + MIN_RUN_SAMPLES - 1), SPEECH[:0]):
        assert without_exact_silence(samples) is samples


@pytest.mark.parametrize(("begin", "end"), [(0, 160), (1000, 3000), (4000, 5000), (0, 5000)])
def test_a_long_run_of_zeros_gets_noise_and_all_else_stays(begin: int, end: int) -> None:
    samples = with_zeros(begin, end)
    dithered = without_exact_silence(samples)
    assert len(zero_runs(dithered, 2)) == 0
    assert np.sqrt(np.mean(dithered[begin:end] ** 2)) == pytest.approx(DITHER_RMS, rel=0.2)
    np.testing.assert_array_equal(np.delete(dithered, np.s_[begin:end]), np.delete(samples, np.s_[begin:end]))
    assert not samples[begin:end].any()


@pytest.mark.parametrize("peak_db", [-51, -60])
def test_in_quiet_speech_the_noise_stays_far_under_the_speech(peak_db: float) -> None:
    samples = with_zeros(1000, 3000) * np.float32(10 ** (peak_db / 20))
    dithered = without_exact_silence(samples)[1000:3000]
    assert len(zero_runs(dithered, 2)) == 0
    below_db = 20 * np.log10(np.std(samples[:1000]) / np.std(dithered))
    assert below_db > 18


@pytest.mark.parametrize("peak_db", [0, -3, -6])
def test_in_speech_of_usual_level_the_noise_is_the_same_and_a_click_changes_it_in_none(peak_db: float) -> None:
    samples = with_zeros(1000, 3000) * np.float32(10 ** (peak_db / 20))
    assert dither_rms(samples) == DITHER_RMS
    quiet = with_zeros(1000, 3000) * np.float32(1e-3)
    clicked = quiet.copy()
    clicked[4000:4020] = 1
    assert dither_rms(clicked) == pytest.approx(dither_rms(quiet), rel=0.2)


def test_the_noise_is_the_same_every_time() -> None:
    np.testing.assert_array_equal(without_exact_silence(with_zeros(0, 999)), without_exact_silence(with_zeros(0, 999)))


def test_runs_of_zeros_are_found_with_their_ends() -> None:
    samples = np.array([0, 0, 1, 0, -1, 0, 0, 0], dtype=np.float32)
    assert zero_runs(samples, 2).tolist() == [[0, 2], [5, 8]]
    assert zero_runs(samples, 1).tolist() == [[0, 2], [3, 4], [5, 8]]
    assert zero_runs(samples[:0], 1).tolist() == []


def test_only_exact_zeros_throughout_are_no_sound() -> None:
    assert not has_sound(np.zeros(10, dtype=np.float32))
    assert not has_sound(np.zeros(0, dtype=np.float32))
    assert has_sound(np.array([0, 1e-30], dtype=np.float32))
