"""A session without waiting has the text of the daemon's own session; pauses are put between words."""

from dataclasses import dataclass

import numpy as np
import pytest

from coldvoxd.core.ports import Recognizer
from coldvoxd.core.seams import SeamMethod, SeamRules
from coldvoxd.core.settings import DictationSettings, EndpointSettings, Settings
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Hypothesis, Utterance
from coldvoxd.evaluate.engines import open_recognizer
from coldvoxd.evaluate.sessions import dictate, heard, room, utterances, with_pause
from coldvoxd.evaluate.variants import changed
from coldvoxd.vad.silero import SileroDetector
from tests.support.dictation_scene import CountingEngine, Scene, playing
from tests.support.sound.speech import Wave, samples
from tests.support.stopped_speech import RecordedDetector


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return open_recognizer(changed(Settings(), {"model": "mini", "threads": "1"}).model)


@dataclass
class Engine(CountingEngine):
    """Recognizes speech with its context."""

    recognizer: Recognizer | None = None

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        assert self.recognizer is not None
        return self.recognizer.recognize(utterance)


def two_recordings(pause_s: float, recognizer: Recognizer) -> Wave:
    parts = []
    for sample in (samples()[2], samples()[1]):
        words = recognizer.recognize_samples(sample.wave()).words  # type: ignore[attr-defined]
        parts += [with_pause(sample.wave(), [(word.start_s, word.end_s) for word in words], pause_s), room(1.0)]
    return np.concatenate((room(0.5), *parts))


@pytest.mark.parametrize("method", [SeamMethod.WINDOW, SeamMethod.OFF])
@pytest.mark.parametrize("hangover_ms", [200, 500])
async def test_the_text_is_that_of_the_daemon_s_session(
    recognizer: Recognizer, hangover_ms: int, method: SeamMethod
) -> None:
    endpoint = EndpointSettings(hangover_ms=hangover_ms)
    speech = heard(two_recordings(0.6, recognizer), SileroDetector())
    dictated = dictate(speech, recognizer, endpoint, SeamRules(method))
    detector = RecordedDetector([frame.speech_probability for frame in speech.frames] + [0.0] * 100)
    engine = Engine(recognizer=recognizer, seam_method=method)
    scene = Scene(settings=DictationSettings(seam=str(method)), endpoint=endpoint, detector=detector, engine=engine)
    async with playing(scene) as running:
        running.start()
        running.hear_frames(speech.samples.reshape(-1, FRAME_SAMPLES))
        text = await running.stop()
        assert dictated.text == text
        assert dictated.utterances == len(running.announced.transcripts) == 4
    assert 0.0 < dictated.seam_s < dictated.recognition_s


def test_a_longer_hangover_keeps_a_pause_inside_an_utterance(recognizer: Recognizer) -> None:
    speech = heard(two_recordings(0.35, recognizer), SileroDetector())
    counts = [len(list(utterances(speech, EndpointSettings(hangover_ms=value)))) for value in (200, 800)]
    assert counts == [4, 2]


def test_a_pause_goes_between_two_words_and_takes_nothing_away(recognizer: Recognizer) -> None:
    wave = samples()[2].wave()
    words = [(word.start_s, word.end_s) for word in recognizer.recognize_samples(wave).words]  # type: ignore[attr-defined]
    paused = with_pause(wave, words, 0.5)
    assert len(paused) == len(wave) + SAMPLE_RATE // 2
    at = int(np.argmax(paused[: len(wave)] != wave))
    assert words[len(words) // 2 - 1][0] < at / SAMPLE_RATE < words[len(words) // 2][1]
    assert np.array_equal(paused[at + SAMPLE_RATE // 2 :], wave[at:])
    assert with_pause(wave, words[:1], 0.5) is wave


def test_silence_is_no_utterance() -> None:
    speech = heard(room(2.0), SileroDetector())
    assert list(utterances(speech, EndpointSettings())) == []
    assert len(speech.frames) == 2 * SAMPLE_RATE // FRAME_SAMPLES
