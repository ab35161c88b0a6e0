"""The desktop notification that is shown once when recognition leaves the accelerator."""

from dataclasses import dataclass, replace

from coldvoxd.core.failover_state import STABLE_S, Reason
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
    """The text of a desktop notification."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class NoticeState:
    """The provider last observed, and whether a notification was shown."""

    provider: str = ""
    since_s: float = 0.0
    """Time in seconds at which that provider came into use."""
    told: bool = False
    """Whether a notification was shown, and the accelerator has not served for `STABLE_S` seconds since."""


def step(state: NoticeState, status: EngineStatus, now_s: float) -> tuple[NoticeState, Notice | None]:
    """Return the next state and the notification to show, if any. An accelerator that was never in use causes none."""
    if not status.ready or not status.provider or status.provider == state.provider:
        return state, None
    on_accelerator = state.provider not in {"", _CPU}
    well = on_accelerator and now_s - state.since_s >= STABLE_S
    seen = replace(state, provider=status.provider, since_s=now_s, told=state.told and not well)
    if not on_accelerator or status.provider != _CPU or status.degraded in _NO_NEWS or seen.told:
        return seen, None
    return replace(seen, told=True), Notice(TITLE, f"{CAUSES.get(status.degraded, CAUSE)}, {REST}")
