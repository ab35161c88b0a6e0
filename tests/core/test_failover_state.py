"""On which rung utterances are recognized, told as sequences of events."""

from dataclasses import replace

import pytest

from coldvoxd.core.failover_state import (
    CALM_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    CpuWanted,
    DropGpu,
    Event,
    FailoverState,
    Fault,
    FaultClass,
    Loaded,
    NobodyDictates,
    Phase,
    Probe,
    ProbeDue,
    ProbeLater,
    Reason,
    ReplaceSelfWhenIdle,
    RestGpu,
    SomebodyDictates,
    Suspending,
    UnexpectedEvent,
    Unwell,
    UseCpu,
    UseGpu,
    WellAgain,
    Woken,
    classify,
    pause_s,
    step,
)


def after(*events: Event) -> tuple[FailoverState, tuple[object, ...]]:
    state = FailoverState()
    effects: tuple[object, ...] = ()
    for event in events:
        state, effects = step(state, event)
    return state, effects


def transient(now_s: float = 10.0) -> Fault:
    return Fault(FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY, now_s)


def test_a_loaded_accelerator_is_used_and_nothing_is_degraded() -> None:
    state, effects = after(Loaded(0.0))
    assert (state.phase, state.reason, effects) == (Phase.ON_GPU, Reason.NONE, (UseGpu(),))


def test_a_machine_that_wants_the_cpu_is_healthy_on_it() -> None:
    state, effects = after(CpuWanted())
    assert (state.phase, state.reason, effects) == (Phase.SETTLED, Reason.NONE, (UseCpu(),))


def test_a_transient_fault_goes_down_at_once_and_is_probed_later() -> None:
    state, effects = after(Loaded(0.0), transient())
    assert (state.phase, state.reason) == (Phase.ON_CPU, Reason.GPU_OUT_OF_MEMORY)
    assert effects == (UseCpu(), DropGpu(), ProbeLater(FIRST_PAUSE_S))
    assert after(Loaded(0.0), transient(), ProbeDue())[1] == (Probe(),)


def test_a_probe_that_passes_comes_back_and_clears_the_reason() -> None:
    state, effects = after(Loaded(0.0), transient(), ProbeDue(), Loaded(20.0))
    assert (state.phase, state.reason, effects) == (Phase.ON_GPU, Reason.NONE, (UseGpu(),))


def test_pauses_grow_with_every_fault_and_an_early_relapse_does_not_shorten_them() -> None:
    state = FailoverState()
    pauses = []
    now_s = 0.0
    for _ in range(12):
        state, _ = step(state, Loaded(now_s))
        now_s += CALM_S / 10
        state, effects = step(state, transient(now_s))
        pauses += [effect.pause_s for effect in effects if isinstance(effect, ProbeLater)]
        state, _ = step(state, ProbeDue())
    assert pauses == sorted(pauses)
    assert pauses[1] == 2 * FIRST_PAUSE_S
    assert pauses[-1] == LONGEST_PAUSE_S


def test_good_service_for_long_forgets_earlier_faults() -> None:
    state, _ = after(Loaded(0.0), transient(1.0), ProbeDue(), Loaded(10.0), transient(11.0), ProbeDue(), Loaded(40.0))
    assert state.faults == 2
    state, effects = step(state, transient(40.0 + CALM_S))
    assert ProbeLater(FIRST_PAUSE_S) in effects


def test_jitter_varies_a_pause_and_never_reverses_it() -> None:
    assert pause_s(3, -1) < pause_s(3, 0) < pause_s(3, 1)
    assert pause_s(3, -99) == pause_s(3, -1) > 0


def test_a_sticky_fault_settles_on_the_cpu_and_asks_for_a_new_process() -> None:
    state, effects = after(Loaded(0.0), Fault(FaultClass.STICKY, Reason.GPU_FAULT, 5.0))
    assert (state.phase, state.sticky) == (Phase.SETTLED, True)
    assert effects == (UseCpu(), DropGpu(), ReplaceSelfWhenIdle())


def test_an_absent_accelerator_settles_without_probes() -> None:
    state, effects = after(Fault(FaultClass.ABSENT, Reason.NO_GPU, 0.0))
    assert (state.phase, state.reason, effects) == (Phase.SETTLED, Reason.NO_GPU, (UseCpu(), DropGpu()))


@pytest.mark.parametrize("before", [(Loaded(0.0), transient()), (CpuWanted(),)])
def test_a_late_fault_of_an_attempt_that_was_given_up_changes_nothing(before: tuple[Event, ...]) -> None:
    state, _ = after(*before)
    assert step(state, transient(99.0)) == (state, ())


def test_an_event_without_a_row_raises() -> None:
    with pytest.raises(UnexpectedEvent):
        after(Loaded(0.0), ProbeDue())


@pytest.mark.parametrize(
    ("message", "fault_class", "reason"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        ("CUDA failure 700: an illegal memory access", FaultClass.STICKY, Reason.GPU_FAULT),
        ("CUDA failure 719: unspecified launch failure", FaultClass.STICKY, Reason.GPU_FAULT),
        ("CUDA failure 999: unknown error", FaultClass.STICKY, Reason.GPU_LOST),
        ("CUDA failure 100: no CUDA-capable device is detected", FaultClass.ABSENT, Reason.NO_GPU),
        ("CUDA failure 35: driver version is insufficient", FaultClass.ABSENT, Reason.DRIVER_MISMATCH),
        ("CUBLAS_STATUS_ALLOC_FAILED", FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        (
            "Failed to allocate memory for requested buffer of size 68157440",
            FaultClass.TRANSIENT,
            Reason.GPU_OUT_OF_MEMORY,
        ),
        ("gave values that are not finite on CUDAExecutionProvider", FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT),
        ("something new", FaultClass.TRANSIENT, Reason.GPU_FAULT),
        ("CUDA failure 12345: unheard of", FaultClass.TRANSIENT, Reason.GPU_FAULT),
    ],
)
def test_what_a_provider_says_is_classified(message: str, fault_class: FaultClass, reason: Reason) -> None:
    assert classify(message) == (fault_class, reason)


def test_late_news_that_the_accelerator_is_beyond_use_ends_the_probing() -> None:
    sticky = Fault(FaultClass.STICKY, Reason.GPU_FAULT, 11.0)
    state, effects = after(Loaded(0.0), transient(), sticky)
    assert (state.phase, state.sticky, effects) == (Phase.SETTLED, True, (ReplaceSelfWhenIdle(),))
    assert after(Loaded(0.0), transient(), sticky, ProbeDue())[1] == ()


HOT = Unwell(FaultClass.UNHEALTHY, Reason.GPU_OVERHEATING, 10.0)
LOST = Unwell(FaultClass.STICKY, Reason.GPU_LOST, 10.0)


def test_what_the_watch_says_goes_down_at_once_and_holds_every_probe() -> None:
    state, effects = after(Loaded(0.0), HOT)
    assert (state.phase, state.reason, effects) == (Phase.ON_CPU, Reason.GPU_OVERHEATING, (UseCpu(), DropGpu()))
    assert step(state, ProbeDue()) == (state, ())


def test_once_the_watch_has_nothing_against_it_the_accelerator_is_probed_after_the_usual_pause() -> None:
    state, effects = after(Loaded(0.0), HOT, WellAgain())
    assert (state.phase, effects) == (Phase.ON_CPU, (ProbeLater(FIRST_PAUSE_S),))
    state, effects = after(Loaded(0.0), HOT, WellAgain(), ProbeDue())
    assert (state.phase, effects) == (Phase.PROBING, (Probe(),))


def test_a_watch_that_changes_its_mind_often_is_trusted_with_longer_pauses_only() -> None:
    state, pauses = FailoverState(), []
    for number in range(12):
        state, _ = step(state, Loaded(20.0 * number))
        state, _ = step(state, replace(HOT, now_s=20.0 * number + 10.0))
        state, effects = step(state, WellAgain())
        pauses += [effect.pause_s for effect in effects if isinstance(effect, ProbeLater)]
        state, _ = step(state, ProbeDue())
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_watch_that_says_no_while_the_cpu_serves_already_is_told_and_holds_the_probe() -> None:
    state, effects = after(Loaded(0.0), transient(), HOT)
    assert (state.reason, state.held, effects) == (Reason.GPU_OVERHEATING, True, (UseCpu(),))
    assert after(Loaded(0.0), transient(), HOT, ProbeDue())[1] == ()


def test_a_lost_card_takes_a_new_process_but_not_before_it_has_come_back() -> None:
    state, effects = after(Loaded(0.0), LOST)
    assert (state.phase, state.sticky, effects) == (Phase.SETTLED, True, (UseCpu(), DropGpu()))
    state, effects = after(Loaded(0.0), LOST, WellAgain())
    assert (state.sticky, state.held, effects) == (True, False, (ReplaceSelfWhenIdle(),))
    struck = Fault(FaultClass.STICKY, Reason.GPU_LOST, 9.0)
    state, effects = after(Loaded(0.0), struck, LOST)
    assert (state.sticky, state.held, effects) == (True, True, (UseCpu(),))


def test_a_late_sticky_fault_while_the_watch_says_no_waits_for_it_too() -> None:
    sticky = Fault(FaultClass.STICKY, Reason.GPU_FAULT, 11.0)
    state, effects = after(Loaded(0.0), HOT, sticky)
    assert (state.phase, state.sticky, effects) == (Phase.SETTLED, True, ())
    assert after(Loaded(0.0), HOT, sticky, WellAgain())[1] == (ReplaceSelfWhenIdle(),)


def test_an_absent_accelerator_is_tried_once_the_watch_sees_it_come() -> None:
    absent = Fault(FaultClass.ABSENT, Reason.NO_GPU, 0.0)
    gone = Unwell(FaultClass.UNHEALTHY, Reason.NO_GPU, 1.0)
    state, effects = after(absent, gone, WellAgain())
    assert (state.phase, effects) == (Phase.ON_CPU, (ProbeLater(FIRST_PAUSE_S),))


def test_what_the_watch_says_is_nothing_to_those_who_want_the_cpu_or_are_told_nothing_new() -> None:
    state, _ = after(CpuWanted())
    assert step(state, HOT) == (state, ())
    assert step(state, WellAgain()) == (state, ())
    state, _ = after(Loaded(0.0))
    assert step(state, WellAgain()) == (state, ())


def test_an_accelerator_that_nobody_needs_rests_until_somebody_dictates() -> None:
    state, effects = after(Loaded(0.0), NobodyDictates())
    assert (state.phase, state.reason, effects) == (Phase.RESTING, Reason.NONE, (RestGpu(), DropGpu()))
    assert step(state, NobodyDictates()) == (state, ())
    state, effects = step(state, SomebodyDictates())
    assert (state.phase, effects) == (Phase.PROBING, (UseCpu(), Probe()))
    state, effects = step(state, Loaded(50.0))
    assert (state.phase, effects) == (Phase.ON_GPU, (UseGpu(),))


def test_only_an_accelerator_that_serves_or_was_not_tried_yet_is_put_to_rest() -> None:
    for events in [(CpuWanted(),), (Loaded(0.0), transient()), (Loaded(0.0), transient(), ProbeDue())]:
        state, _ = after(*events)
        assert step(state, NobodyDictates()) == (state, ())
    assert after(NobodyDictates())[0].phase is Phase.RESTING
    state, _ = after(Loaded(0.0))
    assert step(state, SomebodyDictates()) == (state, ())


def test_late_news_of_an_accelerator_at_rest_count_only_where_it_is_beyond_use() -> None:
    state, _ = after(Loaded(0.0), NobodyDictates())
    assert step(state, transient()) == (state, ())
    assert step(state, ProbeDue()) == (state, ())
    state, effects = step(state, Fault(FaultClass.STICKY, Reason.GPU_FAULT, 11.0))
    assert (state.phase, effects) == (Phase.SETTLED, (ReplaceSelfWhenIdle(),))


IN_USE = ((), (Loaded(0.0),), (Loaded(0.0), transient()), (Loaded(0.0), transient(), ProbeDue()))
"""Starting, serving, fallen and probing."""


@pytest.mark.parametrize("before", IN_USE)
def test_before_a_sleep_the_accelerator_is_let_go_of_at_once(before: tuple[Event, ...]) -> None:
    state, effects = after(*before, Suspending())
    assert (state.phase, effects) == (Phase.ASLEEP, (UseCpu(), DropGpu(at_once=True)))
    assert state.reason in {Reason.SLEEP, Reason.GPU_OUT_OF_MEMORY}


@pytest.mark.parametrize("before", IN_USE)
def test_after_a_sleep_a_context_that_may_be_broken_takes_a_new_process(before: tuple[Event, ...]) -> None:
    state, effects = after(*before, Suspending(), Woken(stale=True))
    assert (state.phase, state.sticky, state.reason) == (Phase.SETTLED, True, Reason.SLEEP)
    assert effects == (UseCpu(), ReplaceSelfWhenIdle())


@pytest.mark.parametrize("before", IN_USE)
def test_after_a_sleep_an_accelerator_without_a_context_is_probed(before: tuple[Event, ...]) -> None:
    state, effects = after(*before, Suspending(), Woken(stale=False))
    assert (state.phase, effects) == (Phase.PROBING, (Probe(),))
    assert step(state, Loaded(9.0))[0].reason is Reason.NONE


def test_what_had_begun_before_a_sleep_changes_nothing_in_it() -> None:
    asleep, _ = after(Loaded(0.0), Suspending())
    for event in (transient(), Fault(FaultClass.STICKY, Reason.GPU_FAULT, 1.0), ProbeDue(), Suspending()):
        assert step(asleep, event) == (asleep, ())
    with pytest.raises(UnexpectedEvent):
        step(asleep, CpuWanted())


def test_whoever_wants_the_cpu_sleeps_as_he_is_and_a_wake_without_a_sleep_is_none() -> None:
    settled, _ = after(CpuWanted())
    assert step(settled, Suspending()) == step(settled, Woken(stale=False)) == (settled, ())
    serving, _ = after(Loaded(0.0))
    assert step(serving, Woken(stale=True)) == (serving, ())


def test_what_the_watch_says_around_a_sleep_counts_after_it() -> None:
    state, effects = after(Loaded(0.0), Suspending(), HOT, Woken(stale=False))
    assert (state.phase, state.held, effects) == (Phase.ON_CPU, True, (UseCpu(),))
    assert after(Loaded(0.0), HOT, Suspending(), Woken(stale=True))[1] == (UseCpu(),)
    assert after(Loaded(0.0), HOT, Suspending(), WellAgain(), Woken(stale=False))[1] == (Probe(),)


def test_a_fault_holds_beneath_what_the_watch_says_and_is_the_reason_again_after_it() -> None:
    broken = Fault(FaultClass.STICKY, Reason.GPU_FAULT, 5.0)
    cause = Unwell(FaultClass.UNHEALTHY, Reason.GPU_OUT_OF_MEMORY, 11.0)
    state, _ = after(Loaded(1.0), broken, HOT)
    assert (state.reason, state.covered) == (Reason.GPU_OVERHEATING, Reason.GPU_FAULT)
    state, _ = after(Loaded(1.0), broken, HOT, cause)
    assert (state.reason, state.covered) == (Reason.GPU_OUT_OF_MEMORY, Reason.GPU_FAULT)
    state, effects = after(Loaded(1.0), broken, HOT, cause, WellAgain())
    assert (state.reason, state.covered, effects) == (Reason.GPU_FAULT, Reason.NONE, (ReplaceSelfWhenIdle(),))


def test_a_sticky_fault_that_comes_late_is_the_reason_from_then_on() -> None:
    slow, broken = Fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, 5.0), Fault(FaultClass.STICKY, Reason.GPU_LOST, 6.0)
    state, _ = after(Loaded(1.0), slow, broken)
    assert (state.reason, state.covered) == (Reason.GPU_LOST, Reason.NONE)
    state, _ = after(Loaded(1.0), HOT, broken)
    assert (state.reason, state.covered) == (Reason.GPU_OVERHEATING, Reason.GPU_LOST)


def test_an_accelerator_that_serves_again_has_no_reason_left() -> None:
    slow = Fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, 5.0)
    state, _ = after(Loaded(1.0), slow, HOT, WellAgain(), ProbeDue(), Loaded(20.0))
    assert (state.reason, state.covered) == (Reason.NONE, Reason.NONE)
