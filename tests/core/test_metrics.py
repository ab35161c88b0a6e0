"""Metrics: counted, bounded, and nothing in them but numbers."""

import json

import pytest

from coldvoxd.cli.sparkline import bars, extent
from coldvoxd.core.audio_values import GapReason
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.metrics import EDGES_S, KEPT_SAMPLES, Count, GpuFigures, Metrics, Percentiles, Stage, nearest_rank
from coldvoxd.core.values import Hypothesis, StageSeconds, StopReason


def test_everything_is_counted_from_zero() -> None:
    figures = Metrics().figures()
    assert figures.counts == dict.fromkeys(Count, 0)
    assert figures.gaps == dict.fromkeys(GapReason, 0)
    assert figures.sessions == dict.fromkeys(StopReason, 0)
    assert figures.stages == {}


def test_counts_grow_and_an_earlier_reading_stays_as_it_was() -> None:
    metrics = Metrics()
    before = metrics.figures()
    metrics.count(Count.UTTERANCES)
    metrics.count(Count.UTTERANCES)
    metrics.gap(GapReason.STALLED)
    metrics.session_ended(StopReason.CANCELLED)
    after = metrics.figures(uptime_s=2.5, resident_bytes=7)
    assert (after.counts[Count.UTTERANCES], after.gaps[GapReason.STALLED], after.sessions[StopReason.CANCELLED]) == (
        2,
        1,
        1,
    )
    assert (after.uptime_s, after.resident_bytes) == (2.5, 7)
    assert before.counts[Count.UTTERANCES] == 0


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([1.0], 0.5, 1.0), ([1.0, 2.0], 0.5, 1.0), ([1.0, 2.0, 3.0], 0.5, 2.0), ([1.0, 2.0], 0.95, 2.0)],
)
def test_percentiles_are_values_that_occurred(values: list[float], share: float, expected: float) -> None:
    assert nearest_rank(values, share) == expected


def test_percentiles_of_a_hundred_and_of_twenty() -> None:
    metrics = Metrics()
    for hundredth in range(100, 0, -1):
        metrics.took(Stage.ENCODER, hundredth / 100)
    assert metrics.figures().stages[Stage.ENCODER] == Percentiles(100, 0.50, 0.95, 0.99)
    for twentieth in range(20, 0, -1):
        metrics.took(Stage.DECODER, twentieth / 20)
    assert metrics.figures().stages[Stage.DECODER] == Percentiles(20, 0.50, 0.95, 1.0)


def test_memory_is_bounded_and_the_count_is_not() -> None:
    metrics = Metrics()
    for _ in range(KEPT_SAMPLES):
        metrics.took(Stage.QUEUE, 9.0)
    for _ in range(KEPT_SAMPLES):
        metrics.took(Stage.QUEUE, 1.0)
    assert metrics.figures().stages[Stage.QUEUE] == Percentiles(2 * KEPT_SAMPLES, 1.0, 1.0, 1.0)
    assert len(metrics._series[Stage.QUEUE].last) == KEPT_SAMPLES


def test_no_time_is_negative() -> None:
    metrics = Metrics()
    metrics.took(Stage.QUEUE, -0.1)
    assert metrics.figures().stages[Stage.QUEUE].p99 == 0.0


def test_a_recognition_tells_its_stages_and_none_where_the_model_was_not_run() -> None:
    metrics = Metrics()
    metrics.recognized(Hypothesis("secret", (), (), 0.9, "P", 0.6, StageSeconds(0.1, 0.2, 0.3)))
    metrics.recognized(Hypothesis("", (), (), 0.0, "P", 0.0))
    stages = metrics.figures().stages
    assert {stage: (found.count, found.p50) for stage, found in stages.items()} == {
        Stage.FEATURES: (1, 0.1),
        Stage.ENCODER: (1, 0.2),
        Stage.DECODER: (1, 0.3),
    }
    assert "secret" not in repr(metrics.figures())


def test_what_ran_on_a_provider_is_told_apart_and_counts_in_the_whole() -> None:
    metrics = Metrics()
    metrics.took(Stage.ENCODER, 0.1, "fast")
    metrics.took(Stage.ENCODER, 0.3, "slow")
    metrics.took(Stage.DELIVERY, 0.5)
    figures = metrics.figures()
    assert figures.stages[Stage.ENCODER] == Percentiles(2, 0.1, 0.3, 0.3)
    assert figures.by_provider == {
        "fast": {Stage.ENCODER: Percentiles(1, 0.1, 0.1, 0.1)},
        "slow": {Stage.ENCODER: Percentiles(1, 0.3, 0.3, 0.3)},
    }


def test_faults_are_counted_by_class_and_by_reason() -> None:
    metrics = Metrics()
    metrics.fault(FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY)
    metrics.fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT)
    figures = metrics.figures(gpu=GpuFigures(total_bytes=7))
    assert figures.counts[Count.FAULTS] == 2
    assert figures.faults == dict.fromkeys(FaultClass, 0) | {FaultClass.TRANSIENT: 2}
    assert figures.fault_reasons == {Reason.GPU_OUT_OF_MEMORY: 1, Reason.GPU_TIMEOUT: 1}
    assert figures.gpu.total_bytes == 7


def test_times_are_counted_in_classes_that_hold_their_upper_edge_and_all_above() -> None:
    metrics = Metrics()
    for seconds in (0.0, EDGES_S[0], EDGES_S[1], 1e9):
        metrics.took(Stage.QUEUE, seconds)
    distribution = metrics.figures().distributions[Stage.QUEUE]
    assert (distribution[0], distribution[1], distribution[-1], sum(distribution)) == (2, 1, 1, 4)


@pytest.mark.parametrize(
    ("counts", "blocks", "plain"),
    [([0, 1, 8], " ▁█", " .#"), ([0, 0], "  ", "  "), ([], "", ""), ([1000, 1], "█▁", "#.")],
)
def test_a_plot_shows_the_least_and_the_most(counts: list[int], blocks: str, plain: str) -> None:
    assert bars(counts) == blocks
    assert bars(counts, ascii_only=True) == plain


def test_the_extent_is_that_of_all_rows() -> None:
    assert extent([[0, 1, 0, 0], [0, 0, 2, 0]]) == (1, 3)
    assert extent([[0, 0]]) == extent([]) == (0, 0)


def test_a_new_process_goes_on_from_what_the_old_one_counted() -> None:
    old, new = Metrics(), Metrics()
    old.count(Count.UTTERANCES)
    old.gap(GapReason.STALLED)
    old.session_ended(StopReason.STOPPED)
    for seconds in (0.5, 0.1, 0.3):
        old.took(Stage.QUEUE, seconds)
    new.count(Count.UTTERANCES)
    new.resume(json.loads(json.dumps(old.carried(uptime_s=60.0))))
    figures = new.figures(uptime_s=1.0)
    assert figures.uptime_s == 61.0
    assert figures.counts[Count.UTTERANCES] == 2
    assert figures.gaps[GapReason.STALLED] == figures.sessions[StopReason.STOPPED] == 1
    assert figures.stages[Stage.QUEUE] == Percentiles(3, 0.3, 0.5, 0.5)
    third = Metrics()
    third.resume(new.carried(uptime_s=1.0))
    assert third.figures().uptime_s == 61.0


def test_what_a_later_version_does_not_know_is_left_out() -> None:
    metrics = Metrics()
    metrics.resume({"counts": {"no-longer-counted": 3, "utterances": 1}, "stages": {"gone": [1, [0.1]]}, "more": 1})
    assert metrics.figures().counts[Count.UTTERANCES] == 1
    assert metrics.figures().stages == {}
