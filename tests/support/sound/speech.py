"""Recorded speech for the tests: the model's own samples, the reference's texts, and variations of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from coldvoxd.core.speech_spans import speech_spans
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, EndReason, Utterance
from coldvoxd.models.directories import bundled_directory
from coldvoxd.vad.silero import SileroDetector

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sample:
    path: Path
    said: str
    heard: dict[str, str]
    """The reference's text, by precision."""

    @property
    def name(self) -> str:
        return self.path.stem

    def wave(self) -> Wave:
        """Return float32 (n,), 16 kHz."""
        wave, rate = soundfile.read(self.path, dtype="float32")
        assert rate == SAMPLE_RATE
        return np.asarray(wave, dtype=np.float32)


def mini() -> Path:
    """Return the directory of the bundled model."""
    return bundled_directory()


@lru_cache(maxsize=1)
def manifest() -> dict[str, object]:
    content = json.loads((mini() / "manifest.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@lru_cache(maxsize=1)
def samples() -> tuple[Sample, ...]:
    entries = manifest()["samples"]
    assert isinstance(entries, list)
    return tuple(Sample(mini() / entry["file"], entry["said"], entry["heard"]) for entry in entries)


def variations() -> Iterator[tuple[str, Wave]]:
    """Yield 216 clips of 24 samples, always the same: each with nine deterministic variations."""
    recordings = [(sample.name, sample.wave()) for sample in samples()]
    generator = np.random.default_rng(2)
    for index, (name, wave) in enumerate(recordings):
        follower_name, follower = recordings[(index + 7) % len(recordings)]
        yield name, wave
        yield f"{name} quieter by 26 dB", wave * np.float32(0.05)
        yield f"{name} in noise", _with_noise(wave, 10, generator)
        for speed in (0.88, 1.12):
            yield f"{name} at {speed} of its speed", _resampled(wave, SAMPLE_RATE * speed, SAMPLE_RATE)
        shift = int(generator.integers(1, SAMPLE_RATE // 10))
        yield f"{name} from sample {shift} on", wave[shift:]
        yield f"{name} through a telephone", _resampled(_resampled(wave, SAMPLE_RATE, 8000), 8000, SAMPLE_RATE)
        yield f"{name} then {follower_name}", np.concatenate((wave, follower))
        echo = np.zeros_like(wave)
        echo[1200:] = 0.4 * wave[:-1200]
        yield f"{name} in a tiled room", wave + echo


def spoken(*waves: Wave, pause_s: float = 0.4) -> Utterance:
    """Return an utterance of these recordings with pauses between them, and where the detector finds speech in it."""
    pause = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    parts = [part for wave in waves for part in (wave, pause)][:-1]
    clip = np.concatenate(parts) + np.random.default_rng(0).normal(0, 1e-4, sum(map(len, parts))).astype(np.float32)
    detector = SileroDetector()
    frames = clip[: len(clip) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    scores = [detector.score(np.rint(frame * 32767).astype(np.int16)) for frame in frames]
    found = ((at * FRAME_SAMPLES, (at + 1) * FRAME_SAMPLES, score >= 0.35) for at, score in enumerate(scores))
    return Utterance(1, 1, 0, clip.astype(np.float32), EndReason.ENDPOINT, speech=speech_spans(found, 0, len(clip)))


def _with_noise(wave: Wave, snr_db: float, generator: np.random.Generator) -> Wave:
    rms = float(np.sqrt(np.mean(wave**2))) * 10 ** (-snr_db / 20)
    return wave + generator.standard_normal(len(wave), dtype=np.float32) * np.float32(rms)


def _resampled(wave: Wave, from_hz: float, to_hz: float) -> Wave:
    return np.asarray(soxr.resample(wave, from_hz, to_hz), dtype=np.float32)
