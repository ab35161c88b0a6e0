"""Conditioning: audio of another scale or with an offset is brought to [-1, 1]; valid audio is unchanged."""

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.conditioning import Conditioning
from coldvoxd.core.errors import InputFault
from tests.support.sound.speech import samples

RATE = 16_000
VOICE = samples()[2].wave()[:, None]


def conditioned(wave: npt.NDArray[np.float32], block: int = 5 * RATE) -> npt.NDArray[np.float32]:
    condition = Conditioning(RATE)
    return np.concatenate([condition(wave[at : at + block].astype(np.float32)) for at in range(0, len(wave), block)])


@pytest.mark.parametrize("gain", [1.0, 0.001, 2.0, 4.0])
def test_a_recording_that_is_in_order_passes_bit_exact(gain: float) -> None:
    """Includes float recordings whose peaks exceed full scale, as in mixes."""
    wave = VOICE * np.float32(gain)
    condition = Conditioning(RATE)
    assert condition(wave) is wave
    np.testing.assert_array_equal(conditioned(wave, 1024), wave)


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_whole_numbers_written_as_floats_are_scaled_by_their_full_scale(bits: int) -> None:
    wave = np.rint(VOICE.astype(np.float64) * 2 ** (bits - 1))
    np.testing.assert_allclose(conditioned(wave), VOICE, atol=2 ** -(bits - 1))


@pytest.mark.parametrize("gain", [1e12, 1e30, 3e38])
def test_values_of_no_known_scale_are_refused_with_their_size(gain: float) -> None:
    with pytest.raises(
        InputFault, match=r"values of \d\.?\d*e\+\d+ where full scale is 1, or 2147483648 for whole numbers"
    ):
        conditioned(VOICE * np.float32(gain))


def test_single_samples_beyond_all_reason_are_bounded_and_the_rest_stays() -> None:
    wave = VOICE.copy()
    wave[[1000, 20_000]] = [[1e30], [-1e30]]
    found = conditioned(wave)
    assert np.abs(found).max() == 8.0
    rest = np.delete(np.arange(len(wave)), [1000, 20_000])
    np.testing.assert_array_equal(found[rest], wave[rest])


@pytest.mark.parametrize("block", [512, 5 * RATE])
@pytest.mark.parametrize("offset", [0.005, -0.3, 0.9])
def test_a_constant_offset_is_removed_from_the_channel_that_has_it(offset: float, block: int) -> None:
    wave = np.repeat(np.tile(VOICE, (3, 1)), 2, axis=1) * np.float32(0.1)
    found = conditioned(wave + np.array([0.0, offset], np.float32), block)
    np.testing.assert_array_equal(found[:, 0], wave[:, 0])
    settled = found[RATE:, 1] - wave[RATE:, 1]
    assert np.abs(settled).max() < max(0.01, 0.05 * abs(offset))
    assert np.abs(np.diff(found[RATE:, 1] - wave[RATE:, 1])).max() < 1e-4, "no clicks between blocks"


def test_an_empty_block_and_silence_stay_what_they_are() -> None:
    assert len(conditioned(np.zeros((1, 2), np.float32))[:0]) == 0
    np.testing.assert_array_equal(conditioned(np.zeros((RATE, 2), np.float32)), np.zeros((RATE, 2)))
