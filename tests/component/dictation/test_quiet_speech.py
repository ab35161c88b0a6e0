"""Quiet voices are recognized, from files and from a microphone, with the real voice activity model and recognizer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.core import endpointing
from coldvoxd.core.audio_values import Frame, Gap, GapReason
from coldvoxd.core.endpoint_effects import Cut
from coldvoxd.core.endpointing import EndpointState, Finish, Scored
from coldvoxd.core.problems import Problem
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.values import FRAME_SAMPLES, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.models import find_model
from coldvoxd.vad.silero import CONTEXT_SAMPLES, SileroDetector
from coldvoxd.virtual.client import command
from coldvoxd.virtual.sound import SILENCE
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.dictating import lost_words
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.dictation_scene import Scene, playing
from tests.support.sound.noise import KINDS, noise
from tests.support.sound.speech import Sample, Wave, samples

QUIET_DBFS = -51.0
"""Peak level at which the detector alone lost every second word."""
FLOOR_DBFS = -85.0
CLEAR = (2, 3, 6, 8, 9, 19, 20)
"""Samples that the recognizer alone hears at QUIET_DBFS, with and without a noise floor, and that were (partly) lost."""


def scaled(wave: Wave, peak_dbfs: float) -> Wave:
    return np.asarray(wave / np.abs(wave).max() * 10 ** (peak_dbfs / 20), np.float32)


def quiet(sample: Sample, *, floor: bool = False) -> Wave:
    wave = scaled(sample.wave(), QUIET_DBFS)
    if floor:
        wave += np.random.default_rng(1).normal(0, 10 ** (FLOOR_DBFS / 20), len(wave)).astype(np.float32)
    return wave


def recorded(directory: Path, sample: Sample, wave: Wave) -> Sample:
    """Write the wave as a 16-bit file, and return the sample with that file."""
    path = directory / sample.path.with_suffix(".wav").name
    soundfile.write(path, wave, 16_000, subtype="PCM_16")
    return replace(sample, path=path)


def frames_of(wave: Wave) -> npt.NDArray[np.int16]:
    """Return int16 (frames, 512) for float (n,), the last frame padded with the noise of a quiet room."""
    steps = np.clip(np.rint(wave * 32767), -32768, 32767).astype(np.int16)
    rest = -len(steps) % FRAME_SAMPLES
    return np.concatenate((steps, SILENCE[0][:rest])).reshape(-1, FRAME_SAMPLES)


def cuts(detector: SileroDetector, wave: Wave) -> list[Cut]:
    """Return the utterances that a session would cut."""
    state, found = EndpointState(0), list[Cut]()
    frames = frames_of(wave)
    events: list[Scored | Finish] = [
        Scored(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES, detector.score(frame), -50.0)
        for number, frame in enumerate(frames)
    ]
    for event in (*events, Finish(frames.size)):
        state, effects = endpointing.step(state, event, EndpointSettings())
        found += [effect for effect in effects if isinstance(effect, Cut)]
    return found


def room(seconds: float) -> Wave:
    steps = np.resize(np.concatenate(SILENCE), round(seconds * 16_000))
    return np.asarray(steps / 32768, np.float32)


@pytest.fixture(scope="module")
def recognizer() -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
async def running(bus: PrivateBus, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(bus, tmp_path) as running:
        yield running


@pytest.mark.parametrize("floor", [False, True], ids=["as scaled", "with a noise floor"])
def test_a_quiet_file_has_the_words_of_the_loud_one(
    recognizer: ParakeetRecognizer, tmp_path: Path, floor: bool
) -> None:
    detector = SileroDetector()
    for sample in (samples()[number] for number in CLEAR):
        file = recorded(tmp_path, sample, quiet(sample, floor=floor)).path
        assert transcribe_file(file, recognizer, detector).text == sample.heard["fp32"]


def test_a_short_quiet_word_alone_in_a_file_is_recognized(recognizer: ParakeetRecognizer, tmp_path: Path) -> None:
    """The detector has no audio to warm up on."""
    sample = samples()[0]
    wave = sample.wave()
    loud = np.flatnonzero(np.abs(wave) > 0.1 * np.abs(wave).max())
    file = recorded(tmp_path, sample, scaled(wave[loud[0] : loud[-1]], QUIET_DBFS)).path
    assert transcribe_file(file, recognizer, SileroDetector()).text == sample.heard["fp32"]


@pytest.mark.heavy
async def test_a_quiet_voice_is_dictated_word_for_word_and_told_to_be_too_quiet(
    running: RunningDaemon, tmp_path: Path
) -> None:
    said = [samples()[number] for number in CLEAR]
    files = [recorded(tmp_path, sample, quiet(sample)) for sample in said]
    async with running.client() as client:
        await client.subscribe()
        await client.call("StartDictation")
        async with client.expect_signal(
            "PropertiesChanged", lambda body: "microphone-quiet" in getattr(body[1].get("Problems"), "value", ())
        ):
            for file in files:
                await asyncio.to_thread(command, running.microphone, f"SPEAK {file.path}")
                await asyncio.to_thread(command, running.microphone, "SILENCE 300")
        assert lost_words(str(await client.call("StopDictation")), *said) == 0
        assert await client.get(ENGINE, "Problems") == ["microphone-quiet"]
        await client.call("StartDictation")
        await running.speak(samples()[3])
        await client.call("StopDictation")
        assert await client.get(ENGINE, "Problems") == []


@pytest.mark.parametrize("number", CLEAR)
def test_a_click_at_full_scale_before_quiet_speech_costs_no_utterance(number: int) -> None:
    wave = np.concatenate((room(1.5), quiet(samples()[number]), room(1.0)))
    clicked = wave.copy()
    clicked[20_000:20_040] = np.linspace(1, -1, 40)
    found, expected = cuts(SileroDetector(), clicked), cuts(SileroDetector(), wave)
    assert len(found) == len(expected) == 1
    assert found[0].start_sample <= expected[0].start_sample + FRAME_SAMPLES
    assert found[0].end_sample >= expected[0].end_sample - 3 * FRAME_SAMPLES


def test_a_click_in_the_context_is_never_amplified() -> None:
    """The model's context is the end of the previous frame, scaled with the gain of the current frame."""
    detector = SileroDetector()
    frames = np.full((2, FRAME_SAMPLES), 30, np.int16)
    frames[0, -1] = 32767
    for frame in frames:
        detector.score(frame)
    assert detector._input[0, CONTEXT_SAMPLES - 1] == pytest.approx(1, abs=1e-4)
    assert detector._input[0, -1] == np.float32(30 / 32768)
    detector.score(frames[1])
    assert detector._input[0, -1] == detector._input[0, 0] > np.float32(20 * 30 / 32768), "frame and context alike"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_noise_is_no_speech_and_quiet_speech_after_it_is_heard(kind: str) -> None:
    for level_db in (-70, -50, -30):
        detector = SileroDetector()
        assert cuts(detector, noise(kind, 20, level_db, seed=level_db)) == []
        assert len(cuts(detector, np.concatenate((room(1.5), quiet(samples()[2]), room(1.0))))) == 1


def test_a_quiet_voice_after_a_loud_one_is_heard_in_the_same_session() -> None:
    detector = SileroDetector()
    loud = [np.concatenate((sample.wave(), room(0.7))) for sample in samples()[:3]]
    voices = np.concatenate([np.concatenate((quiet(samples()[number]), room(0.7))) for number in CLEAR])
    expected = cuts(SileroDetector(), voices)
    assert len(expected) == len(CLEAR)
    assert len(cuts(detector, np.concatenate(loud))) == 3
    found = cuts(detector, voices)
    assert sum(cut.speech_samples for cut in found) > 0.9 * sum(cut.speech_samples for cut in expected)


def test_the_level_of_a_session_does_not_reach_into_the_next() -> None:
    fresh, used = SileroDetector(), SileroDetector()
    for sample in samples()[:3]:
        cuts(used, sample.wave())
    for follow in (False, True):
        used.follow_level(follow)
    assert used._leveler is not None
    assert fresh._leveler is not None
    assert used._leveler.gain(0.001) == fresh._leveler.gain(0.001) > 10


def hear(scene: Scene, wave: Wave) -> npt.NDArray[np.int16]:
    """Pass the frames to the pipeline immediately, and return all samples, int16 (n,)."""
    frames = frames_of(wave)
    for frame in frames:
        scene.pipeline.on_item(Frame(scene.sample, frame))
        scene.sample += FRAME_SAMPLES
    return frames.reshape(-1)


def voices(*numbers: int) -> Wave:
    return np.concatenate([np.concatenate((quiet(samples()[number]), room(0.7))) for number in numbers])


@pytest.mark.parametrize("peak_dbfs", [-3.0, -20.0, QUIET_DBFS])
async def test_what_is_recognized_is_what_was_recorded_bit_for_bit(peak_dbfs: float) -> None:
    async with playing(Scene(detector=SileroDetector())) as scene:
        scene.start()
        wave = np.concatenate([room(1)] + [np.concatenate((sample.wave(), room(0.7))) for sample in samples()[:3]])
        recorded_steps = hear(scene, scaled(wave, peak_dbfs))
        await scene.stop()
        assert len(scene.engine.heard) == 3
        for utterance in scene.engine.heard:
            start = utterance.start_sample
            expected = recorded_steps[start : start + len(utterance.samples)]
            assert np.array_equal(utterance.samples * 32768, expected)


async def test_only_what_is_dictated_counts_as_too_quiet_and_louder_speech_ends_it() -> None:
    async with playing(Scene(detector=SileroDetector())) as scene:
        hear(scene, voices(*CLEAR, *CLEAR))
        assert list(scene.pipeline.problems) == []
        scene.start()
        hear(scene, voices(*CLEAR))
        await scene.stop()
        assert list(scene.pipeline.problems) == [Problem.MICROPHONE_QUIET]
        scene.lose(10)
        assert list(scene.pipeline.problems) == [Problem.MICROPHONE_QUIET]
        scene.start()
        hear(scene, samples()[3].wave())
        assert list(scene.pipeline.problems) == []
        await scene.stop()


@pytest.mark.parametrize("reason", GapReason)
async def test_after_lost_audio_or_another_microphone_a_quiet_voice_is_heard_at_once(reason: GapReason) -> None:
    async with playing(Scene(detector=SileroDetector())) as scene:
        scene.start()
        hear(scene, np.concatenate([sample.wave() for sample in samples()[:3]]))
        scene.pipeline.on_item(Gap(scene.sample, 1000, reason))
        scene.sample += 1000
        begin = scene.sample
        hear(scene, voices(*CLEAR))
        await scene.stop()
        found = [utterance for utterance in scene.engine.heard if utterance.start_sample >= begin]
        assert len(found) == len(CLEAR)
