"""Noise that is added to recordings at a signal-to-noise ratio. Pure: a seed gives the same noise each time.

The ratio is that of the root mean squares over the whole clip, pauses included.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float32]
"""float32 (n,), 16 kHz."""
BABBLE_VOICES = 4
"""Number of other clips that babble consists of."""
_LEAST_POWER = 1e-12
_LOUDEST = 0.99


class Noise(StrEnum):
    """What is added."""

    WHITE = "white"
    """Gaussian noise of equal power at all frequencies."""
    BABBLE = "babble"
    """Other clips of the data set, by other speakers where these are known."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is done to each clip before it is recognized."""

    noise: Noise | None = None
    snr_db: float = 0.0

    @property
    def name(self) -> str:
        """`clean`, or such as `white 20 dB`."""
        return "clean" if self.noise is None else f"{self.noise} {self.snr_db:g} dB"


CLEAN = Condition()


def conditions(kinds: Sequence[Noise], snrs_db: Sequence[float]) -> tuple[Condition, ...]:
    """Return the clean condition, and each noise at each ratio."""
    return (CLEAN, *(Condition(kind, snr_db) for kind in kinds for snr_db in snrs_db))


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator of a clip: the same for each condition, engine and setting. Any name has one."""
    return np.random.default_rng([seed, zlib.crc32(name.encode(errors="surrogatepass"))])


def white(samples: int, chance: np.random.Generator) -> Wave:
    """Return white noise, float32 (samples,), with a root mean square of 1."""
    return chance.standard_normal(samples, dtype=np.float32)


def babble(voices: Sequence[Wave], samples: int, chance: np.random.Generator) -> Wave:
    """Return the sum of voices, float32 (samples,): each with the same power, repeated, from a random place on."""
    total = np.zeros(samples, np.float64)
    for voice in voices:
        if len(voice) == 0:
            continue
        begin = int(chance.integers(len(voice)))
        repeated = np.take(voice, np.arange(begin, begin + samples), mode="wrap")
        total += repeated / np.sqrt(max(_power(voice), _LEAST_POWER))
    return total.astype(np.float32)


def added(wave: Wave, noise: Wave, snr_db: float) -> Wave:
    """Return speech with noise at a ratio, scaled down if it would exceed full scale. Silence stays as it is."""
    speech, background = _power(wave), _power(noise)
    if speech < _LEAST_POWER or background < _LEAST_POWER:
        return wave
    gain = np.sqrt(speech / background) * 10 ** (-snr_db / 20)
    mixed = wave + noise * np.float32(gain)
    loudest = float(np.abs(mixed).max())
    return mixed if loudest <= _LOUDEST else (mixed * np.float32(_LOUDEST / loudest)).astype(np.float32)


def _power(wave: Wave) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
