"""Mixes several channels down to one, and finds the channel that holds the speech.

The average is usually right: it keeps a voice that all channels share and halves the noise that they do not share. It
fails if channels have opposite phases (they cancel) or if one of many holds the voice (of eight, it loses 18 dB). So
`auto` mixes, and switches to a channel if the mix is far below it in level or in its distance from the noise.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.channels import THE_MIX
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

FAR_DB = 8.0
"""Difference from which the mix is far below a channel. A voice on one of two channels is 6 dB louder there than in the
mix, and the mix then still holds a voice on the other channel."""
ACTIVE_DB = 6.0
"""Distance from its noise at which a channel is active. Levels of 32 ms of steady noise stay within 3 dB of their
centre."""
BAND_HZ = (300.0, 3400.0)
"""Band in which levels are measured: the telephone band contains speech, but neither hum nor a constant offset."""
LOWEST_DB = -80.0
"""Lower bound of levels in the band; a 16-bit recording has no signal below it."""
NOISE_RISE_DB = 0.1
"""Rise of the noise estimate per frame, 3 dB/s. The estimate follows quieter frames immediately."""

QUIET_DB = 4.0
"""Range above the minimum of a steady noise in which nearly all of its frames of 32 ms lie."""

Levels = npt.NDArray[np.float32]
"""Levels in dBFS, float32 (channels + 1,): the mix first, then each channel."""


def mixed(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the average of all channels, (n,), for samples (n, channels). It has the same type; int16 is rounded."""
    channels = samples.shape[1]
    average: npt.NDArray[np.float32] = samples.astype(np.float32) @ np.ones(channels, np.float32)
    average /= channels
    return np.rint(average).astype(np.int16) if samples.dtype == np.int16 else average


def taken(samples: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
    """Return one channel of samples (n, channels), or their mix if `number` is 0; contiguous."""
    return mixed(samples) if number == THE_MIX else np.ascontiguousarray(samples[:, number - 1])


_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_BAND = slice(int(np.ceil(BAND_HZ[0] * FRAME_SAMPLES / SAMPLE_RATE)), int(BAND_HZ[1] * FRAME_SAMPLES / SAMPLE_RATE) + 1)
_SCALE = 2.0 / float(FRAME_SAMPLES * np.square(_WINDOW).sum())
"""Converts the sum over positive frequencies to a mean square, by Parseval's theorem."""


def band_levels(frame: npt.NDArray[Any]) -> Levels:
    """Return the levels in the speech band of a frame, (512, channels), int16 or float in [-1, 1], at 16 kHz."""
    scale = _SCALE / 32768**2 if frame.dtype == np.int16 else _SCALE
    spectra = np.fft.rfft(np.multiply(frame.T, _WINDOW, order="C", dtype=np.float32))[:, _BAND]
    everything = np.concatenate((spectra.mean(axis=0, keepdims=True), spectra))
    powers = np.square(everything.real).sum(axis=1) + np.square(everything.imag).sum(axis=1)
    levels: Levels = np.maximum(10 * np.log10(powers * scale + 1e-12), LOWEST_DB).astype(np.float32)
    return levels


class Noise:
    """A running estimate of the noise in each level."""

    def __init__(self) -> None:
        self._noise_db: Levels | None = None

    def update(self, levels: Levels) -> Levels:
        """Return the estimate after a frame with these levels, in dBFS and of the same shape."""
        if self._noise_db is None or len(self._noise_db) != len(levels):
            self._noise_db = levels
        else:
            self._noise_db = np.minimum(levels, self._noise_db + np.float32(NOISE_RISE_DB))
        return self._noise_db


class Quiet:
    """A cheap test that no channel of a frame is louder than the quiet before it; if in doubt, the test fails."""

    def __init__(self) -> None:
        self._power: npt.NDArray[np.float32] | None = None

    def holds(self, frame: npt.NDArray[np.int16]) -> bool:
        """Return whether the next frame, int16 (512, channels), is quiet on every channel."""
        wide = frame.astype(np.float32)
        steps = wide[1:] - wide[:-1]  # differences suppress hum and offsets
        power = np.einsum("ij,ij->j", steps, steps) + np.float32(1)
        if self._power is None or len(self._power) != len(power):
            self._power = power
        self._power = np.minimum(power, self._power * np.float32(10 ** (NOISE_RISE_DB / 10)))
        return bool((power <= self._power * np.float32(10 ** (QUIET_DB / 10))).all())


def far_below(levels: Levels, noise_db: Levels, number: int, other: int) -> bool:
    """Return whether `number` (0: the mix) is far below the active channel `other`, in level or distance from noise."""
    above = levels - noise_db
    if above[other] < ACTIVE_DB:
        return False
    return bool(max(levels[other] - levels[number], above[other] - above[number]) >= FAR_DB)


def better(levels: Levels, noise_db: Levels, number: int) -> list[int]:
    """Return the channels to use instead of `number` (0: the mix), clearest first; empty if it is not far below any.

    The mix comes first if it is not far below any of them either.
    """
    found = [other for other in range(1, len(levels)) if far_below(levels, noise_db, number, other)]
    above = levels - noise_db
    found.sort(key=lambda other: float(-above[other]))
    if number != THE_MIX and found and not any(far_below(levels, noise_db, THE_MIX, other) for other in found):
        return [THE_MIX, *found]
    return found


def elected(votes: Iterable[int], *, mix_holds_speech: bool) -> int:
    """Return the channel for a piece of speech, given one vote (0: the mix) for each of its frames with speech.

    The whole piece gets one channel. If no channel has three quarters of the votes, several voices share the piece, and
    only the mix holds them all, unless the mix holds almost no speech.
    """
    counts = np.bincount(np.fromiter(votes, np.intp))
    if len(counts) < 2:
        return THE_MIX
    first = int(counts[1:].argmax()) + 1
    if counts[first] * 4 >= counts.sum() * 3 or not mix_holds_speech:
        return first
    return THE_MIX
