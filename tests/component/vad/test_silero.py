"""The bundled voice activity model in real ONNX Runtime."""

import asyncio
import hashlib
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.errors import InputFault, ModelInvalid
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.native.call_thread import CallThread
from coldvoxd.native.processor import physical_cores
from coldvoxd.vad.silero import MODEL, SileroDetector
from tests.support.sound.speech import samples


def score_all(detector: SileroDetector, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Return the speech probabilities, float64 (frames,), of the whole frames in int16 (n,)."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return np.array([detector.score(frame) for frame in frames])


def recorded_speech(number: int) -> npt.NDArray[np.int16]:
    """Return one of the samples, int16 (n,)."""
    return (samples()[number].wave() * 32767).astype(np.int16)


def test_the_shipped_file_is_the_recorded_one_with_its_licence_beside_it() -> None:
    recorded, name = MODEL.with_name(f"{MODEL.name}.sha256").read_text().split()
    assert (hashlib.sha256(MODEL.read_bytes()).hexdigest(), MODEL.name) == (recorded, name)
    assert "MIT License" in MODEL.with_name("LICENSE").read_text()


def test_speech_scores_high_and_the_quiet_around_it_low() -> None:
    quiet = np.random.default_rng(5).integers(-3, 4, 16_000, dtype=np.int16)
    speech = recorded_speech(0)
    scores = score_all(SileroDetector(), np.concatenate([quiet, speech, quiet, quiet]))
    first, last = 16_000 // FRAME_SAMPLES, (16_000 + len(speech)) // FRAME_SAMPLES
    assert scores[: first - 1].max() < 0.15
    assert np.median(scores[first + 15 : last - 15]) > 0.8
    assert scores[last + 20 :].max() < 0.15


@pytest.mark.parametrize("level", [0, 3, 3000])
def test_silence_and_noise_are_not_speech(level: int) -> None:
    noise = np.random.default_rng(6).integers(-level, level + 1, 64_000, dtype=np.int16)
    assert score_all(SileroDetector(), noise)[5:].max() < 0.5


def test_a_word_after_a_long_time_without_speech_begins_where_it_would_after_a_second() -> None:
    """Without a limit of its memory the model found these words 13, 13 and 14 frames later after 30 s of noise."""

    def room(seconds: float) -> npt.NDArray[np.int16]:
        noise = np.random.default_rng(4).normal(0, 184, round(seconds * SAMPLE_RATE))  # -45 dBFS
        return noise.astype(np.int16)

    def first_speech(seconds: float, speech: npt.NDArray[np.int16]) -> int:
        before = room(seconds)
        scores = score_all(SileroDetector(), np.concatenate([before, speech + room(len(speech) / SAMPLE_RATE)]))
        return int((scores >= 0.5).argmax()) - len(before) // FRAME_SAMPLES

    for number in (5, 8, 14):
        speech = recorded_speech(number)
        assert 0 < first_speech(30.016, speech) <= first_speech(1.024, speech) + 2


def test_a_reset_forgets_everything() -> None:
    speech = recorded_speech(1)
    detector = SileroDetector()
    first = score_all(detector, speech)
    assert not np.array_equal(score_all(detector, speech), first), "it has memory"
    detector.reset()
    assert np.array_equal(score_all(detector, speech), first)


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    for file in MODEL.parent.iterdir():
        shutil.copy(file, tmp_path)
    model = tmp_path / MODEL.name
    SileroDetector(model=model)
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelInvalid, match="SHA-256"):
        SileroDetector(model=model)
    model.unlink()
    with pytest.raises(ModelInvalid, match="reinstall coldvoxd"):
        SileroDetector(model=model)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(511, np.int16), np.zeros(512, np.float32), np.zeros((1, 512), np.int16)],
    ids=["short", "float", "two dimensions"],
)
def test_what_is_no_frame_is_refused(samples: npt.NDArray[np.int16]) -> None:
    with pytest.raises(InputFault, match=r"int16 \(512,\)"):
        SileroDetector().score(samples)


@pytest.mark.heavy
async def test_frames_are_scored_while_a_recognition_runs_on_every_core() -> None:
    """The event loop scores frames and a call thread recognizes: the recognizer must never block the detector.

    If a run held the interpreter lock, or if the detector had to wait for the recognizer, no frame would be scored
    during the run.
    """
    speech = np.concatenate([sample.wave() for sample in samples()] * 2)
    frames = (speech[: 60 * FRAME_SAMPLES] * 32767).astype(np.int16).reshape(-1, FRAME_SAMPLES)
    detector, lane = SileroDetector(), CallThread("recognizer")
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=physical_cores())
    alone = [detector.score(frame) for frame in frames]
    detector.reset()
    beside = []
    running = lane.submit(lambda: recognizer.recognize_samples(speech))
    for frame in frames:
        beside.append(detector.score(frame))
        await asyncio.sleep(0)
        if running.done():
            break
    assert not running.done(), f"{len(beside)} frames took as long as {len(speech) / SAMPLE_RATE:.0f} s of recognition"
    assert beside == alone, "the scores do not depend on other computations"
    assert (await running).text
    lane.close()
    recognizer.close()
