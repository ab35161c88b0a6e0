"""The daemon's metrics: numbers of events and durations of stages. They never contain spoken text."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from coldvoxd.core.audio_values import GapReason
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.values import Hypothesis, StopReason

KEPT_SAMPLES = 1000
"""Percentiles are computed from this many latest samples; counts include all."""


class Count(StrEnum):
    """Counters since the daemon's start; the values are their names on the bus."""

    UTTERANCES = "utterances"
    """Sent to recognition by dictation sessions."""
    WITHOUT_WORDS = "utterances-without-words"
    SESSIONS_WITHOUT_WORDS = "sessions-without-words"
    """Sessions with speech that returned no text."""
    SESSIONS_WITH_GAPS = "sessions-with-gaps"
    """Sessions in which audio was lost."""
    SHORT_SPEECH = "short-speech-discarded"
    """Pieces of speech shorter than `min_speech_ms`, discarded as noise."""
    FAILED = "utterances-failed"
    SPECULATIVE = "speculative-recognitions"
    """Recognitions that started in a pause, before the endpoint."""
    SPECULATIVE_USED = "speculative-recognitions-used"
    """Those whose text was published; the others were discarded or are still pending."""
    ATTEMPTS_AGAIN = "recognition-retries"
    """Second attempts after a fault of the execution provider."""
    FAULTS = "provider-faults"
    """Faults of the accelerator: at load, in a run, or because it was too slow."""
    FAULTS_REPRODUCED = "provider-faults-reproduced-on-cpu"
    """Faults of a run that also occurred on the CPU with the same audio: they do not count against the accelerator."""
    HEDGES = "hedged-recognitions"
    """Utterances that the CPU also started to recognize, because the accelerator took long."""
    LATE_RESULTS = "late-results"
    """Results discarded because another recognizer had returned one first."""
    SPLITS = "split-recognitions"
    """Utterances that took too long on the CPU and were restarted in two parts."""
    NO_WORDS_RETRIES = "no-words-retries"
    """Utterances with speech that were recognized again because the first result had no words."""
    NO_WORDS_RETRIES_RECOVERED = "no-words-retries-recovered"
    """Those whose second result had words."""
    HOLES = "speech-without-words"
    """Stretches of at least a second of speech in an utterance with words that returned none, and were recognized again."""
    HOLES_FILLED = "speech-without-words-recovered"
    """Those whose second result had words."""
    FRAMES_DROPPED = "frames-dropped"
    """Frames that reached a session out of order and were omitted: lost audio, always caused by a bug."""
    RETRIES = "retries-requested"
    """Calls of RetryLast that found an utterance."""
    PROVIDER_CHANGES = "provider-changes"
    MODEL_LOADS = "model-loads"
    FILES = "files"
    """File jobs that were started."""
    FILES_FAILED = "files-failed"
    FILE_SEGMENTS = "file-segments"
    """Segments of files that were recognized."""
    FILE_SEGMENTS_WITHOUT_WORDS = "file-segments-without-words"
    """Those with speech that returned no text."""


class Stage(StrEnum):
    """Stages whose duration is measured; the values are their names on the bus."""

    KEY_TO_FIRST_SAMPLE = "key-to-first-sample"
    """From the call that starts a session to the first audio recorded after it."""
    QUEUE = "queue"
    """From the endpoint to the text, minus the recognition itself; 0 if recognition started early enough."""
    FEATURES = "features"
    ENCODER = "encoder"
    DECODER = "decoder"
    SPECULATION_DISCARDED = "speculation-discarded"
    """A speculative recognition whose result was not used, because speech continued."""
    ENDPOINT_TO_TEXT = "endpoint-to-text"
    DELIVERY = "delivery"
    """From the text to the moment at which the bus has accepted all of its bytes."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of one stage, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float


EDGES_S = tuple(round(0.001 * 2 ** (half / 2), 6) for half in range(30))
"""Upper edges of the histogram's classes of durations, from 1 ms to 23 s; one more class holds longer durations."""


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """Figures of the GPU as reported by its driver; None if it does not report them."""

    total_bytes: int | None = None
    free_bytes: int | None = None
    own_bytes: int | None = None
    """GPU memory that this process holds."""
    temperature_c: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All metrics at one moment."""

    counts: Mapping[Count, int]
    gaps: Mapping[GapReason, int]
    sessions: Mapping[StopReason, int]
    stages: Mapping[Stage, Percentiles]
    """Stages that have not occurred yet are absent."""
    by_provider: Mapping[str, Mapping[Stage, Percentiles]] = field(default_factory=dict)
    """Stages that ran on an execution provider, by its name."""
    distributions: Mapping[Stage, tuple[int, ...]] = field(default_factory=dict)
    """Number of the latest runs in each class of `EDGES_S`."""
    faults: Mapping[FaultClass, int] = field(default_factory=dict)
    fault_reasons: Mapping[Reason, int] = field(default_factory=dict)
    """Only reasons that have occurred."""
    accelerator_load_s: float = 0.0
    """Seconds that the last load of the accelerator took, golden clip included; 0 before the first one."""
    gpu: GpuFigures = field(default_factory=GpuFigures)
    uptime_s: float = 0.0
    model_load_s: float = 0.0
    """Seconds that the last load took; 0 before the first one."""
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
    """Collects metrics in bounded memory. One thread."""

    def __init__(self) -> None:
        self.model_load_s = 0.0
        self.accelerator_load_s = 0.0
        self._earlier_s = 0.0
        """Seconds for which the processes that this one replaced have served."""
        self._counts: Counter[Count] = Counter()
        self._fault_classes: Counter[FaultClass] = Counter()
        self._fault_reasons: Counter[Reason] = Counter()
        self._gaps: Counter[GapReason] = Counter()
        self._sessions: Counter[StopReason] = Counter()
        self._series: dict[Stage, _Series] = {}
        self._by_provider: dict[str, dict[Stage, _Series]] = {}

    def count(self, what: Count, number: int = 1) -> None:
        """Add to a counter."""
        self._counts[what] += number

    def fault(self, fault_class: FaultClass, reason: Reason) -> None:
        """Record a fault of the accelerator, or that the GPU monitor forbade its use."""
        self._counts[Count.FAULTS] += 1
        self._fault_classes[fault_class] += 1
        self._fault_reasons[reason] += 1

    def gap(self, reason: GapReason) -> None:
        """Record that audio was lost."""
        self._gaps[reason] += 1

    def session_ended(self, reason: StopReason) -> None:
        """Record the end of a session."""
        self._sessions[reason] += 1

    def took(self, stage: Stage, seconds: float, provider: str = "") -> None:
        """Record a run of a stage, on a provider if given. Negative durations, from disagreeing clocks, count as 0."""
        found = [self._series.setdefault(stage, _Series())]
        if provider:
            found.append(self._by_provider.setdefault(provider, {}).setdefault(stage, _Series()))
        for series in found:
            series.count += 1
            series.last.append(max(0.0, seconds))

    def recognized(self, hypothesis: Hypothesis) -> None:
        """Record the stages of one recognition. Has no effect if the model was not run."""
        if hypothesis.stages is not None:
            self.took(Stage.FEATURES, hypothesis.stages.features_s, hypothesis.provider)
            self.took(Stage.ENCODER, hypothesis.stages.encoder_s, hypothesis.provider)
            self.took(Stage.DECODER, hypothesis.stages.decoder_s, hypothesis.provider)

    def carried(self, uptime_s: float) -> dict[str, Any]:
        """Return all metrics as JSON values for the process that replaces this one. `uptime_s` is this process's."""
        return {
            "uptime_s": self._earlier_s + uptime_s,
            **{name: dict(counter) for name, (_, counter) in self._counters().items()},
            "stages": _carried(self._series),
            "by_provider": {provider: _carried(series) for provider, series in self._by_provider.items()},
        }

    def resume(self, carried: Mapping[str, Any]) -> None:
        """Continue from the metrics of an earlier process. Names that this version does not know are ignored."""
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

    def figures(self, *, uptime_s: float = 0.0, resident_bytes: int = 0, gpu: GpuFigures | None = None) -> Figures:
        """Return the metrics collected so far, together with the values that only the caller knows."""
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
            gpu=gpu or GpuFigures(),
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
    """Return the smallest value that at least `share` of the values don't exceed. `ordered` ascends, not empty."""
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]
