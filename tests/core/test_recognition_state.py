"""What the recognition state says about the accelerator."""

import pytest

from coldvoxd.core.failover_state import FailoverState, Phase, Reason
from coldvoxd.core.recognition_state import RecognitionState
from coldvoxd.core.values import EngineStatus


def in_phase(phase: Phase, reason: Reason = Reason.NONE, **changed: bool) -> RecognitionState:
    return RecognitionState(EngineStatus(degraded=reason.value), "cuda", FailoverState(phase, reason), **changed)


@pytest.mark.parametrize("phase", Phase)
def test_the_accelerator_is_in_use_or_released_in_one_phase_each(phase: Phase) -> None:
    state = in_phase(phase)
    assert state.on_accelerator is (phase is Phase.ON_ACCELERATOR)
    assert state.accelerator_released is (phase is Phase.RELEASED)


@pytest.mark.parametrize(
    ("phase", "reason", "told"),
    [
        (Phase.ON_ACCELERATOR, Reason.NONE, "accelerator-ready"),
        (Phase.RELEASED, Reason.NONE, "idle"),
        (Phase.ON_CPU, Reason.GPU_TIMEOUT, "gpu-timeout"),
        (Phase.SUSPENDED, Reason.SLEEP, "sleep"),
    ],
)
def test_the_reason_of_a_change_is_a_problem_where_there_is_one(phase: Phase, reason: Reason, told: str) -> None:
    assert in_phase(phase, reason).change_reason == told


def test_a_new_process_is_of_no_use_while_the_watch_forbids_the_gpu() -> None:
    assert in_phase(Phase.CPU_ONLY, accelerator_unusable=True).wants_new_process
    gpu_unhealthy = FailoverState(Phase.CPU_ONLY, gpu_unhealthy=True)
    assert not RecognitionState(EngineStatus(), "cuda", gpu_unhealthy, accelerator_unusable=True).wants_new_process
    assert not in_phase(Phase.CPU_ONLY).wants_new_process


def test_only_a_suspend_counts_as_one() -> None:
    assert in_phase(Phase.CPU_ONLY, Reason.SLEEP).degraded_by_suspend
    assert not in_phase(Phase.CPU_ONLY, Reason.GPU_LOST).degraded_by_suspend
