"""Whether the microphone is open, and why not. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class CaptureCondition(StrEnum):
    CLOSED = "closed"
    """By policy: not started, or stopped."""
    OPENING = "opening"
    """For the first time, or again because another microphone is wanted; no audio has arrived yet."""
    OPEN = "open"
    """Audio arrives."""
    LOST = "lost"
    """No audio; the microphone is being reopened."""


@dataclass(frozen=True, slots=True)
class CaptureState:
    condition: CaptureCondition
    microphone: str = ""
    """Its name where one is open."""
    reason: str = ""
    """Where it is lost: why, as a sentence for people."""

    @property
    def closed(self) -> bool:
        """Whether the microphone is closed by policy."""
        return self.condition is CaptureCondition.CLOSED
