"""The values that the parts of coldvoxd exchange, all frozen."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.core import languages
from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.encoded_ahead import EncodedAhead
from coldvoxd.core.fallback import PARAKEET, RunningEngine
from coldvoxd.core.problems import Problem
from coldvoxd.core.seams import LastTokens, SeamContext, SeamedText, SeamFinding
from coldvoxd.core.speech_spans import SpeechSpan, within

SAMPLE_RATE = 16_000
"""Samples per second, everywhere behind the microphone's adapter."""
FRAME_SAMPLES = 512
"""Number of samples that the voice activity detector scores together: 32 ms."""


def samples_in(milliseconds: float) -> int:
    """Return the number of samples in `milliseconds`."""
    return round(milliseconds * SAMPLE_RATE / 1000)


class EndReason(StrEnum):
    """Why an utterance ended."""

    ENDPOINT = "endpoint"
    """Silence outlasted the hangover."""
    LENGTH = "length"
    """The maximum length was reached; cut at the quietest place."""
    STOP = "stop"
    """The session ended during speech."""
    GAP = "gap"
    """Audio was lost."""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start_s: float
    end_s: float
    """Seconds from the start of the audio that was recognized."""
    confidence: float
    """Geometric mean of its tokens' probabilities, 0..1."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The audio at the ends of an utterance that belongs to its neighbours: only its context. See `core.cut_overlap`."""

    lead: int = 0
    """Number of samples at the beginning that belong to the utterance before it."""
    tail: int = 0
    """Number of samples at the end that belong to the one after it."""
    before: tuple[Word, ...] | None = field(default=None, repr=False, compare=False)
    """The last words of the utterance before it, in seconds from the start of this one's audio; None if unknown."""
    behind: "tuple[WordTokens, ...]" = field(default=(), repr=False, compare=False)
    """What the utterance before it recognized behind the cut, and did not publish; in the same seconds."""


NO_OVERLAP = Overlap()


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech sent to recognition."""

    id: int
    session_id: int
    start_sample: int
    samples: npt.NDArray[np.float32] = field(repr=False)
    """float32 (n,) in [-1, 1], 16 kHz mono, with the overlap."""
    end_reason: EndReason
    speech_samples: int = 0
    """Number of its own samples that the voice activity detector classifies as speech; 0 if unknown."""
    early: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    """Features that were computed while it arrived: `core.features.EarlyColumns`."""
    speech: tuple[SpeechSpan, ...] = field(default=(), repr=False)
    """Where the voice activity detector found speech, in samples from the start; empty if unknown."""
    context: SeamContext | None = field(default=None, repr=False, compare=False)
    """The end of the session's earlier utterance; None if this one begins a sentence in any case."""
    language: str = languages.AUTO
    """Code of the language that is spoken, such as `de`; `auto` if it is not known."""
    encoded: EncodedAhead | None = field(default=None, repr=False, compare=False)
    """The encoder's output of exactly `samples`, if it was computed ahead."""
    alternatives: int = 0
    """Maximum number of other texts that are wanted."""
    overlap: Overlap = NO_OVERLAP

    @property
    def duration_s(self) -> float:
        """Length of `samples` in seconds."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def own_start_sample(self) -> int:
        """First sample that belongs to it."""
        return self.start_sample + self.overlap.lead

    @property
    def own_end_sample(self) -> int:
        """End of the samples that belong to it."""
        return self.start_sample + len(self.samples) - self.overlap.tail

    @property
    def speech_start_sample(self) -> int:
        """First sample of its own speech."""
        own = self.without_overlap()
        return own.start_sample + (own.speech[0][0] if own.speech else 0)

    @property
    def speech_end_sample(self) -> int:
        """End of its own speech."""
        own = self.without_overlap()
        return own.start_sample + (own.speech[-1][1] if own.speech else len(own.samples))

    def without_overlap(self) -> "Utterance":
        """Return it with the audio that belongs to it, and nothing that was computed of more."""
        if not (self.overlap.lead or self.overlap.tail):
            return self
        begin, end = self.overlap.lead, len(self.samples) - self.overlap.tail
        samples, speech = self.samples[begin:end], within(self.speech, begin, end)
        own = replace(self, start_sample=self.start_sample + begin, samples=samples, speech=speech)
        return replace(own, early=None, encoded=None, overlap=NO_OVERLAP)


@dataclass(frozen=True, slots=True)
class Token:
    """One emitted vocabulary piece."""

    id: int
    encoder_frame: int
    """Frame at which it was emitted, in units of 80 ms from the utterance's start."""
    duration_frames: int
    """The duration that TDT predicts besides the token."""
    logprob: float
    """Natural logarithm of the token's probability among tokens and blank."""


WordTokens = tuple[Word, tuple[Token, ...]]
"""A word and the tokens of which it is made."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Durations of the stages of one recognition, in seconds."""

    features_s: float
    encoder_s: float
    decoder_s: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The result of the recognizer."""

    text: str = field(repr=False)
    tokens: tuple[Token, ...] = field(repr=False)
    words: tuple[Word, ...] = field(repr=False)
    confidence: float
    """Geometric mean of the tokens' probabilities, 0..1; 0 if there are none."""
    provider: str
    """The first active execution provider of the encoder's session."""
    inference_s: float
    stages: StageSeconds | None = None
    """None if the model was not run."""
    holes: int = 0
    """Number of stretches of speech for which the first decoding returned no words."""
    holes_filled: int = 0
    """Number of those that were recognized by decoding again."""
    last_tokens: LastTokens | None = None
    seam_s: float = 0.0
    """Seconds of `inference_s` in which the seam was determined."""
    seam: SeamFinding | None = None
    """What was found between the earlier utterance and this one; None without a context, or if it remains unknown."""
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    """Other texts, the most probable first, if any were wanted and the recognizer has them."""
    behind: "tuple[WordTokens, ...]" = field(default=(), repr=False)
    """The complete words in the overlap at the end, which belong to the next utterance, in seconds from the audio's start."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of an utterance as clients receive it."""

    session_id: int
    utterance_id: int
    text: str = field(repr=False)
    start_s: float
    end_s: float
    """Seconds from the start of the session; negative if the utterance began before it."""
    confidence: float
    provider: str
    latency_s: float
    """Seconds from the endpoint to the text."""
    retried: bool = False
    words: tuple[Word, ...] = field(default=(), repr=False)
    """Times in seconds from the start of the session."""
    seamed: SeamedText = field(default=SeamedText(""), repr=False)
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Options of one dictation session."""

    private: bool = False
    """Texts go only to the caller, and no other client may stop, cancel or toggle the session."""
    bind_to_caller: bool = False
    """The session is cancelled when the caller leaves the bus."""
    words: bool = False
    """Each text includes word timings."""
    single_utterance: bool = False
    """The session stops automatically at the first endpoint."""
    partials: bool = False
    """Words are also published while an utterance is still being spoken."""
    max_seconds: int = 0
    """The session ends automatically after this many seconds; 0 uses the limit in the settings."""
    language: str = ""
    """`auto` or a language's code; empty leaves it to the settings, until the session has started."""
    alternatives: int = 0
    """Maximum number of other texts that accompany each text."""


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
    """The system was about to suspend."""
    RESTARTED = "restarted"
    """The daemon's process died; the next one recognized the audio recorded until then."""
    SHUTDOWN = "shutdown"


class State(StrEnum):
    """What the daemon is doing, as clients read it."""

    LOADING = "loading"
    IDLE = "idle"
    LISTENING = "listening"
    TRANSCRIBING = "transcribing"
    SUSPENDED = "suspended"
    UNAVAILABLE = "unavailable"


AUTO_PRECISION = "auto"
"""The setting that selects the precision that suits the provider."""


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"

    @classmethod
    def on_cpu(cls, setting: str) -> "Precision":
        """Return the precision that the CPU runs, and that is downloaded, for a setting: fp32 for `auto`."""
        return cls.FP32 if setting == AUTO_PRECISION else cls(setting)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A complete model directory."""

    name: str
    directory: Path
    precision: Precision
    encoder: Path
    decoder: tuple[Path, ...]
    """`decoder_joint`, or the prediction and the joint network; none for CTC, whose encoder scores the vocabulary."""
    vocabulary: Path
    config: Path | None
    """Optional in the layout."""
    languages: tuple[str, ...] | None = field(default=None, compare=False)
    """Codes of the languages that the model recognizes; None if only its vocabulary shows them."""

    @property
    def graphs(self) -> tuple[Path, ...]:
        """All graphs, the encoder first."""
        return (self.encoder, *self.decoder)


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """On which device the accelerator computes, and why `auto` chose what it did."""

    device: str = ""
    """Name of the accelerator's device while it is in use; empty for the CPU, and if nothing names it."""
    note: str = ""
    """A sentence on what `auto` chose and why; empty if nothing had to be chosen."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the recognition engine actually runs."""

    model: str = ""
    precision: str = ""
    """Of the loaded model; both are empty while none is loaded."""
    provider: str = ""
    """First active provider of the open session, such as `CPUExecutionProvider`; empty while none is open."""
    available_providers: tuple[str, ...] = ()
    """Short names, best first: those that the installed ONNX Runtime was built with, and those of installed plugins."""
    usable_providers: tuple[str, ...] = ()
    """Short names, best first: those on which the model was opened and tested successfully."""
    degraded: str = ""
    """The engine's own problem code; empty if it has none."""
    progress: float = -1.0
    last_error: str = ""
    ready: bool = False
    loading: bool = False
    covered: str = ""
    """The accelerator's problem code that `degraded` hides, if both hold; otherwise empty."""
    choice: ProviderChoice = ProviderChoice()
    wrong_on_cpu: bool = False
    """Whether the CPU recognized the golden clip wrongly after the model was loaded."""
    languages: tuple[str, ...] = ()
    """Codes of the languages that can be selected for the model; one for a model of a single language."""
    running: RunningEngine = field(default_factory=RunningEngine)
    """The engine of the loaded model."""

    @property
    def is_fallback(self) -> bool:
        """Whether the fallback engine recognizes instead of the model in the settings."""
        return self.running.name not in {"", PARAKEET}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The engine's problem codes that hold now, in any order."""
        found = tuple(Problem(code) for code in (self.degraded, self.covered) if code)
        return (*found, Problem.CPU_WRONG_OUTPUT) if self.wrong_on_cpu else found

    def found(self, provider: str, *, usable: bool) -> "EngineStatus":
        """Return the status after a provider, given by its short name, was found usable or unusable."""
        others = [name for name in self.usable_providers if name != provider]
        ranks = {name: rank for rank, name in enumerate(self.available_providers)}
        names = sorted([*others, provider] if usable else others, key=lambda name: ranks.get(name, -1))
        return replace(self, usable_providers=tuple(names))
