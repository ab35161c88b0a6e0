"""A dictation controller with scripted speech: the sample values of each frame encode its speech."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audio_values import Frame, Gap, GapReason
from coldvoxd.core.channels import MIX
from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.errors import (
    NotReady,
    RecognitionFailed,
)
from coldvoxd.core.fallback import RunningEngine
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.ports import SpeechDetector
from coldvoxd.core.seams import LastTokens, SeamFinding, SeamMethod
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.values import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    EngineStatus,
    Hypothesis,
    SessionOptions,
    StopReason,
    Transcript,
    Utterance,
    Word,
)
from coldvoxd.dictation.channel_selector import ChannelSelector
from coldvoxd.dictation.controller import STOP_LIMIT_S, DictationController
from coldvoxd.dictation.last_utterance import LastUtterance
from coldvoxd.dictation.no_words_notice import Outcome
from coldvoxd.dictation.sinks import Sinks

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE


class LoudnessDetector:
    """Treats loud frames as speech."""

    def score(self, samples: npt.NDArray[np.int16]) -> float:
        return 0.95 if abs(int(samples[0])) > 1000 else 0.01

    def follow_level(self, follow: bool) -> None:
        pass

    def reset(self) -> None:
        pass


def text_of(utterance: Utterance) -> str:
    """Return the values in the utterance's frames of speech."""
    values = {int(value) for value in np.rint(utterance.samples * 32768) if abs(value) > 1000}
    return " ".join(str(value) for value in sorted(values))


@dataclass
class CountingEngine:
    """Returns the values in the utterance's frames as text, and waits while the gate is closed."""

    status: EngineStatus = field(
        default_factory=lambda: EngineStatus(ready=True, running=RunningEngine(features_size=128))
    )
    refusal: NotReady | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failing: set[str] = field(default_factory=set)
    wordless: set[str] = field(default_factory=set)
    """Texts that are replaced by an empty result."""
    cancelling: set[str] = field(default_factory=set)
    """Texts whose recognition is cancelled from within, not by the caller."""
    heard: list[Utterance] = field(default_factory=list)
    stopped: list[Utterance] = field(default_factory=list)
    longest_s: float = math.inf
    seam_method: SeamMethod = SeamMethod.OFF
    mark: str = ""
    """The final mark of each text."""
    seam: SeamFinding | None = None
    """What is found before each utterance that has a context."""

    def check_ready(self) -> None:
        if self.refusal:
            raise self.refusal

    partial_gate: asyncio.Event = field(default_factory=asyncio.Event)
    """As `gate`, for partial recognition; open at the start."""
    partly_heard: list[Utterance] = field(default_factory=list)
    partly_stopped: list[Utterance] = field(default_factory=list)
    partly: Callable[[str], str] = lambda text: text
    """What partial recognition makes of a text; raises its errors."""
    is_occupied: bool = False
    """Whether no recognizer is free for partial recognition."""
    in_hand: int = 0

    def __post_init__(self) -> None:
        self.partial_gate.set()

    @property
    def idle(self) -> bool:
        return not self.in_hand

    async def recognize_partial(self, utterance: Utterance) -> Hypothesis | None:
        self.partly_heard.append(utterance)
        self.in_hand += 1
        try:
            await self.partial_gate.wait()
        except asyncio.CancelledError:
            self.partly_stopped.append(utterance)
            raise
        finally:
            self.in_hand -= 1
        if self.is_occupied:
            return None
        text = self.partly(text_of(utterance))
        return Hypothesis(text, (), (), 0.9, "CPUExecutionProvider", 0.01)

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        self.in_hand += 1
        try:
            return await self._recognize(utterance)
        finally:
            self.in_hand -= 1

    async def _recognize(self, utterance: Utterance) -> Hypothesis:
        self.heard.append(utterance)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped.append(utterance)
            raise
        text = text_of(utterance)
        if text in self.cancelling:
            raise asyncio.CancelledError
        if text in self.failing:
            raise RecognitionFailed(f"scripted fault for {utterance.id}")
        if text in self.wordless:
            return Hypothesis("", (), (), 0.0, "CPUExecutionProvider", 0.01)
        return Hypothesis(
            text + self.mark,
            (),
            (Word(text, 0.1, 0.2, 0.9),),
            0.9,
            "CPUExecutionProvider",
            0.01,
            last_tokens=LastTokens("scripted", (1,)),
            seam=self.seam if utterance.context is not None else None,
            alternatives=(Alternative(f"not {text}", 0.25),) * utterance.alternatives,
        )


@dataclass
class ScriptedCapture:
    """Time t corresponds to sample t * 16000."""

    catch_up: Callable[[], None] = lambda: None
    reported_samples: int = 0
    """By how much the latency that the driver reports is longer than the measured one."""

    def sample_at(self, monotonic_s: float) -> int:
        return round(monotonic_s * SAMPLE_RATE) + self.reported_samples

    def captured_at(self, monotonic_s: float) -> int:
        return round(monotonic_s * SAMPLE_RATE)


@dataclass
class Announced:
    """Records what clients would have seen."""

    seen: list[tuple[object, ...]] = field(default_factory=list)
    transcripts: list[Transcript] = field(default_factory=list)
    readers: list[str | None] = field(default_factory=list)
    partial_readers: list[str | None] = field(default_factory=list)
    levels: int = 0

    def dictation_started(self, session: int) -> None:
        self.seen.append(("started", session))

    def dictation_stopped(self, session: int, reason: StopReason, transcript: str, to: str | None) -> None:
        self.seen.append(("stopped", session, reason, transcript))
        self.readers.append(to)

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None:
        self.seen.append(("text", transcript.session_id, transcript.text))
        self.transcripts.append(transcript)
        self.readers.append(to)
        assert with_words == bool(transcript.words)

    def partial_transcribed(self, session: int, utterance: int, stable: str, unstable: str, to: str | None) -> None:
        self.seen.append(("partial", session, utterance, stable, unstable))
        self.partial_readers.append(to)

    def sentence_closed(self, session: int, utterance: int, to: str | None) -> None:
        self.seen.append(("sentence", session, utterance))
        self.readers.append(to)

    def speech_started(self, session: int) -> None:
        self.seen.append(("speech", session))

    def speech_ended(self, session: int) -> None:
        self.seen.append(("hush", session))

    def level(self, dbfs: float) -> None:
        assert -96 <= dbfs <= 0
        self.levels += 1

    def state_changed(self) -> None:
        pass

    def when_accepted(self, then: Callable[[], None]) -> None:
        then()


SINGLE = 16
"""Number of silent frames that end a session with the option `single-utterance`."""


class Scene:
    """A pipeline with a microphone that delivers scripted frames."""

    def __init__(
        self,
        pre_roll_ms: int = 1500,
        settings: DictationSettings | None = None,
        endpoint: EndpointSettings | None = None,
        detector: SpeechDetector | None = None,
        stop_limit_s: float = STOP_LIMIT_S,
        engine: CountingEngine | None = None,
    ) -> None:
        self.engine = engine or CountingEngine()
        self.engine.gate.set()
        self.announced = Announced()
        self.metrics = Metrics()
        self.hearing: list[bool] = []
        self.sample = 0
        self.not_yet_told: list[int] = []
        """One value per frame that the microphone has recorded and the capture delivers at the next catch-up."""
        self.arriving: list[list[int]] = []
        """The same for each of the following catch-ups."""
        detector = detector or LoudnessDetector()
        self.last = LastUtterance(self.engine.recognize, self.metrics, lambda: self.sinks.on_outcome(Outcome.WORDS))
        self.sinks = Sinks(self.last, metrics=self.metrics)
        self.pipeline = DictationController(
            detector,
            ChannelSelector(detector, MIX),
            self.engine,
            ScriptedCapture(self._catch_up),
            self.sinks,
            endpoint=endpoint or EndpointSettings(hangover_ms=320),
            settings=settings or DictationSettings(stop_tail_ms=96),
            pre_roll_ms=pre_roll_ms,
            first_number=100,
            on_hearing=self._on_hearing,
            stop_limit_s=stop_limit_s,
        )
        self.pipeline.announce_to(self.announced)
        self.pipeline.on_capture(True)

    def _on_hearing(self, hearing: bool) -> None:
        """Let the capture catch up, as the daemon does."""
        self.hearing.append(hearing)
        self._catch_up()

    def _catch_up(self) -> None:
        values, self.not_yet_told = self.not_yet_told, self.arriving.pop(0) if self.arriving else []
        for value in values:
            self.hear(value, 1)

    @property
    def now_s(self) -> float:
        return self.sample / SAMPLE_RATE

    def hear(self, value: int, frames: int) -> None:
        for _ in range(frames):
            self.pipeline.on_item(Frame(self.sample, np.full(FRAME_SAMPLES, value, np.int16)))
            self.sample += FRAME_SAMPLES

    def hear_frames(self, frames: npt.NDArray[np.int16]) -> None:
        """Deliver recorded audio, int16 (frames, 512)."""
        for samples in frames:
            self.pipeline.on_item(Frame(self.sample, samples))
            self.sample += FRAME_SAMPLES

    def hush(self, frames: int = 15) -> None:
        self.hear(3, frames)

    def lose(self, frames: int) -> None:
        self.pipeline.on_item(Gap(self.sample, frames * FRAME_SAMPLES, GapReason.STALLED))
        self.sample += frames * FRAME_SAMPLES

    def start(self, caller: str = ":1.1", **options: bool | int) -> int:
        return self.pipeline.start(caller, SessionOptions(**options), self.now_s)  # type: ignore[arg-type]

    async def stop(self, caller: str = ":1.1") -> str:
        stopping = asyncio.create_task(self.pipeline.stop(caller, self.now_s))
        await asyncio.sleep(0)
        self.hush(6)
        return await stopping

    def saw(self, kind: str) -> Callable[[], bool]:
        return lambda: any(seen[0] == kind for seen in self.announced.seen)


@asynccontextmanager
async def playing(scene: Scene) -> AsyncIterator[Scene]:
    running = asyncio.create_task(scene.pipeline.run())
    try:
        yield scene
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert scene.metrics.figures().counts[Count.FRAMES_DROPPED] == 0
