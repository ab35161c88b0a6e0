"""Whether the microphone is open, and if not, why. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class CaptureCondition(StrEnum):
    CLOSED = "closed"
    """Closed by policy: not started, or stopped."""
    OPENING = "opening"
    """Opened for the first time, or for a newly selected microphone; no audio has arrived yet."""
    OPEN = "open"
    """Audio arrives."""
    LOST = "lost"
    """No audio; the microphone is being reopened."""


@dataclass(frozen=True, slots=True)
class CaptureState:
    condition: CaptureCondition
    microphone: str = ""
    """Name of the open microphone."""
    reason: str = ""
    """Why the microphone is lost, as a sentence for people."""

    @property
    def closed(self) -> bool:
        """Whether the microphone is closed by policy."""
        return self.condition is CaptureCondition.CLOSED
