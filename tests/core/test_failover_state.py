"""Where utterances are recognized, after sequences of events."""

from dataclasses import replace

import pytest

from coldvoxd.core.failover_state import (
    FIRST_PROBE_PAUSE_S,
    LONGEST_PROBE_PAUSE_S,
    STABLE_S,
    CloseAccelerator,
    CpuWanted,
    Event,
    FailoverState,
    Fault,
    FaultClass,
    GpuHealthy,
    GpuUnhealthy,
    IdleTimeout,
    Loaded,
    Phase,
    Probe,
    ProbeDue,
    ProbeLater,
    Reason,
    RecognitionNeeded,
    ReleaseAccelerator,
    ReplaceProcessWhenIdle,
    Resumed,
    Suspending,
    UnexpectedEvent,
    UseAccelerator,
    UseCpu,
    probe_pause_s,
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
    assert (state.phase, state.reason, effects) == (Phase.ON_ACCELERATOR, Reason.NONE, (UseAccelerator(),))


def test_a_machine_that_wants_the_cpu_is_healthy_on_it() -> None:
    state, effects = after(CpuWanted())
    assert (state.phase, state.reason, effects) == (Phase.CPU_ONLY, Reason.NONE, (UseCpu(),))


def test_a_transient_fault_goes_down_at_once_and_is_probed_later() -> None:
    state, effects = after(Loaded(0.0), transient())
    assert (state.phase, state.reason) == (Phase.ON_CPU, Reason.GPU_OUT_OF_MEMORY)
    assert effects == (UseCpu(), CloseAccelerator(), ProbeLater(FIRST_PROBE_PAUSE_S))
    assert after(Loaded(0.0), transient(), ProbeDue())[1] == (Probe(),)


def test_a_probe_that_passes_comes_back_and_clears_the_reason() -> None:
    state, effects = after(Loaded(0.0), transient(), ProbeDue(), Loaded(20.0))
    assert (state.phase, state.reason, effects) == (Phase.ON_ACCELERATOR, Reason.NONE, (UseAccelerator(),))


def test_pauses_grow_with_every_fault_and_an_early_relapse_does_not_shorten_them() -> None:
    state = FailoverState()
    pauses = []
    now_s = 0.0
    for _ in range(12):
        state, _ = step(state, Loaded(now_s))
        now_s += STABLE_S / 10
        state, effects = step(state, transient(now_s))
        pauses += [effect.pause_s for effect in effects if isinstance(effect, ProbeLater)]
        state, _ = step(state, ProbeDue())
    assert pauses == sorted(pauses)
    assert pauses[1] == 2 * FIRST_PROBE_PAUSE_S
    assert pauses[-1] == LONGEST_PROBE_PAUSE_S


def test_good_service_for_long_forgets_earlier_faults() -> None:
    state, _ = after(Loaded(0.0), transient(1.0), ProbeDue(), Loaded(10.0), transient(11.0), ProbeDue(), Loaded(40.0))
    assert state.faults == 2
    state, effects = step(state, transient(40.0 + STABLE_S))
    assert ProbeLater(FIRST_PROBE_PAUSE_S) in effects


def test_jitter_varies_a_pause_and_never_reverses_it() -> None:
    assert probe_pause_s(3, -1) < probe_pause_s(3, 0) < probe_pause_s(3, 1)
    assert probe_pause_s(3, -99) == probe_pause_s(3, -1) > 0


def test_a_sticky_fault_settles_on_the_cpu_and_asks_for_a_new_process() -> None:
    state, effects = after(Loaded(0.0), Fault(FaultClass.STICKY, Reason.GPU_FAULT, 5.0))
    assert (state.phase, state.sticky) == (Phase.CPU_ONLY, True)
    assert effects == (UseCpu(), CloseAccelerator(), ReplaceProcessWhenIdle())


def test_an_absent_accelerator_settles_without_probes() -> None:
    state, effects = after(Fault(FaultClass.ABSENT, Reason.NO_GPU, 0.0))
    assert (state.phase, state.reason, effects) == (Phase.CPU_ONLY, Reason.NO_GPU, (UseCpu(), CloseAccelerator()))


@pytest.mark.parametrize("before", [(Loaded(0.0), transient()), (CpuWanted(),)])
def test_a_late_fault_of_an_attempt_that_was_given_up_changes_nothing(before: tuple[Event, ...]) -> None:
    state, _ = after(*before)
    assert step(state, transient(99.0)) == (state, ())


def test_an_event_without_a_row_raises() -> None:
    with pytest.raises(UnexpectedEvent):
        after(Loaded(0.0), ProbeDue())


def test_late_news_that_the_accelerator_is_beyond_use_ends_the_probing() -> None:
    sticky = Fault(FaultClass.STICKY, Reason.GPU_FAULT, 11.0)
    state, effects = after(Loaded(0.0), transient(), sticky)
    assert (state.phase, state.sticky, effects) == (Phase.CPU_ONLY, True, (ReplaceProcessWhenIdle(),))
    assert after(Loaded(0.0), transient(), sticky, ProbeDue())[1] == ()


HOT = GpuUnhealthy(FaultClass.UNHEALTHY, Reason.GPU_OVERHEATING, 10.0)
LOST = GpuUnhealthy(FaultClass.STICKY, Reason.GPU_LOST, 10.0)


def test_what_the_watch_says_goes_down_at_once_and_holds_every_probe() -> None:
    state, effects = after(Loaded(0.0), HOT)
    assert (state.phase, state.reason, effects) == (
        Phase.ON_CPU,
        Reason.GPU_OVERHEATING,
        (UseCpu(), CloseAccelerator()),
    )
    assert step(state, ProbeDue()) == (state, ())


def test_once_the_watch_has_nothing_against_it_the_accelerator_is_probed_after_the_usual_pause() -> None:
    state, effects = after(Loaded(0.0), HOT, GpuHealthy())
    assert (state.phase, effects) == (Phase.ON_CPU, (ProbeLater(FIRST_PROBE_PAUSE_S),))
    state, effects = after(Loaded(0.0), HOT, GpuHealthy(), ProbeDue())
    assert (state.phase, effects) == (Phase.PROBING, (Probe(),))


def test_a_watch_that_changes_its_mind_often_is_trusted_with_longer_pauses_only() -> None:
    state, pauses = FailoverState(), []
    for number in range(12):
        state, _ = step(state, Loaded(20.0 * number))
        state, _ = step(state, replace(HOT, now_s=20.0 * number + 10.0))
        state, effects = step(state, GpuHealthy())
        pauses += [effect.pause_s for effect in effects if isinstance(effect, ProbeLater)]
        state, _ = step(state, ProbeDue())
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PROBE_PAUSE_S


def test_a_watch_that_says_no_while_the_cpu_serves_already_is_told_and_holds_the_probe() -> None:
    state, effects = after(Loaded(0.0), transient(), HOT)
    assert (state.reason, state.gpu_unhealthy, effects) == (Reason.GPU_OVERHEATING, True, (UseCpu(),))
    assert after(Loaded(0.0), transient(), HOT, ProbeDue())[1] == ()


def test_a_lost_card_takes_a_new_process_but_not_before_it_has_come_back() -> None:
    state, effects = after(Loaded(0.0), LOST)
    assert (state.phase, state.sticky, effects) == (Phase.CPU_ONLY, True, (UseCpu(), CloseAccelerator()))
    state, effects = after(Loaded(0.0), LOST, GpuHealthy())
    assert (state.sticky, state.gpu_unhealthy, effects) == (True, False, (ReplaceProcessWhenIdle(),))
    struck = Fault(FaultClass.STICKY, Reason.GPU_LOST, 9.0)
    state, effects = after(Loaded(0.0), struck, LOST)
    assert (state.sticky, state.gpu_unhealthy, effects) == (True, True, (UseCpu(),))


def test_a_late_sticky_fault_while_the_watch_says_no_waits_for_it_too() -> None:
    sticky = Fault(FaultClass.STICKY, Reason.GPU_FAULT, 11.0)
    state, effects = after(Loaded(0.0), HOT, sticky)
    assert (state.phase, state.sticky, effects) == (Phase.CPU_ONLY, True, ())
    assert after(Loaded(0.0), HOT, sticky, GpuHealthy())[1] == (ReplaceProcessWhenIdle(),)


def test_an_absent_accelerator_is_tried_once_the_watch_sees_it_come() -> None:
    absent = Fault(FaultClass.ABSENT, Reason.NO_GPU, 0.0)
    gone = GpuUnhealthy(FaultClass.UNHEALTHY, Reason.NO_GPU, 1.0)
    state, effects = after(absent, gone, GpuHealthy())
    assert (state.phase, effects) == (Phase.ON_CPU, (ProbeLater(FIRST_PROBE_PAUSE_S),))


def test_what_the_watch_says_is_nothing_to_those_who_want_the_cpu_or_are_told_nothing_new() -> None:
    state, _ = after(CpuWanted())
    assert step(state, HOT) == (state, ())
    assert step(state, GpuHealthy()) == (state, ())
    state, _ = after(Loaded(0.0))
    assert step(state, GpuHealthy()) == (state, ())


def test_an_accelerator_that_nobody_needs_rests_until_somebody_dictates() -> None:
    state, effects = after(Loaded(0.0), IdleTimeout())
    assert (state.phase, state.reason, effects) == (
        Phase.RELEASED,
        Reason.NONE,
        (ReleaseAccelerator(), CloseAccelerator()),
    )
    assert step(state, IdleTimeout()) == (state, ())
    state, effects = step(state, RecognitionNeeded())
    assert (state.phase, effects) == (Phase.PROBING, (UseCpu(), Probe()))
    state, effects = step(state, Loaded(50.0))
    assert (state.phase, effects) == (Phase.ON_ACCELERATOR, (UseAccelerator(),))


def test_only_an_accelerator_that_serves_or_was_not_tried_yet_is_put_to_rest() -> None:
    for events in [(CpuWanted(),), (Loaded(0.0), transient()), (Loaded(0.0), transient(), ProbeDue())]:
        state, _ = after(*events)
        assert step(state, IdleTimeout()) == (state, ())
    assert after(IdleTimeout())[0].phase is Phase.RELEASED
    state, _ = after(Loaded(0.0))
    assert step(state, RecognitionNeeded()) == (state, ())


def test_late_news_of_an_accelerator_at_rest_count_only_where_it_is_beyond_use() -> None:
    state, _ = after(Loaded(0.0), IdleTimeout())
    assert step(state, transient()) == (state, ())
    assert step(state, ProbeDue()) == (state, ())
    state, effects = step(state, Fault(FaultClass.STICKY, Reason.GPU_FAULT, 11.0))
    assert (state.phase, effects) == (Phase.CPU_ONLY, (ReplaceProcessWhenIdle(),))


IN_USE = ((), (Loaded(0.0),), (Loaded(0.0), transient()), (Loaded(0.0), transient(), ProbeDue()))
"""Events that lead to the phases starting, serving, failed over and probing."""


@pytest.mark.parametrize("before", IN_USE)
def test_before_a_sleep_the_accelerator_is_let_go_of_at_once(before: tuple[Event, ...]) -> None:
    state, effects = after(*before, Suspending())
    assert (state.phase, effects) == (Phase.SUSPENDED, (UseCpu(), CloseAccelerator(at_once=True)))
    assert state.reason in {Reason.SLEEP, Reason.GPU_OUT_OF_MEMORY}


@pytest.mark.parametrize("before", IN_USE)
def test_after_a_sleep_a_context_that_may_be_broken_takes_a_new_process(before: tuple[Event, ...]) -> None:
    state, effects = after(*before, Suspending(), Resumed(stale=True))
    assert (state.phase, state.sticky, state.reason) == (Phase.CPU_ONLY, True, Reason.SLEEP)
    assert effects == (UseCpu(), ReplaceProcessWhenIdle())


@pytest.mark.parametrize("before", IN_USE)
def test_after_a_sleep_an_accelerator_without_a_context_is_probed(before: tuple[Event, ...]) -> None:
    state, effects = after(*before, Suspending(), Resumed(stale=False))
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
    assert step(settled, Suspending()) == step(settled, Resumed(stale=False)) == (settled, ())
    serving, _ = after(Loaded(0.0))
    assert step(serving, Resumed(stale=True)) == (serving, ())


def test_what_the_watch_says_around_a_sleep_counts_after_it() -> None:
    state, effects = after(Loaded(0.0), Suspending(), HOT, Resumed(stale=False))
    assert (state.phase, state.gpu_unhealthy, effects) == (Phase.ON_CPU, True, (UseCpu(),))
    assert after(Loaded(0.0), HOT, Suspending(), Resumed(stale=True))[1] == (UseCpu(),)
    assert after(Loaded(0.0), HOT, Suspending(), GpuHealthy(), Resumed(stale=False))[1] == (Probe(),)


def test_a_fault_holds_beneath_what_the_watch_says_and_is_the_reason_again_after_it() -> None:
    broken = Fault(FaultClass.STICKY, Reason.GPU_FAULT, 5.0)
    cause = GpuUnhealthy(FaultClass.UNHEALTHY, Reason.GPU_OUT_OF_MEMORY, 11.0)
    state, _ = after(Loaded(1.0), broken, HOT)
    assert (state.reason, state.covered) == (Reason.GPU_OVERHEATING, Reason.GPU_FAULT)
    state, _ = after(Loaded(1.0), broken, HOT, cause)
    assert (state.reason, state.covered) == (Reason.GPU_OUT_OF_MEMORY, Reason.GPU_FAULT)
    state, effects = after(Loaded(1.0), broken, HOT, cause, GpuHealthy())
    assert (state.reason, state.covered, effects) == (Reason.GPU_FAULT, Reason.NONE, (ReplaceProcessWhenIdle(),))


def test_a_sticky_fault_that_comes_late_is_the_reason_from_then_on() -> None:
    slow, broken = Fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, 5.0), Fault(FaultClass.STICKY, Reason.GPU_LOST, 6.0)
    state, _ = after(Loaded(1.0), slow, broken)
    assert (state.reason, state.covered) == (Reason.GPU_LOST, Reason.NONE)
    state, _ = after(Loaded(1.0), HOT, broken)
    assert (state.reason, state.covered) == (Reason.GPU_OVERHEATING, Reason.GPU_LOST)


def test_an_accelerator_that_serves_again_has_no_reason_left() -> None:
    slow = Fault(FaultClass.TRANSIENT, Reason.GPU_TIMEOUT, 5.0)
    state, _ = after(Loaded(1.0), slow, HOT, GpuHealthy(), ProbeDue(), Loaded(20.0))
    assert (state.reason, state.covered) == (Reason.NONE, Reason.NONE)
