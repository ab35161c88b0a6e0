"""Recorded speech in a session that a client stops in the last syllable, processed without waiting for real time."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.speech_spans import still_speech
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Hypothesis, Utterance, samples_in
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.vad.silero import SileroDetector
from coldvoxd.virtual.sound import SILENCE
from tests.support.dictation_scene import CountingEngine, Scene, playing
from tests.support.sound.speech import Wave

BEFORE_S, AFTER_S = 0.5, 1.0
"""Seconds of quiet room around a recording."""
LAST_SYLLABLE_MS = (160, 130, 100, 70, 40, 10)
"""Times of a stop, in milliseconds before the end of the last speech."""
SETTINGS, ENDPOINT = DictationSettings(), EndpointSettings()


@dataclass
class RecordedDetector:
    """Returns the scores of successive frames."""

    scores: list[float]
    _next: int = 0

    def score(self, samples: npt.NDArray[np.int16]) -> float:  # noqa: ARG002 - the port's signature
        self._next += 1
        return self.scores[self._next - 1]

    def follow_level(self, follow: bool) -> None:
        pass

    def reset(self) -> None:
        pass


@dataclass
class RecognizingEngine(CountingEngine):
    """Recognizes speech, the same samples only once."""

    recognizer: ParakeetRecognizer | None = None
    known: dict[bytes, Hypothesis] = field(default_factory=dict)

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        assert self.recognizer is not None
        key = utterance.samples.tobytes()
        if key not in self.known:
            self.known[key] = self.recognizer.recognize(utterance)
        return self.known[key]


class StoppedSpeech:
    """A recording, to be dictated from its beginning to a stop."""

    def __init__(self, wave: Wave, recognizer: ParakeetRecognizer) -> None:
        """`wave` is float32 (n,) in [-1, 1] at 16 kHz."""
        steps = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
        room = np.concatenate(SILENCE)
        before, after = (np.resize(room, round(seconds * SAMPLE_RATE)) for seconds in (BEFORE_S, AFTER_S))
        whole = np.concatenate((before, steps, after))
        self._frames = whole[: len(whole) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        detector = SileroDetector()
        self._scores = [detector.score(frame) for frame in self._frames]
        self._engine = RecognizingEngine(recognizer=recognizer)
        self._engine.gate.set()

    @property
    def last_speech_sample(self) -> int:
        """End of the last frame with speech."""
        least = still_speech(ENDPOINT.threshold)
        return max(number + 1 for number, score in enumerate(self._scores) if score >= least) * FRAME_SAMPLES

    async def stopped(self, called_sample: int) -> tuple[str, int]:
        """Return the text of a session that was stopped at this sample, and the sample at which it was complete."""
        async with playing(self._scene()) as scene:
            listened = self._begin(scene, called_sample)
            stopping = asyncio.create_task(scene.pipeline.stop(":1.1", called_sample / SAMPLE_RATE))
            await asyncio.sleep(0)
            for frame in self._frames[listened:]:
                if not scene.hearing[-1]:
                    break
                scene.hear_frames(frame[np.newaxis])
            return await stopping, scene.sample

    async def after_whole_tail(self, called_sample: int) -> str:
        """Return the text of a session that ends `stop_tail_ms` after this sample, whatever is said until then."""
        async with playing(self._scene()) as scene:
            end_sample = called_sample + samples_in(SETTINGS.stop_tail_ms)
            listened = self._begin(scene, end_sample)
            scene.hear_frames(self._frames[listened : listened + 1])
            scene.pipeline.on_screen_lock()
            await scene.pipeline.drained()
            return str(scene.announced.seen[-1][3])

    def _scene(self) -> Scene:
        return Scene(settings=SETTINGS, endpoint=ENDPOINT, detector=RecordedDetector(self._scores), engine=self._engine)

    def _begin(self, scene: Scene, until_sample: int) -> int:
        """Start a session, and deliver the frames that were complete by then. Returns their number."""
        scene.start()
        count = until_sample // FRAME_SAMPLES
        scene.hear_frames(self._frames[:count])
        return count
