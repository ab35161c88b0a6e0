"""Noise is added at its ratio, and is the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.evaluate import noise
from coldvoxd.evaluate.noise import CLEAN, Condition, Noise, Wave
from tests.support.sound.speech import samples


def power(wave: Wave) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64)))


@given(st.floats(0, 40), st.integers(0, 1000), st.sampled_from(Noise))
def test_the_ratio_is_as_chosen(snr_db: float, seed: int, kind: Noise) -> None:
    chance = np.random.default_rng(seed)
    wave = (0.02 * np.sin(np.arange(SAMPLE_RATE) / 20)).astype(np.float32)
    others = [chance.standard_normal(3000, dtype=np.float32), chance.standard_normal(40_000, dtype=np.float32)]
    background = noise.white(len(wave), chance) if kind is Noise.WHITE else noise.babble(others, len(wave), chance)
    mixed = noise.added(wave, background, snr_db)
    assert mixed.dtype == np.float32
    assert 10 * np.log10(power(wave) / power(mixed - wave)) == pytest.approx(snr_db, abs=0.01)


def test_a_mix_beyond_full_scale_is_scaled_down_as_a_whole() -> None:
    wave = np.full(1000, 0.9, np.float32)
    background = noise.white(1000, np.random.default_rng(0))
    mixed = noise.added(wave, background, 0.0)
    assert float(np.abs(mixed).max()) == pytest.approx(0.99)
    whole = wave + background * np.float32(np.sqrt(power(wave) / power(background)))
    assert np.allclose(mixed / whole, mixed[0] / whole[0], atol=1e-4)


def test_silence_stays_silent() -> None:
    silence = np.zeros(100, np.float32)
    assert not noise.added(silence, noise.white(100, np.random.default_rng(0)), 10.0).any()
    wave = samples()[0].wave()
    assert np.array_equal(noise.added(wave, np.zeros(len(wave), np.float32), 10.0), wave)


def test_a_clip_has_the_same_noise_in_each_run() -> None:
    first, again = (noise.white(50, noise.generator(7, "a")) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, noise.white(50, noise.generator(8, "a")))
    assert not np.array_equal(first, noise.white(50, noise.generator(7, "b")))


def test_voices_of_babble_are_equally_loud_and_may_be_short() -> None:
    chance = np.random.default_rng(0)
    loud, quiet = (chance.standard_normal(500, dtype=np.float32) * np.float32(gain) for gain in (1.0, 0.001))
    both = noise.babble([loud, quiet], 5000, np.random.default_rng(1))
    assert power(both) == pytest.approx(2.0, rel=0.2)
    assert not noise.babble([np.zeros(0, np.float32)], 10, chance).any()


def test_conditions() -> None:
    assert noise.conditions([Noise.WHITE], []) == (CLEAN,)
    found = noise.conditions(list(Noise), [20.0, 5.0])
    assert [condition.name for condition in found] == [
        "clean",
        "white 20 dB",
        "white 5 dB",
        "babble 20 dB",
        "babble 5 dB",
    ]
    assert found[1] == Condition(Noise.WHITE, 20.0)
