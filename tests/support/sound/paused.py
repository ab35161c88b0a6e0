"""Recordings with a pause inside a sentence, made from the bundled samples."""

from functools import lru_cache

import numpy as np

from coldvoxd.core.values import SAMPLE_RATE, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.sound.speech import Wave, mini, samples

ROOM_RMS = 1e-4
EDGE = SAMPLE_RATE // 8
"""Samples of room noise that each part has at its cut."""
QUIET_S = 0.1
"""The cut is at the quietest place within this many seconds of the middle between two words."""


@lru_cache(maxsize=1)
def _recognizer() -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(mini()), Precision.FP32), threads=1)


@lru_cache
def halves(name: str, after_word: int) -> tuple[Wave, Wave]:
    """Cut the sample whose name ends with `name` after this number of words; return both parts, float32 (n,), 16 kHz."""
    wave = next(sample for sample in samples() if sample.name.endswith(name)).wave()
    words = _recognizer().recognize_samples(wave).words
    middle = round((words[after_word - 1].end_s + words[after_word].start_s) / 2 * SAMPLE_RATE)
    around = round(QUIET_S * SAMPLE_RATE)
    power = np.convolve(np.square(wave[middle - around : middle + around]), np.ones(320), "same")
    at = middle - around + int(np.argmin(power))
    edge = room(EDGE / SAMPLE_RATE)
    return np.concatenate((wave[:at], edge)), np.concatenate((edge, wave[at:]))


def paused(name: str, after_word: int, pause_s: float) -> Wave:
    """Return the sample with a pause of `pause_s` seconds after this number of words."""
    first, second = halves(name, after_word)
    return np.concatenate((first, room(pause_s - 2 * EDGE / SAMPLE_RATE), second))


def room(seconds: float) -> Wave:
    """Return faint noise, float32 (n,), the same every time."""
    noise = np.random.default_rng(4).standard_normal(max(0, round(seconds * SAMPLE_RATE)), dtype=np.float32)
    return noise * np.float32(ROOM_RMS)
