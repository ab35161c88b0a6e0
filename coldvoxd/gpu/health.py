"""The GPU's health: decides from the driver's reports whether recognition should run on the GPU, without flapping.

Theory of operation. Looks at the GPU (`Looked`) arrive every few seconds and right before a run; Xid events (`XidSeen`)
arrive when they occur. A problem is either a *condition*, which lasts until a look shows otherwise (lost, hung, out of
memory, too hot, driver and library that do not match), or a *stroke*, an event (an uncorrectable memory error, an Xid
that kills the running work) after which only a new process can use the GPU again. A condition starts at one threshold
and ends at a better one, and only after `well_after_s` seconds without any condition, which prevents flapping. The worst
condition is reported.

`step` is pure; times are the caller's seconds.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.settings import GpuSettings
from coldvoxd.gpu.xids import XidKind, meaning

MIB = 1 << 20
NEEDED_BYTES = 2048 * MIB
"""Memory assumed to be needed for a return to the GPU if the driver never reported our use."""
SUSPICION_S = 30.0
"""Seconds for which an Xid of a program makes a failed run of ours more severe."""


class Trouble(StrEnum):
    """What the driver returns instead of values."""

    NO_DRIVER = "no-driver"
    """The driver is not loaded, or has no device."""
    MISMATCH = "mismatch"
    """The versions of its library and of the kernel module differ."""
    LOST = "lost"
    """The GPU has fallen off the bus, or is inaccessible."""
    RESET = "reset"
    """The GPU must be reset before it can be used."""
    HUNG = "hung"
    """The driver does not respond in time."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at the GPU. None for values that the driver or the GPU does not report."""

    trouble: Trouble | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None
    own_bytes: int | None = None
    """GPU memory in bytes that this process holds."""
    temperature_c: int | None = None
    slowdown_c: int | None = None
    """Temperature from which the GPU throttles."""
    braked: bool = False
    """The hardware throttles (thermal or power)."""
    slowed: bool = False
    """The driver throttles (thermal)."""
    uncorrected: int | None = None
    """Uncorrected memory errors since the driver was loaded."""
    library_replaced: bool = False
    """The driver's library on disk is not the loaded one: the driver was upgraded."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The problem, for the failover table and for people."""

    fault_class: FaultClass
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Looked:
    sight: Sight
    now_s: float


@dataclass(frozen=True, slots=True)
class XidSeen:
    number: int
    now_s: float


Event = Looked | XidSeen


@dataclass(frozen=True, slots=True)
class Unwell:
    """There is a condition, or its cause has changed."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class WellAgain:
    """There is no condition any more."""


@dataclass(frozen=True, slots=True)
class Struck:
    """An event has invalidated all contexts on the GPU."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Noted:
    """A line for the log."""

    message: str


Effect = Unwell | WellAgain | Struck | Noted


@dataclass(frozen=True, slots=True)
class Health:
    """What was seen and reported so far."""

    condition: Verdict | None = None
    """The reported condition."""
    good_since_s: float | None = None
    """The time since which no condition was seen, although one is still reported."""
    braked_since_s: float | None = None
    uncorrected: int | None = None
    needed_bytes: int = 0
    """The maximum GPU memory that this process was seen to hold."""
    program_xid: int = 0
    program_xid_s: float = 0.0
    seen: bool = False
    """Whether the GPU has answered in this process."""
    replaced_told: bool = False
    last: Sight = field(default_factory=Sight)


def step(state: Health, event: Event, settings: GpuSettings) -> tuple[Health, tuple[Effect, ...]]:
    """The next state and its effects."""
    match event:
        case XidSeen(number, now_s):
            return _xid(state, number, now_s)
        case Looked(sight, now_s):
            return _looked(state, sight, now_s, settings)


def refined(state: Health, fault_class: FaultClass, reason: Reason, now_s: float) -> tuple[FaultClass, Reason]:
    """The class and reason of a failed run, given what is known about the GPU."""
    match state.last.trouble:
        case Trouble.LOST | Trouble.RESET:
            return FaultClass.STICKY, Reason.GPU_LOST
        case Trouble.MISMATCH if reason in {Reason.GPU_FAULT, Reason.NO_GPU}:
            return fault_class, Reason.DRIVER_MISMATCH
    if reason is Reason.GPU_TIMEOUT and (state.last.braked or state.last.slowed):
        return fault_class, Reason.GPU_OVERHEATING
    suspected = state.program_xid and now_s - state.program_xid_s <= SUSPICION_S
    if suspected and (fault_class, reason) == (FaultClass.TRANSIENT, Reason.GPU_FAULT):
        return FaultClass.STICKY, Reason.GPU_FAULT
    return fault_class, reason


def _xid(state: Health, number: int, now_s: float) -> tuple[Health, tuple[Effect, ...]]:
    kind, words = meaning(number)
    message = f"the GPU reports Xid {number}: {words}"
    match kind:
        case XidKind.PROGRAM:
            return replace(state, program_xid=number, program_xid_s=now_s), (Noted(message),)
        case XidKind.NOTE:
            return state, (Noted(message),)
        case XidKind.MEMORY:
            return state, (Struck(Verdict(FaultClass.STICKY, Reason.GPU_MEMORY_ERRORS, message)),)
        case XidKind.LOST | XidKind.RESET:
            return state, (Struck(Verdict(FaultClass.STICKY, Reason.GPU_LOST, message)),)


def _looked(state: Health, sight: Sight, now_s: float, settings: GpuSettings) -> tuple[Health, tuple[Effect, ...]]:
    effects: list[Effect] = []
    braked_since_s = (state.braked_since_s if state.braked_since_s is not None else now_s) if sight.braked else None
    seen = replace(
        state,
        last=sight,
        braked_since_s=braked_since_s,
        needed_bytes=max(state.needed_bytes, sight.own_bytes or 0),
        seen=state.seen or sight.trouble is None,
        uncorrected=sight.uncorrected if sight.uncorrected is not None else state.uncorrected,
        replaced_told=state.replaced_told or sight.library_replaced,
    )
    if sight.uncorrected is not None and state.uncorrected is not None and sight.uncorrected > state.uncorrected:
        message = "the GPU's memory has an uncorrectable error"
        effects.append(Struck(Verdict(FaultClass.STICKY, Reason.GPU_MEMORY_ERRORS, message)))
    if sight.library_replaced and not state.replaced_told:
        effects.append(
            Noted("the GPU driver was upgraded while the daemon was running: restart the machine to use the new one")
        )
    found = _condition(seen, now_s, settings)
    told = state.condition
    if found is not None:
        if told is None or found.reason is not told.reason:
            effects.append(Unwell(found))
        return replace(seen, condition=found, good_since_s=None), tuple(effects)
    if told is None:
        return seen, tuple(effects)
    good_since_s = state.good_since_s if state.good_since_s is not None else now_s
    if now_s - good_since_s < settings.well_after_s:
        return replace(seen, good_since_s=good_since_s), tuple(effects)
    effects.append(WellAgain())
    return replace(seen, condition=None, good_since_s=None), tuple(effects)


def _condition(state: Health, now_s: float, settings: GpuSettings) -> Verdict | None:
    """The worst condition of the last look; a reported one must improve further than where it began."""
    sight, told = state.last, state.condition.reason if state.condition else Reason.NONE
    if sight.trouble is not None:
        return _trouble(sight.trouble, state.seen)
    return (
        _heat(sight, told is Reason.GPU_OVERHEATING, settings)
        or _braked(state, now_s, settings)
        or _memory(state, told is Reason.GPU_OUT_OF_MEMORY, settings)
    )


def _trouble(trouble: Trouble, seen: bool) -> Verdict:
    match trouble:
        case Trouble.NO_DRIVER if not seen:
            return Verdict(FaultClass.UNHEALTHY, Reason.NO_GPU, "the GPU driver is not loaded, or has no GPU")
        case Trouble.NO_DRIVER:
            return Verdict(FaultClass.STICKY, Reason.GPU_LOST, "the GPU driver or its GPU is missing")
        case Trouble.MISMATCH:
            message = "the versions of the GPU driver's library and kernel module differ: restart the machine"
            return Verdict(FaultClass.STICKY, Reason.DRIVER_MISMATCH, message)
        case Trouble.LOST:
            return Verdict(FaultClass.STICKY, Reason.GPU_LOST, "the driver has lost the GPU")
        case Trouble.RESET:
            return Verdict(FaultClass.STICKY, Reason.GPU_LOST, "the GPU must be reset: restart the machine")
        case Trouble.HUNG:
            return Verdict(FaultClass.UNHEALTHY, Reason.GPU_TIMEOUT, "the GPU driver does not respond")


def _heat(sight: Sight, told: bool, settings: GpuSettings) -> Verdict | None:
    limit_c = settings.hot_c or sight.slowdown_c
    if sight.temperature_c is None or limit_c is None:
        return None
    if sight.temperature_c < limit_c - (settings.cool_by_c if told else 0):
        return None
    message = f"the GPU is at {sight.temperature_c} °C, its limit is {limit_c} °C"
    return Verdict(FaultClass.UNHEALTHY, Reason.GPU_OVERHEATING, message)


def _braked(state: Health, now_s: float, settings: GpuSettings) -> Verdict | None:
    since_s = state.braked_since_s
    told = state.condition is not None and state.condition.reason is Reason.GPU_OVERHEATING
    if since_s is None or (not told and now_s - since_s < settings.braked_s):
        return None
    message = "the GPU is throttling (thermal or power)"
    return Verdict(FaultClass.UNHEALTHY, Reason.GPU_OVERHEATING, message)


def _memory(state: Health, told: bool, settings: GpuSettings) -> Verdict | None:
    free = state.last.free_bytes
    if free is None or not settings.min_free_mib:
        return None
    wanted = settings.min_free_mib * MIB
    if told:
        wanted += max(0, (state.needed_bytes or NEEDED_BYTES) - (state.last.own_bytes or 0))
    if free >= wanted:
        return None
    message = f"the GPU has {free // MIB} MiB of memory free, {wanted // MIB} MiB are required"
    return Verdict(FaultClass.UNHEALTHY, Reason.GPU_OUT_OF_MEMORY, message)


class GpuWatch(Protocol):
    """Knows the health of the accelerator's GPU. Event loop only."""

    @property
    def condition(self) -> Verdict | None:
        """The current condition of the GPU."""
        ...

    async def fresh(self, limit_s: float) -> None:
        """Wait for a recent look, but no longer than the limit. Its effects are applied before this returns."""
        ...

    def refined(self, fault_class: FaultClass, reason: Reason) -> tuple[FaultClass, Reason]:
        """The class and reason of a failed run, given what is known about the GPU."""
        ...
