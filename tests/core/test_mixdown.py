"""Mixdown: which channels are far below others, and which channel is used for a stretch of speech."""

import numpy as np
import pytest

from coldvoxd.core.channels import THE_MIX
from coldvoxd.core.mixdown import LOWEST_DB, Noise, band_levels, better, elected, far_below, mixed, taken

RNG = np.random.default_rng(3)


def test_channels_are_averaged_or_taken_as_they_are() -> None:
    block = np.array([[100, 201], [-32768, -32768], [32767, 32767]], np.int16)
    assert mixed(block).tolist() == [150, -32768, 32767]
    assert taken(block, 2).tolist() == [201, -32768, 32767]
    assert taken(block, THE_MIX).dtype == taken(block, 1).dtype == np.int16
    assert taken(np.array([[0.5, 0.0]], np.float32), THE_MIX).tolist() == [0.25]


def tone(hz: float, amplitude: float) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(512) / 16_000)).astype(np.float32)


def test_levels_are_those_of_the_speech_band_alone() -> None:
    frame = np.stack([tone(1000, 0.5), tone(50, 0.5), tone(1000, 0.0) + 0.9, tone(1000, 0.0)], axis=1)
    levels = band_levels(frame)
    assert levels[1] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.5)
    assert levels[0] == pytest.approx(levels[1] - 20 * np.log10(4), abs=0.5)
    assert levels[2] < levels[1] - 40, "hum"
    assert levels[3] < levels[1] - 40, "a constant offset"
    assert levels[4] == LOWEST_DB
    np.testing.assert_allclose(band_levels((frame * 32767).astype(np.int16)), levels, atol=0.3)


def after_noise(
    noise: "np.ndarray[tuple[int, int], np.dtype[np.float32]]", frame: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the levels and the noise estimate of a frame after 3 s of noise."""
    estimate = Noise()
    for start in range(0, len(noise) - 511, 512):
        estimate.update(band_levels(noise[start : start + 512]))
    levels = band_levels(frame)
    return levels, estimate.update(levels)


def noise(*dbfs: float) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return np.stack([RNG.normal(0, 10 ** (level / 20), 48_000) for level in dbfs], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("gains", "dbfs", "first"),
    [
        pytest.param((1, 1), (-60, -60), 0, id="both the same"),
        pytest.param((1, 0), (-60, -60), 0, id="one of two: 6 dB is not far"),
        pytest.param((1, -0.9), (-60, -60), 1, id="opposite phases"),
        pytest.param((0.3, -0.35), (-60, -60), 2, id="nearly opposite, the second louder"),
        pytest.param((0, 0, 1, 0, 0, 0, 0, 0), (-60,) * 8, 3, id="the third of eight"),
        pytest.param((1, 0), (-70, -30), 1, id="noise on the other, as loud as the voice in the mix"),
        pytest.param((1, 1), (-60, -56), 0, id="a little more noise on the other"),
        pytest.param((1, 0.1), (-60, -60), 0, id="nearer to one of two"),
    ],
)
def test_the_mix_is_left_where_it_is_far_below(gains: tuple[float, ...], dbfs: tuple[float, ...], first: int) -> None:
    room = noise(*dbfs)
    voice = tone(700, 0.05) + tone(1100, 0.03)
    levels, noise_db = after_noise(room, room[:512] + voice[:, None] * np.array(gains, np.float32))
    assert [*better(levels, noise_db, THE_MIX), THE_MIX][0] == first


def test_a_channel_is_kept_until_it_is_far_below_and_then_the_mix_is_preferred() -> None:
    room = noise(-60, -60, -60, -60)
    voice = tone(700, 0.05)[:, None]
    for gains, wanted in (((1, 0, 0, 0), []), ((0, 0, 1, 0), [3]), ((0.02, 2, 1, 1), [0, 2])):
        levels, noise_db = after_noise(room, room[:512] + voice * np.array(gains, np.float32))
        assert better(levels, noise_db, 1)[: len(wanted)] == wanted
        assert bool(better(levels, noise_db, 1)) == bool(wanted)


def test_steady_noise_is_never_active() -> None:
    """Loud noise on one of four channels is 12 dB above the mix, and contains no speech."""
    room = noise(-30, -70, -70, -70)
    estimate, active = Noise(), 0
    for start in range(0, len(room) - 511, 512):
        levels = band_levels(room[start : start + 512])
        noise_db = estimate.update(levels)
        active += start > 16_000 and far_below(levels, noise_db, THE_MIX, 1)
    assert active <= 3


def test_a_stretch_of_speech_has_one_channel() -> None:
    assert elected([], mix_holds_speech=False) == THE_MIX
    assert elected([0] * 9, mix_holds_speech=True) == THE_MIX
    assert elected([2] * 9 + [0], mix_holds_speech=True) == 2
    assert elected([1] * 5 + [2] * 5, mix_holds_speech=True) == THE_MIX, "two voices, and the mix has both"
    assert elected([1] * 5 + [2] * 4 + [0], mix_holds_speech=False) == 1
