"""Time and length limits that follow from the durations of earlier runs."""

import math

import pytest

from coldvoxd.recognition.run_times import (
    HEDGE_FACTOR,
    HEDGE_FLOOR_S,
    HISTORY,
    LENGTH_FLOOR_S,
    LONGEST_PREDICTED_S,
    SPLIT_FACTOR,
    STANDARD,
    RunLimits,
    RunTimes,
    watchdog_limit_s,
)


def after(*runs: tuple[float, float], limits: RunLimits = STANDARD) -> RunTimes:
    """Return a history of runs, each given by its duration and the duration of its audio."""
    times = RunTimes(limits)
    for took_s, audio_s in runs:
        times = times.with_run(took_s, audio_s)
    return times


def test_before_the_first_run_there_are_defaults() -> None:
    times = RunTimes(RunLimits(accelerator_run_s=3.0, cpu_run_s=4.0))
    assert (times.hedge_s, times.split_s(60.0), times.longest_s) == (1.5, 4.0, math.inf)


def test_a_run_is_hedged_at_a_multiple_of_what_nearly_all_runs_took() -> None:
    assert after(*[(0.1, 2.0)] * 10).hedge_s == pytest.approx(HEDGE_FACTOR * 0.1)


def test_one_slow_run_of_many_does_not_delay_hedging() -> None:
    assert after(*[(0.1, 2.0)] * 10, (4.0, 2.0)).hedge_s == pytest.approx(HEDGE_FACTOR * 0.1)


def test_the_hedge_limit_has_a_floor_and_stays_within_the_limit_of_a_run() -> None:
    assert after((0.001, 2.0)).hedge_s == HEDGE_FLOOR_S
    assert after((3.0, 2.0), limits=RunLimits(accelerator_run_s=2.0)).hedge_s == 2.0


def test_the_split_limit_grows_with_the_audio_and_with_the_time_that_it_takes() -> None:
    times = after((2.0, 4.0), (2.0, 4.0))
    assert times.split_s(60.0) == pytest.approx(SPLIT_FACTOR * 60.0 * 0.5)
    assert times.split_s(1.0) == STANDARD.cpu_run_s


def test_the_length_limit_keeps_the_predicted_time_within_bounds() -> None:
    assert after((0.5, 4.0)).longest_s == pytest.approx(LONGEST_PREDICTED_S / 0.125)


def test_the_length_limit_follows_the_median_and_never_falls_below_its_floor() -> None:
    usual = [(0.5, 4.0), (0.5, 4.0)]
    assert after(*usual, (36.0, 4.0)).longest_s == pytest.approx(20.0)
    assert after(*usual, *[(36.0, 4.0)] * 3).longest_s == LENGTH_FLOOR_S


def test_a_run_that_took_no_time_gives_no_division_by_zero() -> None:
    assert math.isfinite(after((0.0, 4.0)).longest_s)


def test_a_run_without_audio_counts_for_hedging_alone() -> None:
    times = after((0.2, 0.0))
    assert times.hedge_s == pytest.approx(2.0)
    assert times.longest_s == math.inf


def test_only_the_most_recent_runs_count() -> None:
    times = after(*[(4.0, 2.0)] * HISTORY, *[(0.1, 2.0)] * HISTORY)
    assert len(times.durations_s) == len(times.time_factors) == HISTORY
    assert times.hedge_s == pytest.approx(HEDGE_FACTOR * 0.1)


def test_a_history_is_a_value() -> None:
    times = RunTimes()
    times.with_run(1.0, 2.0)
    assert times == RunTimes()


@pytest.mark.parametrize(("audio_s", "limit_s"), [(0.5, 20.0), (2.0, 20.0), (60.0, 600.0)])
def test_the_watchdog_is_more_patient_with_longer_audio(audio_s: float, limit_s: float) -> None:
    assert watchdog_limit_s(audio_s) == limit_s
