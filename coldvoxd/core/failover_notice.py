"""What people are told on their desktop when recognition leaves the accelerator: once, in plain words."""

from dataclasses import dataclass, replace

from coldvoxd.core.failover_state import STABLE_S, Reason
from coldvoxd.core.values import EngineStatus

TITLE = "Dictation goes on, a little slower"
CAUSES: dict[str, str] = {
    Reason.GPU_LOST: "The graphics card stopped answering",
    Reason.GPU_OUT_OF_MEMORY: "The graphics card has no memory left",
    Reason.GPU_TIMEOUT: "The graphics card takes too long",
    Reason.GPU_WRONG_OUTPUT: "The graphics card computes wrongly",
    Reason.GPU_OVERHEATING: "The graphics card is too hot",
    Reason.GPU_MEMORY_ERRORS: "The graphics card's memory has errors",
    Reason.NO_GPU: "The graphics card has gone",
    Reason.DRIVER_MISMATCH: "The graphics card's driver was replaced",
}
CAUSE = "The graphics card failed"
REST = "so speech is recognized on the processor now. Nothing that you said is lost."
_CPU = "CPUExecutionProvider"
_NO_NEWS = {"", Reason.SLEEP}


@dataclass(frozen=True, slots=True)
class Notice:
    """For a desktop notification."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class NoticeState:
    """What was last seen and told."""

    provider: str = ""
    since_s: float = 0.0
    """When that provider came into use."""
    told: bool = False
    """And it has not been well again since: served by the accelerator for `STABLE_S`."""


def step(state: NoticeState, status: EngineStatus, now_s: float) -> tuple[NoticeState, Notice | None]:
    """The next state, and what is to be told. An accelerator that was never in use is nobody's news."""
    if not status.ready or not status.provider or status.provider == state.provider:
        return state, None
    on_accelerator = state.provider not in {"", _CPU}
    well = on_accelerator and now_s - state.since_s >= STABLE_S
    seen = replace(state, provider=status.provider, since_s=now_s, told=state.told and not well)
    if not on_accelerator or status.provider != _CPU or status.degraded in _NO_NEWS or seen.told:
        return seen, None
    return replace(seen, told=True), Notice(TITLE, f"{CAUSES.get(status.degraded, CAUSE)}, {REST}")
