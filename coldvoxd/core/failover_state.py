"""Failover: on which rung utterances are recognized, when the accelerator is tried again, and what people are told.

    STARTING  the CPU answers, and the accelerator is being loaded
    ON_GPU    the accelerator answers
    ON_CPU    the CPU answers, because the accelerator failed; it will be probed
    PROBING   the CPU answers, and the accelerator is being tried with the golden clip
    ASLEEP    the machine is about to sleep or sleeps; the CPU answers what is left, and nothing is open on the accelerator
    SETTLED   the CPU answers, and nothing else is wanted or can be had in this process
    RESTING   nobody has dictated for long: the accelerator was let go of, and the next session wakes it

Theory of operation. A fault has a class, which says what may help: time (`transient`, `unhealthy`), a new process
(`sticky`: a CUDA context that saw an illegal access stays broken for the life of its process), or nothing (`absent`).
After a fault that time may heal the accelerator is probed with growing pauses, and an accelerator that comes back only
to fail again soon is not trusted with shorter ones: the pause starts again from the bottom only after `STABLE_S` of good
service. So it never flaps. A sleep of the machine takes a CUDA context's memory away, unless the driver was told to keep it:
a process that ever had one is replaced after the wake. Where the accelerator is watched (`Unwell`, `WellAgain`), nothing is
probed and no process is replaced while the watch says no. "GPU" stands for whatever accelerator the ladder begins with.

`step` is pure; times are the caller's seconds, chance is the caller's `jitter`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from coldvoxd.core.problems import Problem

FIRST_PROBE_PAUSE_S = 5.0
LONGEST_PROBE_PAUSE_S = 900.0
PROBE_PAUSE_GROWTH = 2.0
PROBE_PAUSE_JITTER = 0.2
"""Pauses vary by this share, so that programs which share a card don't all come back at once."""
STABLE_S = 300.0
"""Good service for so long forgets earlier faults."""


class Phase(StrEnum):
    STARTING = "STARTING"
    ON_GPU = "ON_GPU"
    ON_CPU = "ON_CPU"
    PROBING = "PROBING"
    ASLEEP = "ASLEEP"
    SETTLED = "SETTLED"
    RESTING = "RESTING"


class FaultClass(StrEnum):
    TRANSIENT = "transient"
    """Time may help: memory was short, a run took too long."""
    STICKY = "sticky"
    """Only a new process helps."""
    ABSENT = "absent"
    """There is no such accelerator, or its driver or libraries are missing."""
    UNHEALTHY = "unhealthy"
    """Its watch says no, or its answers are wrong."""


class Reason(StrEnum):
    """Why recognition is not where it should be: the problem codes of the accelerator."""

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
    """The machine sleeps or slept, and the accelerator has not been taken up again."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The accelerator is loaded, and the golden clip came out right on it."""

    now_s: float


@dataclass(frozen=True, slots=True)
class CpuWanted:
    """Nothing but the CPU was asked for, or this machine has nothing else."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The accelerator failed: at load, in a run, in a probe, or by its watch."""

    fault_class: FaultClass
    reason: Reason
    now_s: float
    jitter: float = 0.0
    """-1 to 1, by chance."""


@dataclass(frozen=True, slots=True)
class Unwell:
    """Its watch says no, until it says `WellAgain`."""

    fault_class: FaultClass
    reason: Reason
    now_s: float


@dataclass(frozen=True, slots=True)
class WellAgain:
    """Its watch has nothing against it any more."""

    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """The pause is over."""


@dataclass(frozen=True, slots=True)
class NobodyDictates:
    """For so long that the accelerator is to be let go of."""


@dataclass(frozen=True, slots=True)
class SomebodyDictates:
    """A session begins, or there is something else to recognize."""


@dataclass(frozen=True, slots=True)
class Suspending:
    """The machine is about to sleep."""


@dataclass(frozen=True, slots=True)
class Woken:
    """It woke up, or does not sleep after all."""

    stale: bool
    """Whether this process ever had a context on the accelerator that a sleep may have broken."""


Health = Unwell | WellAgain
Use = NobodyDictates | SomebodyDictates
Event = Loaded | CpuWanted | Fault | Health | ProbeDue | Use | Suspending | Woken


@dataclass(frozen=True, slots=True)
class UseGpu:
    pass


@dataclass(frozen=True, slots=True)
class UseCpu:
    pass


@dataclass(frozen=True, slots=True)
class RestGpu:
    """The accelerator is let go of though it is well; the CPU stays as it stands by."""


@dataclass(frozen=True, slots=True)
class DropGpu:
    """Let go of the accelerator's sessions: they are broken, or hold memory that others need."""

    at_once: bool = False
    """Before anything else."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Load the accelerator again and recognize the golden clip on it."""


@dataclass(frozen=True, slots=True)
class ProbeLater:
    pause_s: float


@dataclass(frozen=True, slots=True)
class ReplaceSelfWhenIdle:
    """Only a new process can use the accelerator again."""


Effect = UseGpu | UseCpu | RestGpu | DropGpu | Probe | ProbeLater | ReplaceSelfWhenIdle


@dataclass(frozen=True, slots=True)
class FailoverState:
    phase: Phase = Phase.STARTING
    reason: Reason = Reason.NONE
    faults: int = 0
    """Since the last calm."""
    on_gpu_since_s: float = 0.0
    sticky: bool = False
    """The accelerator is beyond use in this process."""
    held: bool = False
    """Its watch says no."""
    covered: Reason = Reason.NONE
    """While the watch says no: the reason from before, which holds beneath the watch's own."""


class UnexpectedEvent(RuntimeError):
    """An event that has no row in this phase."""


def probe_pause_s(faults: int, jitter: float) -> float:
    """How long the accelerator is left alone after so many faults: exponential, bounded, with jitter."""
    pause = min(LONGEST_PROBE_PAUSE_S, FIRST_PROBE_PAUSE_S * PROBE_PAUSE_GROWTH ** max(0, faults - 1))
    return pause * (1 + PROBE_PAUSE_JITTER * max(-1.0, min(1.0, jitter)))


def step(state: FailoverState, event: Event) -> tuple[FailoverState, tuple[Effect, ...]]:
    """The next state and what is to be done. Raises UnexpectedEvent, and changes nothing, where there is no row."""
    if isinstance(event, Suspending | Woken) or state.phase is Phase.ASLEEP:
        return _around_sleep(state, event)
    if isinstance(event, Unwell | WellAgain | NobodyDictates | SomebodyDictates):
        return _used(state, event) if isinstance(event, NobodyDictates | SomebodyDictates) else _watched(state, event)
    match state.phase, event:
        case Phase.STARTING | Phase.PROBING, Loaded(now_s):
            served = replace(state, phase=Phase.ON_GPU, reason=Reason.NONE, covered=Reason.NONE, on_gpu_since_s=now_s)
            return served, (UseGpu(),)
        case Phase.STARTING, CpuWanted():
            return replace(state, phase=Phase.SETTLED), (UseCpu(),)
        case Phase.ON_CPU, ProbeDue() if not state.held:
            return replace(state, phase=Phase.PROBING), (Probe(),)
        case Phase.ON_CPU | Phase.SETTLED | Phase.RESTING, ProbeDue():
            return state, ()  # its pause began before
        case Phase.ON_CPU | Phase.RESTING, Fault(FaultClass.STICKY, reason):
            # A late answer, and the worst news of all.
            settled = replace(state, phase=Phase.SETTLED, sticky=True)
            told = replace(settled, covered=reason) if state.held else replace(settled, reason=reason)
            return told, _renewal(state)
        case Phase.ON_CPU | Phase.SETTLED | Phase.RESTING, Fault():
            return state, ()  # a late answer of an attempt that was given up already
        case Phase.STARTING | Phase.ON_GPU | Phase.PROBING, Fault():
            return _fallen(state, event)
    raise UnexpectedEvent(f"{type(event).__name__} has no meaning while {state.phase}")


def _around_sleep(state: FailoverState, event: Event) -> tuple[FailoverState, tuple[Effect, ...]]:
    match state.phase, event:
        case Phase.ASLEEP, Woken(stale=True):
            stale = replace(state, phase=Phase.SETTLED, reason=Reason.SLEEP, sticky=True)
            return stale, (UseCpu(), *_renewal(state))
        case Phase.ASLEEP, Woken() if state.held:
            return replace(state, phase=Phase.ON_CPU), (UseCpu(),)
        case Phase.ASLEEP, Woken():
            return replace(state, phase=Phase.PROBING), (Probe(),)
        case Phase.ASLEEP | Phase.SETTLED, Suspending():
            return state, ()
        case _, Suspending():
            asleep = replace(state, phase=Phase.ASLEEP, reason=state.reason or Reason.SLEEP)
            return asleep, (UseCpu(), DropGpu(at_once=True))
        case _, Woken():
            return state, ()  # before anything was let go of
        case _, Unwell(_, reason):
            return replace(state, reason=reason, held=True), ()
        case _, WellAgain():
            return replace(state, held=False), ()
        case _, Fault() | ProbeDue() | NobodyDictates() | SomebodyDictates():
            return state, ()  # of what had begun before, or too late
    raise UnexpectedEvent(f"{type(event).__name__} has no meaning while {state.phase}")


def _fallen(state: FailoverState, fault: Fault) -> tuple[FailoverState, tuple[Effect, ...]]:
    calm = state.phase is Phase.ON_GPU and fault.now_s - state.on_gpu_since_s >= STABLE_S
    faults = 1 if calm else state.faults + 1
    fallen = replace(state, phase=Phase.ON_CPU, reason=fault.reason, faults=faults)
    down: tuple[Effect, ...] = (UseCpu(), DropGpu())
    match fault.fault_class:
        case FaultClass.STICKY:
            return replace(fallen, phase=Phase.SETTLED, sticky=True), (*down, ReplaceSelfWhenIdle())
        case FaultClass.ABSENT:
            return replace(fallen, phase=Phase.SETTLED), down
        case FaultClass.TRANSIENT | FaultClass.UNHEALTHY:
            return fallen, (*down, ProbeLater(probe_pause_s(faults, fault.jitter)))


def _watched(state: FailoverState, event: Unwell | WellAgain) -> tuple[FailoverState, tuple[Effect, ...]]:
    match event:
        case Unwell() if state.phase is Phase.SETTLED and not state.sticky and state.reason is Reason.NONE:
            return state, ()  # nobody wants the accelerator
        case Unwell():
            return _unwell(state, event)
        case WellAgain() if not state.held:
            return state, ()
        case WellAgain() if state.sticky:
            return _uncovered(state), (ReplaceSelfWhenIdle(),)
        case WellAgain(jitter):
            probed = replace(_uncovered(state), phase=Phase.ON_CPU)
            return probed, (ProbeLater(probe_pause_s(max(1, state.faults), jitter)),)


def _unwell(state: FailoverState, event: Unwell) -> tuple[FailoverState, tuple[Effect, ...]]:
    calm = state.phase is Phase.ON_GPU and event.now_s - state.on_gpu_since_s >= STABLE_S
    in_use = state.phase in {Phase.STARTING, Phase.ON_GPU, Phase.PROBING}
    faults = (1 if calm else state.faults + 1) if in_use else state.faults
    sticky = state.sticky or event.fault_class is FaultClass.STICKY
    phase = Phase.SETTLED if sticky else Phase.ON_CPU
    covered = state.covered if state.held else state.reason
    told = replace(state, phase=phase, reason=event.reason, faults=faults, sticky=sticky, held=True, covered=covered)
    return told, (UseCpu(), DropGpu()) if in_use else (UseCpu(),)


def _uncovered(state: FailoverState) -> FailoverState:
    """The watch has nothing against the accelerator any more, which is not in use for all that."""
    return replace(state, held=False, reason=state.covered or state.reason, covered=Reason.NONE)


def _used(state: FailoverState, event: NobodyDictates | SomebodyDictates) -> tuple[FailoverState, tuple[Effect, ...]]:
    match state.phase, event:
        case Phase.STARTING | Phase.ON_GPU, NobodyDictates():
            return replace(state, phase=Phase.RESTING), (RestGpu(), DropGpu())
        case Phase.RESTING, SomebodyDictates():
            return replace(state, phase=Phase.PROBING), (UseCpu(), Probe())
    return state, ()


def _renewal(state: FailoverState) -> tuple[Effect, ...]:
    """A new process is of no use while the watch says no."""
    return () if state.held else (ReplaceSelfWhenIdle(),)
