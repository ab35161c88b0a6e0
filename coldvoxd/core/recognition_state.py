"""The state of recognition as one value, and the events from outside that change it."""

from dataclasses import dataclass, field
from enum import StrEnum

from coldvoxd.core.failover_state import FailoverState, IdleTimeout, Phase, Reason, RecognitionNeeded
from coldvoxd.core.values import EngineStatus


class ChangeReason(StrEnum):
    """Why another execution provider recognizes now, as clients read it, if no problem code gives the reason."""

    REQUESTED = "requested"
    RELOAD = "reload"
    ACCELERATOR_READY = "accelerator-ready"
    """The accelerator passed its probe, and takes over from the CPU."""
    IDLE = "idle"
    """No session for `idle_release_s`: the accelerator was released."""


@dataclass(frozen=True, slots=True)
class RecognitionState:
    """Which provider recognizes now, and why. Replaced and published as a whole, like `EngineStatus`."""

    engine: EngineStatus
    accelerator_name: str = ""
    """Its name in the settings; empty if only the CPU is requested."""
    failover: FailoverState = field(default_factory=FailoverState)
    suspended: bool = False
    """The system is about to suspend, or is suspended."""
    accelerator_unusable: bool = False
    """Only a new process could use the accelerator again."""

    @property
    def on_accelerator(self) -> bool:
        """Whether utterances go to the accelerator."""
        return self.failover.phase is Phase.ON_ACCELERATOR

    @property
    def on_accelerator_since_s(self) -> float:
        """Loop time at which the accelerator last came into use."""
        return self.failover.on_accelerator_since_s

    @property
    def accelerator_released(self) -> bool:
        """Whether the accelerator was released because there was no session for `idle_release_s`."""
        return self.failover.phase is Phase.RELEASED

    @property
    def wants_new_process(self) -> bool:
        """Whether a new process could use an accelerator that this process cannot use, and the GPU is healthy."""
        return self.accelerator_unusable and not self.failover.gpu_unhealthy

    @property
    def degraded_by_suspend(self) -> bool:
        """Whether the system's suspend is why the accelerator is not in use."""
        return self.engine.degraded == Reason.SLEEP

    @property
    def change_reason(self) -> str:
        """Why this provider is in use: a problem code, or a `ChangeReason` if there is no problem."""
        if self.failover.reason:
            return self.failover.reason.value
        return ChangeReason.IDLE if self.accelerator_released else ChangeReason.ACCELERATOR_READY


@dataclass(frozen=True, slots=True)
class ProvidersFound:
    """An earlier process, or another supervisor, found these providers usable. Replaces earlier findings."""

    usable: tuple[str, ...]
    """Short names, best first."""


@dataclass(frozen=True, slots=True)
class ModelUnneeded:
    """The model was not used for `unload_after_s`: release its memory."""


@dataclass(frozen=True, slots=True)
class ModelNeeded:
    """Load a model that was released after `ModelUnneeded`; recognition waits for it."""


@dataclass(frozen=True, slots=True)
class StartReleased:
    """Leave the accelerator unloaded until recognition is needed. Has an effect only before the model is loaded."""


@dataclass(frozen=True, slots=True)
class SystemSuspending:
    """The system is about to suspend."""


@dataclass(frozen=True, slots=True)
class SystemResumed:
    """The system resumed, or did not suspend after all."""


AcceleratorControl = IdleTimeout | RecognitionNeeded | StartReleased | SystemSuspending | SystemResumed
"""Events that load or release the accelerator."""
