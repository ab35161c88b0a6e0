"""The failover table: where utterances are recognized, when the accelerator is probed, and what is published.

    STARTING        the CPU recognizes, and the accelerator is loading
    ON_ACCELERATOR  the accelerator recognizes
    ON_CPU          the CPU recognizes, because the accelerator failed; it will be probed
    PROBING         the CPU recognizes, and the accelerator is being probed with the golden clip
    SUSPENDED       the system is about to suspend, or is suspended; the CPU recognizes what is left, and the
                    accelerator is closed
    CPU_ONLY        the CPU recognizes, because nothing else is wanted or usable in this process
    RELEASED        no session for `idle_release_s`: the accelerator is closed, and loaded again for the next session

Theory of operation. The class of a fault says what may help: time (`transient`, `unhealthy`), a new process (`sticky`:
a CUDA context that had an illegal access stays broken for the life of its process), or nothing (`absent`). After a
fault that time may clear, the accelerator is probed with growing pauses. The pauses start over only after `STABLE_S`
seconds of service: an accelerator that fails again soon after it came back does not get shorter ones, so that
recognition does not flap between the two. A suspend of the system can discard a CUDA context's memory, unless the
driver is configured to keep it, so a process that ever had a context is replaced after a suspend. While the GPU monitor
reports `GpuUnhealthy`, the accelerator is not probed and the process is not replaced.

`step` is pure; times are seconds of the caller's clock, and randomness is the caller's `jitter`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from coldvoxd.core.problems import Problem

FIRST_PROBE_PAUSE_S = 5.0
LONGEST_PROBE_PAUSE_S = 900.0
PROBE_PAUSE_GROWTH = 2.0
PROBE_PAUSE_JITTER = 0.2
"""Pauses vary by this fraction, so that programs that share a GPU do not all return to it at the same time."""
STABLE_S = 300.0
"""Seconds of service without a fault after which earlier faults are forgotten."""


class Phase(StrEnum):
    STARTING = "STARTING"
    ON_ACCELERATOR = "ON_ACCELERATOR"
    ON_CPU = "ON_CPU"
    PROBING = "PROBING"
    SUSPENDED = "SUSPENDED"
    CPU_ONLY = "CPU_ONLY"
    RELEASED = "RELEASED"


class FaultClass(StrEnum):
    TRANSIENT = "transient"
    """Time may help: too little memory was free, or a run took too long."""
    STICKY = "sticky"
    """Only a new process helps."""
    ABSENT = "absent"
    """There is no such accelerator, or its driver or libraries are missing."""
    UNHEALTHY = "unhealthy"
    """The GPU monitor forbids its use, or its results are wrong."""


class Reason(StrEnum):
    """Why the accelerator is not in use: its problem codes."""

    NONE = ""
    NO_GPU = Problem.NO_GPU.value
    GPU_LOST = Problem.GPU_LOST.value
    GPU_OUT_OF_MEMORY = Problem.GPU_OUT_OF_MEMORY.value
    GPU_TIMEOUT = Problem.GPU_TIMEOUT.value
    GPU_WRONG_OUTPUT = Problem.GPU_WRONG_OUTPUT.value
    GPU_FAULT = Problem.GPU_FAULT.value
    GPU_OVERHEATING = Problem.GPU_OVERHEATING.value
    GPU_MEMORY_ERRORS = Problem.GPU_MEMORY_ERRORS.value
    DRIVER_MISMATCH = Problem.DRIVER_MISMATCH.value
    SLEEP = Problem.SLEEP.value
    """The system is or was suspended, and the accelerator is not in use again yet."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The accelerator is loaded, and passed its probe."""

    now_s: float


@dataclass(frozen=True, slots=True)
class CpuWanted:
    """The settings ask for the CPU alone, this machine has no accelerator, or `auto` found none that is faster."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The accelerator failed: at load, in a run, in a probe, or by an event of the GPU."""

    fault_class: FaultClass
    reason: Reason
    now_s: float
    jitter: float = 0.0
    """Random, -1 to 1."""


@dataclass(frozen=True, slots=True)
class GpuUnhealthy:
    """The GPU monitor forbids the accelerator's use, until `GpuHealthy`."""

    fault_class: FaultClass
    reason: Reason
    now_s: float


@dataclass(frozen=True, slots=True)
class GpuHealthy:
    """The GPU may be used again."""

    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """The pause before a probe is over."""


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """No session for `idle_release_s`: release the accelerator."""


@dataclass(frozen=True, slots=True)
class RecognitionNeeded:
    """A session begins, or something else is to be recognized."""


@dataclass(frozen=True, slots=True)
class Suspending:
    """The system is about to suspend."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The system resumed, or did not suspend after all."""

    stale: bool
    """Whether this process has a context on the accelerator that the suspend may have broken."""


GpuCondition = GpuUnhealthy | GpuHealthy
Demand = IdleTimeout | RecognitionNeeded
Event = Loaded | CpuWanted | Fault | GpuCondition | ProbeDue | Demand | Suspending | Resumed


@dataclass(frozen=True, slots=True)
class UseAccelerator:
    pass


@dataclass(frozen=True, slots=True)
class UseCpu:
    pass


@dataclass(frozen=True, slots=True)
class ReleaseAccelerator:
    """The CPU recognizes although the accelerator has no fault; the CPU's standby state stays as it is."""


@dataclass(frozen=True, slots=True)
class CloseAccelerator:
    """Close the accelerator's sessions: they are broken, or hold memory that other programs need."""

    at_once: bool = False
    """Whether to close without waiting until the CPU recognizes."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Load the accelerator and recognize the golden clip on it."""


@dataclass(frozen=True, slots=True)
class ProbeLater:
    pause_s: float


@dataclass(frozen=True, slots=True)
class ReplaceProcessWhenIdle:
    """Replace this process once it is idle: only a new one can use the accelerator again."""


Effect = UseAccelerator | UseCpu | ReleaseAccelerator | CloseAccelerator | Probe | ProbeLater | ReplaceProcessWhenIdle


@dataclass(frozen=True, slots=True)
class FailoverState:
    phase: Phase = Phase.STARTING
    reason: Reason = Reason.NONE
    faults: int = 0
    """Number of consecutive faults, without `STABLE_S` seconds of service in between."""
    on_accelerator_since_s: float = 0.0
    sticky: bool = False
    """Whether this process cannot use the accelerator any more."""
    gpu_unhealthy: bool = False
    """Whether the GPU monitor forbids the accelerator's use."""
    covered: Reason = Reason.NONE
    """While the GPU is unhealthy: the accelerator's own reason, which also holds."""


class UnexpectedEvent(RuntimeError):
    """An event that the table does not allow in this phase."""


def probe_pause_s(faults: int, jitter: float) -> float:
    """Return the seconds before the next probe after `faults` consecutive faults: exponential, bounded, with jitter."""
    pause = min(LONGEST_PROBE_PAUSE_S, FIRST_PROBE_PAUSE_S * PROBE_PAUSE_GROWTH ** max(0, faults - 1))
    return pause * (1 + PROBE_PAUSE_JITTER * max(-1.0, min(1.0, jitter)))


def step(state: FailoverState, event: Event) -> tuple[FailoverState, tuple[Effect, ...]]:
    """Return the next state and the effects to carry out in order. Raises UnexpectedEvent if the event has no row."""
    if isinstance(event, Suspending | Resumed) or state.phase is Phase.SUSPENDED:
        return _around_suspend(state, event)
    if isinstance(event, GpuCondition):
        return _gpu_condition_changed(state, event)
    if isinstance(event, Demand):
        return _demand_changed(state, event)
    match state.phase, event:
        case Phase.STARTING | Phase.PROBING, Loaded(now_s):
            in_use = replace(
                state, phase=Phase.ON_ACCELERATOR, reason=Reason.NONE, covered=Reason.NONE, on_accelerator_since_s=now_s
            )
            return in_use, (UseAccelerator(),)
        case Phase.STARTING | Phase.PROBING, CpuWanted():
            return replace(state, phase=Phase.CPU_ONLY, reason=Reason.NONE, covered=Reason.NONE), (UseCpu(),)
        case Phase.ON_CPU, ProbeDue() if not state.gpu_unhealthy:
            return replace(state, phase=Phase.PROBING), (Probe(),)
        case Phase.ON_CPU | Phase.CPU_ONLY | Phase.RELEASED, ProbeDue():
            return state, ()  # the pause began in another phase
        case Phase.ON_CPU | Phase.CPU_ONLY | Phase.RELEASED, Fault():
            return _failed_late(state, event)
        case Phase.STARTING | Phase.ON_ACCELERATOR | Phase.PROBING, Fault():
            return _failed(state, event)
    raise UnexpectedEvent(f"{type(event).__name__} has no meaning while {state.phase}")


def _around_suspend(state: FailoverState, event: Event) -> tuple[FailoverState, tuple[Effect, ...]]:
    match state.phase, event:
        case Phase.SUSPENDED, Resumed(stale=True):
            stale = replace(state, phase=Phase.CPU_ONLY, reason=Reason.SLEEP, sticky=True)
            return stale, (UseCpu(),) if state.gpu_unhealthy else (UseCpu(), ReplaceProcessWhenIdle())
        case Phase.SUSPENDED, Resumed() if state.gpu_unhealthy:
            return replace(state, phase=Phase.ON_CPU), (UseCpu(),)
        case Phase.SUSPENDED, Resumed():
            return replace(state, phase=Phase.PROBING), (Probe(),)
        case Phase.SUSPENDED | Phase.CPU_ONLY, Suspending():
            return state, ()
        case _, Suspending():
            suspended = replace(state, phase=Phase.SUSPENDED, reason=state.reason or Reason.SLEEP)
            return suspended, (UseCpu(), CloseAccelerator(at_once=True))
        case _, Resumed():
            return state, ()  # the system had not begun to suspend
        case _, GpuUnhealthy(_, reason):
            return replace(state, reason=reason, gpu_unhealthy=True), ()
        case _, GpuHealthy():
            return replace(state, gpu_unhealthy=False), ()
        case _, Fault() | ProbeDue() | IdleTimeout() | RecognitionNeeded():
            return state, ()  # belongs to something that began earlier, or comes too late to matter
    raise UnexpectedEvent(f"{type(event).__name__} has no meaning while {state.phase}")


def _failed(state: FailoverState, fault: Fault) -> tuple[FailoverState, tuple[Effect, ...]]:
    stable = state.phase is Phase.ON_ACCELERATOR and fault.now_s - state.on_accelerator_since_s >= STABLE_S
    faults = 1 if stable else state.faults + 1
    failed = replace(state, phase=Phase.ON_CPU, reason=fault.reason, faults=faults)
    down: tuple[Effect, ...] = (UseCpu(), CloseAccelerator())
    match fault.fault_class:
        case FaultClass.STICKY:
            return replace(failed, phase=Phase.CPU_ONLY, sticky=True), (*down, ReplaceProcessWhenIdle())
        case FaultClass.ABSENT:
            return replace(failed, phase=Phase.CPU_ONLY), down
        case FaultClass.TRANSIENT | FaultClass.UNHEALTHY:
            return failed, (*down, ProbeLater(probe_pause_s(faults, fault.jitter)))


def _failed_late(state: FailoverState, fault: Fault) -> tuple[FailoverState, tuple[Effect, ...]]:
    """Handle the fault of a run that was abandoned earlier. It counts only if it broke the accelerator's context."""
    if state.phase is Phase.CPU_ONLY or fault.fault_class is not FaultClass.STICKY:
        return state, ()
    given_up = replace(state, phase=Phase.CPU_ONLY, sticky=True)
    if state.gpu_unhealthy:
        return replace(given_up, covered=fault.reason), ()
    return replace(given_up, reason=fault.reason), (ReplaceProcessWhenIdle(),)


def _gpu_condition_changed(state: FailoverState, event: GpuCondition) -> tuple[FailoverState, tuple[Effect, ...]]:
    match event:
        case GpuUnhealthy() if state.phase is Phase.CPU_ONLY and not state.sticky and state.reason is Reason.NONE:
            return state, ()  # there is no accelerator to protect
        case GpuUnhealthy():
            return _gpu_unhealthy(state, event)
        case GpuHealthy() if not state.gpu_unhealthy:
            return state, ()
        case GpuHealthy() if state.sticky:
            return _uncovered(state), (ReplaceProcessWhenIdle(),)
        case GpuHealthy(jitter):
            probed = replace(_uncovered(state), phase=Phase.ON_CPU)
            return probed, (ProbeLater(probe_pause_s(max(1, state.faults), jitter)),)


def _gpu_unhealthy(state: FailoverState, event: GpuUnhealthy) -> tuple[FailoverState, tuple[Effect, ...]]:
    stable = state.phase is Phase.ON_ACCELERATOR and event.now_s - state.on_accelerator_since_s >= STABLE_S
    in_use = state.phase in {Phase.STARTING, Phase.ON_ACCELERATOR, Phase.PROBING}
    faults = (1 if stable else state.faults + 1) if in_use else state.faults
    sticky = state.sticky or event.fault_class is FaultClass.STICKY
    phase = Phase.CPU_ONLY if sticky else Phase.ON_CPU
    covered = state.covered if state.gpu_unhealthy else state.reason
    changed = replace(
        state, phase=phase, reason=event.reason, faults=faults, sticky=sticky, gpu_unhealthy=True, covered=covered
    )
    return changed, (UseCpu(), CloseAccelerator()) if in_use else (UseCpu(),)


def _uncovered(state: FailoverState) -> FailoverState:
    """Restore the accelerator's own reason, if it had one, once the GPU is healthy. It is not in use yet."""
    return replace(state, gpu_unhealthy=False, reason=state.covered or state.reason, covered=Reason.NONE)


def _demand_changed(state: FailoverState, event: Demand) -> tuple[FailoverState, tuple[Effect, ...]]:
    match state.phase, event:
        case Phase.STARTING | Phase.ON_ACCELERATOR, IdleTimeout():
            return replace(state, phase=Phase.RELEASED), (ReleaseAccelerator(), CloseAccelerator())
        case Phase.RELEASED, RecognitionNeeded():
            return replace(state, phase=Phase.PROBING), (UseCpu(), Probe())
    return state, ()
