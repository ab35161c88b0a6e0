"""What people are told on their desktop when recognition leaves the accelerator: once, in plain words."""

from dataclasses import dataclass, replace

from coldvoxd.core.failover_state import CALM_S, Reason
from coldvoxd.core.values import EngineStatus

TITLE = "Dictation continues, a little slower"
CAUSES: dict[str, str] = {
    Reason.GPU_LOST: "The GPU stopped responding",
    Reason.GPU_OUT_OF_MEMORY: "The GPU is out of memory",
    Reason.GPU_TIMEOUT: "The GPU takes too long",
    Reason.GPU_WRONG_OUTPUT: "The GPU returns wrong results",
    Reason.GPU_OVERHEATING: "The GPU is too hot",
    Reason.GPU_MEMORY_ERRORS: "The GPU's memory has errors",
    Reason.NO_GPU: "The GPU is missing",
    Reason.DRIVER_MISMATCH: "The GPU driver was replaced",
}
CAUSE = "The GPU failed"
REST = "so speech is now recognized on the CPU. Nothing that you said is lost."
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
    """And it has not been well again since: served by the accelerator for `CALM_S`."""


def step(state: NoticeState, status: EngineStatus, now_s: float) -> tuple[NoticeState, Notice | None]:
    """The next state, and what is to be told. An accelerator that was never in use is nobody's news."""
    if not status.ready or not status.provider or status.provider == state.provider:
        return state, None
    on_accelerator = state.provider not in {"", _CPU}
    well = on_accelerator and now_s - state.since_s >= CALM_S
    seen = replace(state, provider=status.provider, since_s=now_s, told=state.told and not well)
    if not on_accelerator or status.provider != _CPU or status.degraded in _NO_NEWS or seen.told:
        return seen, None
    return replace(seen, told=True), Notice(TITLE, f"{CAUSES.get(status.degraded, CAUSE)}, {REST}")
