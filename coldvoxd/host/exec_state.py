"""The state that a re-executed daemon inherits, and when the daemon may re-execute itself."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

GROWTH = 3.0
LONGEST_COOL_DOWN_S = 6 * 3600.0
CALM_S = 6 * 3600.0
"""Seconds without a re-execution after which the pause starts at its minimum again."""
VERSION = 1


class ExecStateDamaged(ValueError):
    """The inherited state cannot be read."""


@dataclass(frozen=True, slots=True)
class ExecState:
    """The inherited state. Times are of the monotonic clock, which all processes share."""

    replacements: int = 0
    """Number of consecutive re-executions."""
    replaced_s: float = 0.0
    """Time of the last re-execution; undefined if there was none."""
    last_frame_s: float | None = None
    """Time of the last frame from the microphone."""
    carried: dict[str, Any] = field(default_factory=dict)
    """State of the daemon's parts, by part, as JSON values."""

    def allowed_s(self, cool_down_s: float) -> float:
        """The earliest time of the next re-execution: the pause grows with each consecutive one."""
        if not self.replacements:
            return float("-inf")
        longest_s = max(cool_down_s, LONGEST_COOL_DOWN_S)
        return self.replaced_s + min(longest_s, cool_down_s * GROWTH ** (self.replacements - 1))

    def next(
        self, now_s: float, last_frame_s: float | None, carried: dict[str, Any], *, counted: bool = True
    ) -> "ExecState":
        """The state to hand over; a re-execution that is not `counted` does not delay later ones."""
        if not counted:
            return replace(self, last_frame_s=last_frame_s, carried=carried)
        calm = bool(self.replacements) and now_s - self.replaced_s > CALM_S
        return ExecState(1 if calm else self.replacements + 1, now_s, last_frame_s, carried)

    def encoded(self) -> bytes:
        return json.dumps({"version": VERSION, **asdict(self)}).encode()

    @classmethod
    def decoded(cls, content: bytes) -> "ExecState":
        """Decode the state. Raises ExecStateDamaged."""
        try:
            fields = json.loads(content)
            version = fields.pop("version")
            handover = cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ExecStateDamaged(f"it cannot be decoded ({error!r})") from error
        if version != VERSION:
            raise ExecStateDamaged("another version of the daemon wrote it")
        return handover
