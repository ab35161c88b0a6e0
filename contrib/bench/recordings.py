"""Recordings of chosen lengths, made of the bundled samples: always the same, written as WAV."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from tests.support.speech import Wave, samples

LOUD = 0.02
"""Of the highest sample: less is the room."""
BREATH_S = 0.06
"""Between two words of an utterance: too short for a pause."""


def speech(directory: Path, seconds: int) -> Path:
    """A recording of sentences with pauses between them, cut at exactly so many seconds."""
    path = directory / f"speech-{seconds}s.wav"
    if not path.exists():
        wave = np.concatenate([sample.wave() for sample in samples()])
        _write(path, np.resize(wave, seconds * SAMPLE_RATE))
    return path


def utterances(directory: Path, seconds: float, count: int) -> list[Path]:
    """Recordings of about so many seconds, each spoken without a longer pause, whose end is the end of speech.

    Each is whole frames of 32 ms, so that the virtual microphone's last chunk ends where the speech does.
    """
    words = [_spoken(sample.wave()) for sample in samples()]
    paths = []
    for number in range(count):
        wave = words[number % len(words)]
        following = number
        while len(wave) < (seconds - 0.5) * SAMPLE_RATE:
            following += 7
            wave = np.concatenate(
                (wave, np.zeros(round(BREATH_S * SAMPLE_RATE), np.float32), words[following % len(words)])
            )
        wave = wave[: round(seconds * SAMPLE_RATE)]
        missing = -len(wave) % FRAME_SAMPLES
        paths.append(directory / f"utterance-{seconds:g}s-{number}.wav")
        _write(paths[-1], np.concatenate((np.zeros(missing, np.float32), wave)))
    return paths


def _spoken(wave: Wave) -> Wave:
    loud = np.flatnonzero(np.abs(wave) > LOUD * np.abs(wave).max())
    return wave[loud[0] : loud[-1] + 1]


def _write(path: Path, wave: npt.NDArray[np.float32]) -> None:
    soundfile.write(path, wave, SAMPLE_RATE, subtype="PCM_16")
