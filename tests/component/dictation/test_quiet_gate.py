"""The gate before the voice activity model, with the real model: it saves runs without changing decisions."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.audio_values import Frame
from coldvoxd.core.levels import level_db
from coldvoxd.core.values import FRAME_SAMPLES
from coldvoxd.dictation.quiet_gate import NO_SPEECH_PROBABILITY, SETTLED_FRAMES, QuietGate
from coldvoxd.vad.silero import SileroDetector
from tests.support.sound.speech import samples

Frames = npt.NDArray[np.int16]
THRESHOLDS = (0.5, 0.35)
"""Speech starts at the first threshold and ends below the second."""


def frames_of(wave: npt.NDArray[np.float64]) -> Frames:
    """Return int16 (frames, 512) for float (n,) in [-1, 1]."""
    steps = np.clip(np.round(wave * 32767), -32768, 32767).astype(np.int16)
    return steps[: len(steps) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def room(seconds: float, rms: float, seed: int = 0) -> npt.NDArray[np.float64]:
    """Return noise that is louder at low frequencies, as in real rooms."""
    lines = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, round(seconds * 16_000)))
    noise = np.fft.irfft(lines / np.sqrt(np.arange(len(lines)) + 20), round(seconds * 16_000))
    return np.asarray(noise * rms / noise.std(), np.float64)


def spoken_in(noise_rms: float) -> Frames:
    """Return some of the samples, each after 15 s of room noise."""
    parts = []
    for number, sample in enumerate(samples()[:6]):
        wave = sample.wave()
        heard = room(15 + len(wave) / 16_000, noise_rms, number)
        heard[-len(wave) :] += wave * 0.1 / np.abs(wave).max() * 2
        parts.append(heard)
    return frames_of(np.concatenate(parts))


def ungated(frames: Iterable[npt.NDArray[np.int16]]) -> npt.NDArray[np.float64]:
    detector = SileroDetector()
    detector.follow_level(False)
    return np.array([detector.score(frame) for frame in frames])


def gated(gate: QuietGate, frames: Iterable[npt.NDArray[np.int16]], *, at_rest: bool = True) -> npt.NDArray[np.float64]:
    scored = [gate.score(Frame(0, frame), at_rest=at_rest) for frame in frames]
    return np.array([one.speech_probability for one in scored])


@pytest.mark.parametrize("noise_rms", [0.0, 3e-5, 1e-3, 1e-2], ids=["silence", "-90", "-60", "-40"])
def test_no_frame_is_decided_otherwise_and_most_of_the_quiet_is_passed_over(noise_rms: float) -> None:
    frames = spoken_in(noise_rms)
    gate = QuietGate(SileroDetector())
    ours, theirs = gated(gate, frames), ungated(frames)
    for threshold in THRESHOLDS:
        assert np.array_equal(ours >= threshold, theirs >= threshold)
    quiet = int((theirs < NO_SPEECH_PROBABILITY).sum())
    assert gate.passed_over > 0.2 * quiet or not noise_rms
    print(f"{gate.passed_over} frames passed over of {quiet} quiet ones and {len(frames)} in all")


def test_a_room_after_exact_silence_is_scored_for_ten_seconds() -> None:
    gate = QuietGate(SileroDetector())
    gated(gate, np.zeros((2 * SETTLED_FRAMES, FRAME_SAMPLES), np.int16))
    gated(gate, frames_of(room(14, 5.6e-3))[:SETTLED_FRAMES])
    assert gate.passed_over == 0


def test_a_room_that_grows_quieter_or_louder_is_looked_at_again() -> None:
    gate = QuietGate(SileroDetector())
    for rms in (3e-3, 3e-4, 3e-3):
        gated(gate, frames_of(room(12, rms)))
        before = gate.passed_over
        gated(gate, frames_of(room(12, rms, 1))[: SETTLED_FRAMES // 2])
        assert gate.passed_over > before
        gated(gate, frames_of(room(1, rms / 30, 2))[:4])
        gated(gate, frames_of(room(1, rms * 30, 3))[:4])


def test_in_a_session_every_frame_is_scored() -> None:
    frames = frames_of(room(12, 1e-3))
    gate = QuietGate(SileroDetector())
    assert np.array_equal(gated(gate, frames, at_rest=False), ungated(frames))
    assert gate.passed_over == 0


def test_nothing_is_passed_over_before_ten_seconds_of_quiet_nor_after_a_gap() -> None:
    frames = frames_of(room(14, 1e-3))
    gate = QuietGate(SileroDetector())
    gated(gate, frames[:SETTLED_FRAMES])
    assert gate.passed_over == 0
    gated(gate, frames[SETTLED_FRAMES:])
    passed_over = gate.passed_over
    assert passed_over > 0
    gate.reset()
    gated(gate, frames[:SETTLED_FRAMES])
    assert gate.passed_over == passed_over


@pytest.mark.parametrize("at_rest", [True, False], ids=["at rest", "in a session"])
def test_a_frame_has_its_own_level_whether_or_not_the_detector_scored_it(at_rest: bool) -> None:
    gate = QuietGate(SileroDetector())
    frames = frames_of(room(14, 1e-3))
    for number, samples_ in enumerate(frames):
        scored = gate.score(Frame(number * FRAME_SAMPLES, samples_), at_rest=at_rest)
        assert scored.frame.start_sample == number * FRAME_SAMPLES
        assert scored.level_db == level_db(samples_)
    assert (gate.passed_over > 0) is at_rest
