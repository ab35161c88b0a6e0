"""Noise without speech: rooms, mains hum, fans, keyboards, breath.

Each stretch differs; a seed gives the same noise.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from coldvoxd.core.values import SAMPLE_RATE

Wave = npt.NDArray[np.float64]
LEVELS_DB = (-70, -60, -50, -40, -30)
STRETCH_S = 30
"""Seconds after which the room, the fan or the typist changes."""


def noise(kind: str, seconds: float, level_db: float, seed: int) -> npt.NDArray[np.float32]:
    """Return float32 (n,) at 16 kHz.

    The level, in dBFS, is the root mean square; for keys it is the peak of loud strokes, for breath the middle of a
    breath.
    """
    count = round(seconds * SAMPLE_RATE)
    generator = np.random.default_rng([sorted(KINDS).index(kind), abs(round(level_db)), abs(seed)])
    stretches = [
        KINDS[kind](generator, min(STRETCH_S * SAMPLE_RATE, count - start))
        for start in range(0, count, STRETCH_S * SAMPLE_RATE)
    ]
    return np.asarray(np.concatenate(stretches) * 10 ** (level_db / 20), np.float32)


def set_of(seconds: float, seed: int) -> Iterator[tuple[str, int, npt.NDArray[np.float32]]]:
    """Yield kind, level and samples of each kind at each level; `seconds` is the total."""
    share = seconds / (len(KINDS) * len(LEVELS_DB))
    for kind in KINDS:
        for level_db in LEVELS_DB:
            yield kind, level_db, noise(kind, share, level_db, seed)


def _room(generator: np.random.Generator, count: int) -> Wave:
    """Return noise that is louder at low frequencies, and swells slowly by 2 dB."""
    time_s = np.arange(count) / SAMPLE_RATE
    swell_db = 2 * np.sin(2 * np.pi * generator.uniform(0.02, 0.1) * time_s + generator.uniform(0, 6))
    return np.asarray(_colored(generator, count, generator.uniform(0.5, 1.5)) * 10 ** (swell_db / 20))


def _hum(generator: np.random.Generator, count: int) -> Wave:
    """Return 50 or 60 Hz with its harmonics, in a faint room."""
    base_hz = generator.choice([50.0, 60.0]) + generator.normal(0, 0.02)
    falling = generator.uniform(0.5, 1.2)
    tones = sum(
        generator.uniform(0.2, 1) / number**falling * _tone(count, base_hz * number, generator.uniform(0, 6))
        for number in range(1, 12)
    )
    return _unit(_unit(np.asarray(tones)) + 0.2 * _colored(generator, count, 1))


def _fan(generator: np.random.Generator, count: int) -> Wave:
    """Return air modulated by the rotor, and the tones of its blades."""
    rotor_hz, blades = generator.uniform(15, 40), generator.integers(5, 9)
    air = _band(generator, count, 80, generator.uniform(600, 2000)) * (1 + 0.15 * _tone(count, rotor_hz, 0))
    for number in (1, 2, 3):
        air = air + 0.4 / number * _tone(count, rotor_hz * blades * number, generator.uniform(0, 6))
    return _unit(air)


def _keyboard(generator: np.random.Generator, count: int) -> Wave:
    """Return three to nine strokes per second with pauses; each is a press and a release that ring for milliseconds."""
    heard, position = np.zeros(count + SAMPLE_RATE), 0
    while position < count:
        for _ in range(generator.integers(5, 60)):
            for loudness, later_s in ((1.0, 0.0), (0.5, generator.uniform(0.06, 0.12))):
                stroke = _stroke(generator) * loudness * generator.uniform(0.4, 1)
                start = position + round(later_s * SAMPLE_RATE)
                if start + len(stroke) <= len(heard):
                    heard[start : start + len(stroke)] += stroke
            position += round(generator.uniform(0.1, 0.35) * SAMPLE_RATE)
        position += round(generator.uniform(0.5, 4) * SAMPLE_RATE)
    heard = heard[:count]
    return np.asarray(heard / max(np.abs(heard).max(), 1e-9) + 0.003 * generator.normal(0, 1, count))


def _breath(generator: np.random.Generator, count: int) -> Wave:
    """Return breaths in and out every few seconds, in a faint room."""
    heard, position = 0.02 * _colored(generator, count, 1), 0
    while True:
        for loudness in (generator.uniform(0.4, 0.9), 1.0):
            length = round(generator.uniform(0.7, 1.6) * SAMPLE_RATE)
            if position + length > count:
                return heard
            air = _band(generator, length, generator.uniform(200, 500), generator.uniform(1200, 3500))
            heard[position : position + length] += loudness * air * np.sin(np.pi * np.arange(length) / length)
            position += length + round(generator.uniform(0.05, 0.3) * SAMPLE_RATE)
        position += round(generator.uniform(0.5, 2) * SAMPLE_RATE)


KINDS: dict[str, Callable[[np.random.Generator, int], Wave]] = {
    "room": _room,
    "hum": _hum,
    "fan": _fan,
    "keyboard": _keyboard,
    "breath": _breath,
}


def _stroke(generator: np.random.Generator) -> Wave:
    time_s = np.arange(round(generator.uniform(0.01, 0.04) * SAMPLE_RATE)) / SAMPLE_RATE
    stroke = generator.normal(0, 1, len(time_s)) * np.exp(-time_s / generator.uniform(0.001, 0.004))
    for ringing_hz in generator.uniform(300, 5000, 3):
        stroke += 0.7 * np.sin(2 * np.pi * ringing_hz * time_s) * np.exp(-time_s / generator.uniform(0.002, 0.008))
    return stroke


def _tone(count: int, hertz: float, phase: float) -> Wave:
    return np.asarray(np.sin(2 * np.pi * hertz / SAMPLE_RATE * np.arange(count) + phase))


def _colored(generator: np.random.Generator, count: int, exponent: float) -> Wave:
    """Return noise whose power falls with frequency to this exponent, from 20 Hz on."""
    lines, hertz = _lines(generator, count)
    return _unit(np.fft.irfft(lines / np.maximum(hertz, 20) ** (exponent / 2), count))


def _band(generator: np.random.Generator, count: int, from_hz: float, to_hz: float) -> Wave:
    lines, hertz = _lines(generator, count)
    return _unit(np.fft.irfft(lines / (1 + (from_hz / np.maximum(hertz, 1)) ** 4) / (1 + (hertz / to_hz) ** 4), count))


def _lines(generator: np.random.Generator, count: int) -> tuple[npt.NDArray[np.complex128], Wave]:
    lines = np.fft.rfft(generator.normal(0, 1, count))
    return lines, np.arange(len(lines)) * SAMPLE_RATE / count


def _unit(wave: Wave) -> Wave:
    """Scale to a root mean square of 1."""
    return np.asarray(wave / wave.std())
