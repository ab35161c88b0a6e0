"""The values that flow through coldvoxd, all frozen."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.core.channels import AUTO, Channel
from coldvoxd.core.problems import Problem

SAMPLE_RATE = 16_000
"""Samples a second, everywhere past the microphone's adapter."""
FRAME_SAMPLES = 512
"""Samples that are scored together by the voice activity detector: 32 ms."""


def samples_in(milliseconds: float) -> int:
    """How many samples last so long."""
    return round(milliseconds * SAMPLE_RATE / 1000)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a microphone delivers, on whatever thread it likes."""

    samples: npt.NDArray[np.int16]
    """int16, 16 kHz, any n: (n,) of one channel, or (n, channels)."""
    arrived_s: float
    """`time.monotonic()` when the last sample arrived."""
    overflow: bool = False
    """Audio of unknown length was lost before this chunk."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Consecutive audio to be scored together."""

    start_sample: int
    """Counted from the first opening of the capture; lost audio counts too."""
    samples: npt.NDArray[np.int16]
    """int16 (512,), 16 kHz mono."""
    channels: npt.NDArray[np.int16] | None = field(default=None, repr=False, compare=False)
    """int16 (512, channels), of which `samples` was made; None where there is one."""

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class GapReason(StrEnum):
    OVERRUN = "overrun"
    """The reader was too slow: the inbox or the sound server dropped audio."""
    STALLED = "stalled"
    """The stream delivered nothing while the clock advanced."""
    REOPENED = "reopened"
    """The microphone was closed in between."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Audio that was lost, never spliced over silently."""

    start_sample: int
    samples: int
    """Best estimate by the clock; 0 where the length is unknown."""
    reason: GapReason


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """A frame and what was computed of it once, for all that use it."""

    frame: Frame
    speech_probability: float
    """0..1, by Silero."""
    level_db: float
    """Root mean square in dBFS: `core.levels.level_db`."""


class EndReason(StrEnum):
    """Why an utterance ended where it did."""

    ENDPOINT = "endpoint"
    """Silence outlasted the hangover."""
    LENGTH = "length"
    """The greatest length was reached; cut at the quietest place."""
    STOP = "stop"
    """The session ended while speech went on."""
    GAP = "gap"
    """Audio was lost."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech sent to recognition."""

    id: int
    session_id: int
    start_sample: int
    samples: npt.NDArray[np.float32] = field(repr=False)
    """float32 (n,) in [-1, 1], 16 kHz mono."""
    end_reason: EndReason
    speech_samples: int = 0
    """How much of it the voice activity detector takes for speech; 0 where nobody knows."""
    early: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    """What was computed of it while it arrived: `core.features.EarlyColumns`."""

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Token:
    """One emitted vocabulary piece."""

    id: int
    encoder_frame: int
    """Where it was emitted, in units of 80 ms from the utterance's start."""
    duration_frames: int
    """TDT's second prediction."""
    logprob: float
    """Natural logarithm of the token's probability among tokens and blank."""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start_s: float
    end_s: float
    """Seconds from the start of the audio that was recognized."""
    confidence: float
    """Geometric mean of its tokens' probabilities, 0..1."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Where one recognition spent its time."""

    features_s: float
    encoder_s: float
    decoder_s: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The recognizer's answer."""

    text: str = field(repr=False)
    tokens: tuple[Token, ...] = field(repr=False)
    words: tuple[Word, ...] = field(repr=False)
    confidence: float
    """Geometric mean of the tokens' probabilities, 0..1; 0 where there are none."""
    provider: str
    """The first active execution provider of the encoder's session."""
    inference_s: float
    stages: StageSeconds | None = None
    """None where the model was not run."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What clients receive."""

    session_id: int
    utterance_id: int
    text: str = field(repr=False)
    start_s: float
    end_s: float
    """Seconds since the session began; negative where it reached back."""
    confidence: float
    provider: str
    latency_s: float
    """From the endpoint to the text."""
    retried: bool = False
    words: tuple[Word, ...] = field(default=(), repr=False)
    """Times in seconds since the session began."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How one dictation session is to run."""

    private: bool = False
    """Texts go to the caller alone, and nobody else may stop, cancel or toggle."""
    bind_to_caller: bool = False
    """Cancelled when the caller leaves the bus."""
    words: bool = False
    """Word timings come with each text."""
    single_utterance: bool = False
    """Stops by itself at the first endpoint."""
    max_seconds: int = 0
    """Ends by itself after so long; 0 for the setting's limit."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How one file is to be transcribed."""

    words: bool = False
    """Word timings come with the text."""
    channel: Channel = AUTO
    """By which of the file's channels."""


@dataclass(frozen=True, slots=True)
class FileTranscript:
    """A file's text."""

    text: str = field(repr=False)
    words: tuple[Word, ...] = field(repr=False)
    """Times in seconds from the file's beginning."""
    duration_s: float
    confidence: float
    """Geometric mean of the tokens' probabilities, 0..1; 0 where there is no text."""
    warnings: tuple[str, ...] = ()
    """Sentences, mostly with times: where the file is damaged or not as long as its header says, where speech gave no words."""


class StopReason(StrEnum):
    """Why a session ended, as clients read it."""

    STOPPED = "stopped"
    CANCELLED = "cancelled"
    CALLER_LEFT = "caller-left"
    SINGLE_UTTERANCE = "single-utterance"
    TIME_LIMIT = "time-limit"
    MICROPHONE_LOST = "microphone-lost"
    SCREEN_LOCKED = "screen-locked"
    SUSPENDING = "suspending"
    """The machine was about to sleep."""
    RESTARTED = "restarted"
    """The daemon's process died; what had been heard was recognized by the next one."""
    SHUTDOWN = "shutdown"


class ChangeReason(StrEnum):
    """Why another execution provider recognizes now, as clients read it, where no problem code says why."""

    REQUESTED = "requested"
    RELOAD = "reload"
    ACCELERATOR_READY = "accelerator-ready"
    """It passed its trial, and takes over from the CPU."""
    IDLE = "idle"
    """No session for `idle_release_s`: the accelerator was released."""


class State(StrEnum):
    """What the daemon is doing, as clients read it."""

    LOADING = "loading"
    IDLE = "idle"
    LISTENING = "listening"
    TRANSCRIBING = "transcribing"
    SUSPENDED = "suspended"
    UNAVAILABLE = "unavailable"


AUTO_PRECISION = "auto"
"""In settings: the one that suits the provider."""


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"

    @classmethod
    def on_cpu(cls, setting: str) -> "Precision":
        """What the CPU runs, and what is fetched, for what the settings say: fp32 where they leave it open."""
        return cls.FP32 if setting == AUTO_PRECISION else cls(setting)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model directory whose files are all there."""

    name: str
    directory: Path
    precision: Precision
    encoder: Path
    decoder_joint: Path
    vocabulary: Path
    config: Path | None
    """Optional in the layout; without it the features are 80 bins."""


@dataclass(frozen=True, slots=True)
class PreparedForm:
    """A model's graphs as ONNX Runtime has optimized and packed them for this machine, to be mapped."""

    directory: Path
    encoder: tuple[Path, ...]
    """Its pieces, in the order in which they run."""
    weights: Path
    """The file of the encoder's weights."""
    decoder: tuple[Path, ...]
    """The prediction network and the joint network, or decoder_joint alone."""
    link: str = ""
    """What the first gives to the second."""
    threads: int = 0
    """With which the encoder was fastest here when it was tried; 0 where it wasn't."""
    decoder_threads: int = 0
    masks: bool = True
    """Whether the encoder hides what stands after the features' given length; without, nothing may."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the recognition engine really runs."""

    model: str = ""
    precision: str = ""
    provider: str = ""
    """First active provider of the open session, such as `CPUExecutionProvider`; empty while none is open."""
    available_providers: tuple[str, ...] = ()
    """Short names, best first: those that the installed ONNX Runtime was built with."""
    usable_providers: tuple[str, ...] = ()
    """Short names, best first: those on which the model was opened and tried with success."""
    degraded: str = ""
    """The engine's own problem code; empty where it has none."""
    progress: float = -1.0
    last_error: str = ""
    ready: bool = False
    loading: bool = False
    features_size: int = 0
    """Mel bins that it takes; 0 where nothing has been open yet."""
    covered: str = ""
    """The accelerator's problem code beneath `degraded`, where both hold; empty where there is none."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The engine's problem codes that hold now, in any order."""
        return tuple(Problem(code) for code in (self.degraded, self.covered) if code)

    def found(self, provider: str, *, usable: bool) -> "EngineStatus":
        """The same status once a provider, by its short name, was found usable or not usable."""
        others = [name for name in self.usable_providers if name != provider]
        ranks = {name: rank for rank, name in enumerate(self.available_providers)}
        names = sorted([*others, provider] if usable else others, key=lambda name: ranks.get(name, -1))
        return replace(self, usable_providers=tuple(names))
