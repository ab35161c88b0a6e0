"""The daemon's own figures: how often things happened and how long each stage took. Never what was said."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.values import GapReason, Hypothesis, StopReason

KEPT_SAMPLES = 1000
"""Percentiles are those of the last so many; counts are of all."""


class Count(StrEnum):
    """What is counted since the daemon's start, as clients read it."""

    UTTERANCES = "utterances"
    """Sent to recognition by dictation sessions."""
    WITHOUT_WORDS = "utterances-without-words"
    SESSIONS_WITHOUT_WORDS = "sessions-without-words"
    """Sessions in which speech was heard and that gave no text."""
    SHORT_SPEECH = "short-speech-discarded"
    """Stretches of speech too short to be recognized (`min_speech_ms`), taken for noise."""
    FAILED = "utterances-failed"
    SPECULATIVE = "speculative-recognitions"
    """Recognitions that began in a pause, before the endpoint."""
    SPECULATIVE_USED = "speculative-recognitions-used"
    """Those whose text was published; the others were discarded or are still pending."""
    ATTEMPTS_AGAIN = "recognition-retries"
    """Second attempts after a fault of the execution provider."""
    FAULTS = "provider-faults"
    """Of the accelerator, at load, in a run or by its slowness."""
    FAULTS_REPRODUCED = "provider-faults-reproduced-on-cpu"
    """Faults of a run that the CPU repeated on the same audio: they don't count against the accelerator."""
    HEDGES = "hedged-recognitions"
    """Utterances that the CPU began too, because the accelerator took long."""
    LATE_RESULTS = "late-results"
    """Results discarded because another recognizer had returned one first."""
    SPLITS = "split-recognitions"
    """Utterances that took too long on the CPU and were restarted in two parts."""
    NO_WORDS_RETRIES = "no-words-retries"
    """Utterances with speech whose first result had no words, and that were recognized again."""
    NO_WORDS_RETRIES_RECOVERED = "no-words-retries-recovered"
    """Those whose second result had words."""
    FRAMES_DROPPED = "frames-dropped"
    """Frames that reached a session out of order and were left out of it: lost audio, and always a fault of ours."""
    RETRIES = "retries-requested"
    """RetryLast that found an utterance."""
    PROVIDER_CHANGES = "provider-changes"
    MODEL_LOADS = "model-loads"
    FILES = "files"
    """File jobs that have begun."""
    FILES_FAILED = "files-failed"
    FILE_SEGMENTS = "file-segments"
    """Segments of files that were recognized."""
    FILE_SEGMENTS_WITHOUT_WORDS = "file-segments-without-words"
    """Those that held speech and gave no text."""


class Stage(StrEnum):
    """What is timed, as clients read it."""

    KEY_TO_FIRST_SAMPLE = "key-to-first-sample"
    """From the call that begins a session to the first audio spoken after it."""
    QUEUE = "queue"
    """From the endpoint to the text, less the recognition itself; nothing where that was begun early."""
    FEATURES = "features"
    ENCODER = "encoder"
    DECODER = "decoder"
    SPECULATION_DISCARDED = "speculation-discarded"
    """A speculative recognition whose result was not used, because speech continued."""
    ENDPOINT_TO_TEXT = "endpoint-to-text"
    DELIVERY = "delivery"
    """From the text to the moment the bus has taken all of its bytes."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one stage, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float


EDGES_S = tuple(round(0.001 * 2 ** (half / 2), 6) for half in range(30))
"""Upper edges of the classes that times are counted in, from 1 ms to 23 s; one more class holds what took longer."""


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """Of the graphics card, as its driver tells; None where it doesn't."""

    total_bytes: int | None = None
    free_bytes: int | None = None
    own_bytes: int | None = None
    """What this process holds."""
    temperature_c: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it at one moment."""

    counts: Mapping[Count, int]
    gaps: Mapping[GapReason, int]
    sessions: Mapping[StopReason, int]
    stages: Mapping[Stage, Percentiles]
    """Stages that have not happened yet are absent."""
    by_provider: Mapping[str, Mapping[Stage, Percentiles]] = field(default_factory=dict)
    """Those that ran on an execution provider, by its name."""
    distributions: Mapping[Stage, tuple[int, ...]] = field(default_factory=dict)
    """How many of the last runs fell into each class of `EDGES_S`."""
    faults: Mapping[FaultClass, int] = field(default_factory=dict)
    fault_reasons: Mapping[Reason, int] = field(default_factory=dict)
    """Only those that happened."""
    accelerator_load_s: float = 0.0
    """What the last loading of the accelerator took, its golden clip included; 0 before the first."""
    card: GpuFigures = field(default_factory=GpuFigures)
    uptime_s: float = 0.0
    model_load_s: float = 0.0
    """What the last loading took; 0 before the first."""
    resident_bytes: int = 0


@dataclass(slots=True)
class _Series:
    count: int = 0
    last: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_SAMPLES))

    def percentiles(self) -> Percentiles:
        ordered = sorted(self.last)
        return Percentiles(self.count, *(nearest_rank(ordered, share) for share in (0.50, 0.95, 0.99)))

    def distribution(self) -> tuple[int, ...]:
        counts = [0] * (len(EDGES_S) + 1)
        for seconds in self.last:
            counts[bisect_left(EDGES_S, seconds)] += 1
        return tuple(counts)


class Metrics:
    """Collects figures; bounded, however long the daemon runs. One thread."""

    def __init__(self) -> None:
        self.model_load_s = 0.0
        self.accelerator_load_s = 0.0
        self._earlier_s = 0.0
        """For how long earlier processes served whose place this one has taken."""
        self._counts: Counter[Count] = Counter()
        self._fault_classes: Counter[FaultClass] = Counter()
        self._fault_reasons: Counter[Reason] = Counter()
        self._gaps: Counter[GapReason] = Counter()
        self._sessions: Counter[StopReason] = Counter()
        self._series: dict[Stage, _Series] = {}
        self._by_provider: dict[str, dict[Stage, _Series]] = {}

    def count(self, what: Count) -> None:
        """It happened once more."""
        self._counts[what] += 1

    def fault(self, fault_class: FaultClass, reason: Reason) -> None:
        """The accelerator failed, or its watch said no."""
        self._counts[Count.FAULTS] += 1
        self._fault_classes[fault_class] += 1
        self._fault_reasons[reason] += 1

    def gap(self, reason: GapReason) -> None:
        """Audio was lost."""
        self._gaps[reason] += 1

    def session_ended(self, reason: StopReason) -> None:
        """A session is over."""
        self._sessions[reason] += 1

    def took(self, stage: Stage, seconds: float, provider: str = "") -> None:
        """One more run of a stage, on a provider where that matters; clocks that disagree never make it negative."""
        found = [self._series.setdefault(stage, _Series())]
        if provider:
            found.append(self._by_provider.setdefault(provider, {}).setdefault(stage, _Series()))
        for series in found:
            series.count += 1
            series.last.append(max(0.0, seconds))

    def recognized(self, hypothesis: Hypothesis) -> None:
        """The stages of one recognition; nothing where the model was not run."""
        if hypothesis.stages is not None:
            self.took(Stage.FEATURES, hypothesis.stages.features_s, hypothesis.provider)
            self.took(Stage.ENCODER, hypothesis.stages.encoder_s, hypothesis.provider)
            self.took(Stage.DECODER, hypothesis.stages.decoder_s, hypothesis.provider)

    def carried(self, uptime_s: float) -> dict[str, Any]:
        """All of it as JSON can hold it, for the process that takes this one's place; `uptime_s` is this one's."""
        return {
            "uptime_s": self._earlier_s + uptime_s,
            **{name: dict(counter) for name, (_, counter) in self._counters().items()},
            "stages": _carried(self._series),
            "by_provider": {provider: _carried(series) for provider, series in self._by_provider.items()},
        }

    def resume(self, carried: Mapping[str, Any]) -> None:
        """Go on from what an earlier process carried over; what this version doesn't know is left out."""
        self._earlier_s += float(carried.get("uptime_s", 0.0))
        for name, (kind, counter) in self._counters().items():
            for what, number in carried.get(name, {}).items():
                with suppress(ValueError):
                    counter[kind(what)] += int(number)
        _resume(self._series, carried.get("stages", {}))
        for provider, stages in carried.get("by_provider", {}).items():
            _resume(self._by_provider.setdefault(provider, {}), stages)

    def _counters(self) -> dict[str, tuple[type[StrEnum], Counter[Any]]]:
        return {
            "counts": (Count, self._counts),
            "gaps": (GapReason, self._gaps),
            "sessions": (StopReason, self._sessions),
            "faults": (FaultClass, self._fault_classes),
            "fault_reasons": (Reason, self._fault_reasons),
        }

    def figures(self, *, uptime_s: float = 0.0, resident_bytes: int = 0, card: GpuFigures | None = None) -> Figures:
        """What was collected so far, and what only the caller can know."""
        return Figures(
            counts={what: self._counts[what] for what in Count},
            gaps={reason: self._gaps[reason] for reason in GapReason},
            sessions={reason: self._sessions[reason] for reason in StopReason},
            stages={stage: self._series[stage].percentiles() for stage in Stage if stage in self._series},
            by_provider={
                provider: {stage: series[stage].percentiles() for stage in Stage if stage in series}
                for provider, series in self._by_provider.items()
            },
            distributions={stage: self._series[stage].distribution() for stage in Stage if stage in self._series},
            faults={fault_class: self._fault_classes[fault_class] for fault_class in FaultClass},
            fault_reasons=dict(self._fault_reasons),
            accelerator_load_s=self.accelerator_load_s,
            card=card or GpuFigures(),
            uptime_s=self._earlier_s + uptime_s,
            model_load_s=self.model_load_s,
            resident_bytes=resident_bytes,
        )


def _carried(series: Mapping[Stage, _Series]) -> dict[str, Any]:
    return {stage.value: [found.count, list(found.last)] for stage, found in series.items()}


def _resume(series: dict[Stage, _Series], carried: Mapping[str, Any]) -> None:
    for name, (count, last) in carried.items():
        with suppress(ValueError):
            found = series.setdefault(Stage(name), _Series())
            found.count += int(count)
            found.last.extend(map(float, last))


def nearest_rank(ordered: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values don't exceed; `ordered` ascends and is not empty."""
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]
