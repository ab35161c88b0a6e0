"""Recordings of the bundled model with a pause inside a sentence, or between two."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from coldvoxd.core.values import SAMPLE_RATE, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.sound.speech import Sample, Wave, mini, samples

INSIDE_S = 0.9
"""Seconds of a pause after which the daemon publishes a text, although the sentence continues."""
BETWEEN_S = 1.0
ROOM_RMS = 1e-4
EDGE = SAMPLE_RATE // 8
"""Samples of room noise that each part has at its cut."""
QUIET_S = 0.1
"""The cut is at the quietest place within this many seconds of the middle between two words."""
_CUTS = {
    "We will read this report on Friday.": 9_920,
    "Copy my text and delete that line.": 25_749,
}
"""By sentence, a sample between two of its first words."""
CUT = tuple(_CUTS)


def said(sentence: str) -> Sample:
    """Return the recording of a sentence."""
    return next(sample for sample in samples() if sample.said == sentence)


def with_pause(sentence: str) -> Wave:
    """Return the recording of a sentence of `CUT` with a pause inside: float32 (n,), 16 kHz."""
    wave, cut = said(sentence).wave(), _CUTS[sentence]
    return joined(wave[:cut], wave[cut:], pause_s=INSIDE_S)


def joined(*waves: Wave, pause_s: float = BETWEEN_S) -> Wave:
    """Return recordings with pauses between them."""
    pause = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    return np.concatenate([part for wave in waves for part in (pause, wave)][1:])


def write(file: Path, wave: Wave) -> Path:
    """Write a recording to a file, and return it."""
    soundfile.write(file, wave, SAMPLE_RATE, subtype="PCM_16")
    return file


@lru_cache(maxsize=1)
def _recognizer() -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(mini()), Precision.FP32), threads=1)


def halves(name: str, after_word: int) -> tuple[Wave, Wave]:
    """Cut the sample whose name ends with `name` after this number of words."""
    return halves_of(next(sample for sample in samples() if sample.name.endswith(name)).wave(), after_word)


def halves_of(wave: Wave, after_word: int) -> tuple[Wave, Wave]:
    """Cut a recording after this number of words of the bundled model; return both parts, float32 (n,), 16 kHz."""
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


def strung(length_s: float, count: int, pause_s: float = 0.3) -> Iterator[tuple[Wave, str]]:
    """Yield recordings of samples that follow each other up to this length, each with others first, and what is said."""
    for number in range(count):
        parts: list[Wave] = []
        said: list[str] = []
        has_s = 0.0
        for place in range(number, number + 10 * len(samples())):
            sample = samples()[place * 7 % len(samples())]
            wave = sample.wave()
            has_s += len(wave) / SAMPLE_RATE + pause_s
            if has_s > length_s and parts:
                break
            parts += [wave, room(pause_s)]
            said.append(sample.said)
        yield np.concatenate(parts[:-1]), " ".join(said)
