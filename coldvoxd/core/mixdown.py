"""The mixdown of several channels to one, and which of them holds the speech.

Averaging is right for most: it keeps a voice that all channels share and halves the noise that they don't. It fails where
channels have opposite phases (they cancel) and where one of many holds the voice (of eight, it loses 18 dB). So `auto` mixes,
and leaves the mix for a channel where the mix is far below it: in level, or in its distance from the noise.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.channels import THE_MIX
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

FAR_DB = 8.0
"""The mix is far below a channel from here on. A voice on one of two channels is 6 dB louder there than in the mix, and the
mix then still holds whoever speaks on the other."""
ACTIVE_DB = 6.0
"""A channel is active so far above its noise; levels of 32 ms of steady noise lie within 3 dB of their middle."""
BAND_HZ = (300.0, 3400.0)
"""What levels are measured in: a telephone's band has the speech, and neither hum nor a constant offset."""
LOWEST_DB = -80.0
"""In the band; a recording of 16 bits has no signal below it."""
NOISE_RISE_DB = 0.1
"""The estimate of the noise rises by so much a frame, 3 dB/s, and follows quieter frames at once."""

QUIET_DB = 4.0
"""So far above the least of a steady noise nearly all frames of it lie, of 32 ms each."""

Levels = npt.NDArray[np.float32]
"""In dBFS, float32 (channels + 1,): the mix first, then each channel."""


def mixed(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The average of all channels, (n,) of samples (n, channels) of the same type; int16 is rounded."""
    channels = samples.shape[1]
    average: npt.NDArray[np.float32] = samples.astype(np.float32) @ np.ones(channels, np.float32)
    average /= channels
    return np.rint(average).astype(np.int16) if samples.dtype == np.int16 else average


def taken(samples: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
    """One channel of samples (n, channels), or for 0 their mix; contiguous."""
    return mixed(samples) if number == THE_MIX else np.ascontiguousarray(samples[:, number - 1])


_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_BAND = slice(int(np.ceil(BAND_HZ[0] * FRAME_SAMPLES / SAMPLE_RATE)), int(BAND_HZ[1] * FRAME_SAMPLES / SAMPLE_RATE) + 1)
_SCALE = 2.0 / float(FRAME_SAMPLES * np.square(_WINDOW).sum())
"""By Parseval's theorem: makes the sum over positive frequencies a mean square."""


def band_levels(frame: npt.NDArray[Any]) -> Levels:
    """Levels in the speech band of a frame, (512, channels), int16 or float in [-1, 1], at 16 kHz."""
    scale = _SCALE / 32768**2 if frame.dtype == np.int16 else _SCALE
    spectra = np.fft.rfft(np.multiply(frame.T, _WINDOW, order="C", dtype=np.float32))[:, _BAND]
    everything = np.concatenate((spectra.mean(axis=0, keepdims=True), spectra))
    powers = np.square(everything.real).sum(axis=1) + np.square(everything.imag).sum(axis=1)
    levels: Levels = np.maximum(10 * np.log10(powers * scale + 1e-12), LOWEST_DB).astype(np.float32)
    return levels


class Noise:
    """A running estimate of each level's noise."""

    def __init__(self) -> None:
        self._noise_db: Levels | None = None

    def update(self, levels: Levels) -> Levels:
        """The estimate after a frame of these levels, in dBFS, shaped like them."""
        if self._noise_db is None or len(self._noise_db) != len(levels):
            self._noise_db = levels
        else:
            self._noise_db = np.minimum(levels, self._noise_db + np.float32(NOISE_RISE_DB))
        return self._noise_db


class Quiet:
    """Knows cheaply that no channel of a frame is louder than the quiet before it; errs towards no."""

    def __init__(self) -> None:
        self._power: npt.NDArray[np.float32] | None = None

    def holds(self, frame: npt.NDArray[np.int16]) -> bool:
        """Whether the next frame, int16 (512, channels), is quiet on every channel."""
        wide = frame.astype(np.float32)
        steps = wide[1:] - wide[:-1]  # which leaves hum and offsets out
        power = np.einsum("ij,ij->j", steps, steps) + np.float32(1)
        if self._power is None or len(self._power) != len(power):
            self._power = power
        self._power = np.minimum(power, self._power * np.float32(10 ** (NOISE_RISE_DB / 10)))
        return bool((power <= self._power * np.float32(10 ** (QUIET_DB / 10))).all())


def far_below(levels: Levels, noise_db: Levels, number: int, other: int) -> bool:
    """Whether one (0 for the mix) is far below another that is active: in level, or in its distance from the noise."""
    above = levels - noise_db
    if above[other] < ACTIVE_DB:
        return False
    return bool(max(levels[other] - levels[number], above[other] - above[number]) >= FAR_DB)


def better(levels: Levels, noise_db: Levels, number: int) -> list[int]:
    """What to hear instead of a channel or the mix (0), the clearest first; empty where that is not far below anything.

    The mix comes first where it is not far below either.
    """
    found = [other for other in range(1, len(levels)) if far_below(levels, noise_db, number, other)]
    above = levels - noise_db
    found.sort(key=lambda other: float(-above[other]))
    if number != THE_MIX and found and not any(far_below(levels, noise_db, THE_MIX, other) for other in found):
        return [THE_MIX, *found]
    return found


def elected(votes: Iterable[int], *, mix_holds_speech: bool) -> int:
    """The channel for a stretch of speech, of one vote (0 for the mix) for each of its frames that holds speech.

    One channel for all of it: where no channel has three quarters, voices share the stretch and only the mix has them all,
    unless it has next to nothing.
    """
    counts = np.bincount(np.fromiter(votes, np.intp))
    if len(counts) < 2:
        return THE_MIX
    first = int(counts[1:].argmax()) + 1
    if counts[first] * 4 >= counts.sum() * 3 or not mix_holds_speech:
        return first
    return THE_MIX
