"""The time of a first run is divided over its steps, and what does not fit into the memory is known before."""

import pytest

from coldvoxd.core.values import Precision
from coldvoxd.first_run.deadline import Deadline, share_of
from coldvoxd.first_run.planning import CPU, Step, Task, Variant, allowance, needed_bytes, tasks_of

MAIN = Variant(Precision.FP32, is_main=True)
INT8 = Variant(Precision.INT8)


def test_settings_are_measured_with_one_variant_only() -> None:
    steps = {variant.name: [task.step for task in tasks_of(variant, has_page=False)] for variant in (MAIN, INT8)}
    assert steps["fp32 on cpu"][:3] == [Step.LOAD, Step.SPEECH, Step.SPEED]
    assert {Step.PAUSES, Step.SILENCE, Step.PARTIALS, Step.LENGTHS} <= {*steps["fp32 on cpu"]}
    assert steps["int8 on cpu"] == [Step.LOAD, Step.SPEECH, Step.SPEED, Step.LENGTHS]
    assert [task.step for task in tasks_of(Variant(Precision.INT8, "cuda"), has_page=False)] == steps["int8 on cpu"][:3]


def test_a_page_is_measured_with_each_variant_only_if_it_was_read() -> None:
    for variant in (MAIN, INT8):
        assert Task(Step.PAGE, variant) in tasks_of(variant, has_page=True)
        assert Task(Step.PAGE, variant) not in tasks_of(variant, has_page=False)


def test_the_whole_time_is_used_and_no_more() -> None:
    left = [Task(Step.FILES), *tasks_of(MAIN, has_page=True), *tasks_of(INT8, has_page=True), Task(Step.PEER, MAIN)]
    remaining_s = 600.0
    while left:
        allowed_s = allowance(remaining_s, left[0], left[1:])
        assert 0 < allowed_s <= remaining_s
        remaining_s -= allowed_s
        left = left[1:]
    assert remaining_s == pytest.approx(0)


def test_time_that_a_step_does_not_need_goes_to_the_later_ones() -> None:
    tasks = tasks_of(MAIN, has_page=False)
    assert allowance(500, tasks[1], tasks[2:]) > allowance(400, tasks[1], tasks[2:])
    assert allowance(-3, tasks[0], tasks[1:]) == 0


def test_the_memory_of_a_variant() -> None:
    """A prepared form is mapped; the library of an accelerator may have a copy of the weights."""
    variants = (
        Variant(Precision.FP32, CPU, is_prepared=True),
        Variant(Precision.FP32),
        Variant(Precision.FP32, "cuda"),
    )
    prepared, plain, accelerator = (needed_bytes(2_470_000_000, variant) for variant in variants)
    assert prepared < 1e9 < 2827 * 1.048576e6 < plain < 4e9 < accelerator


def test_a_deadline_yields_at_least_one_item_and_none_after_the_time() -> None:
    now = 0.0
    shares: list[float] = []

    def clock() -> float:
        return now

    deadline = Deadline(10, shares.append, clock)
    done = []
    for item in deadline.each(range(100)):
        done.append(item)
        now += 3.0
    assert done == [0, 1, 2, 3]
    assert shares == [0.0, 0.3, 0.6, pytest.approx(0.9)]
    assert list(deadline.each("ab")) == ["a"]
    assert (share_of(4, range(100)), share_of(2, "ab")) == ("4 of 100", "")
