"""Recordings of chosen lengths, made from the bundled samples: always the same, written as WAV."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from tests.support.sound.speech import Wave, samples

LOUD = 0.02
"""Share of the peak amplitude below which samples count as room."""
ROOM_S = 32 * FRAME_SAMPLES / SAMPLE_RATE
ROOM_RMS = 10 ** (-62 / 20)
BREATH_S = 0.06
"""Seconds between two words of an utterance: too short for a pause."""


def speech(directory: Path, seconds: int) -> Path:
    """Write sentences with pauses between them, cut to exactly this many seconds."""
    path = directory / f"speech-{seconds}s.wav"
    if not path.exists():
        wave = np.concatenate([sample.wave() for sample in samples()])
        _write(path, np.resize(wave, seconds * SAMPLE_RATE))
    return path


def utterances(directory: Path, seconds: float, count: int) -> list[Path]:
    """Write recordings of about this many seconds, each without a longer pause, that end at the end of speech.

    A second of a quiet room precedes each, always the same, so that the recognized audio is the same each time. Each
    consists of whole frames of 32 ms, so that the virtual microphone's last chunk ends where the speech does.
    """
    before = _room(0)
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
        missing = -(len(before) + len(wave)) % FRAME_SAMPLES
        paths.append(directory / f"utterance-{seconds:g}s-{number}.wav")
        _write(paths[-1], np.concatenate((before[:missing], before, wave)))
    return paths


def room(directory: Path) -> Path:
    """Write a second of that room, to follow an utterance."""
    path = directory / "room.wav"
    if not path.exists():
        _write(path, _room(1))
    return path


def _room(seed: int) -> Wave:
    noise = np.random.default_rng(seed).normal(0.0, ROOM_RMS, round(ROOM_S * SAMPLE_RATE))
    return np.asarray(noise, dtype=np.float32)


def _spoken(wave: Wave) -> Wave:
    loud = np.flatnonzero(np.abs(wave) > LOUD * np.abs(wave).max())
    return wave[loud[0] : loud[-1] + 1]


def _write(path: Path, wave: npt.NDArray[np.float32]) -> None:
    soundfile.write(path, wave, SAMPLE_RATE, subtype="PCM_16")
