"""Replacing: when the daemon may put a new process in its own place, and what that one must know."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

GROWTH = 3.0
LONGEST_COOL_DOWN_S = 6 * 3600.0
CALM_S = 6 * 3600.0
"""After so long without a replacement the next one counts as the first again."""
VERSION = 1


class ExecStateDamaged(ValueError):
    """What was handed over can't be read."""


@dataclass(frozen=True, slots=True)
class ExecState:
    """What goes across. Times are those of the monotonic clock, which all processes share."""

    replacements: int = 0
    """In a row."""
    replaced_s: float = 0.0
    """When the last one happened; meaningless where there was none."""
    last_frame_s: float | None = None
    """When the microphone was heard last."""
    carried: dict[str, Any] = field(default_factory=dict)
    """What parts of the daemon want to find again, by the part: what JSON can hold."""

    def allowed_s(self, cool_down_s: float) -> float:
        """The earliest time of the next replacement: the pause grows with each in a row."""
        if not self.replacements:
            return float("-inf")
        longest_s = max(cool_down_s, LONGEST_COOL_DOWN_S)
        return self.replaced_s + min(longest_s, cool_down_s * GROWTH ** (self.replacements - 1))

    def next(
        self, now_s: float, last_frame_s: float | None, carried: dict[str, Any], *, counted: bool = True
    ) -> "ExecState":
        """What to hand over at a replacement; one that isn't `counted` makes no later one wait."""
        if not counted:
            return replace(self, last_frame_s=last_frame_s, carried=carried)
        calm = bool(self.replacements) and now_s - self.replaced_s > CALM_S
        return ExecState(1 if calm else self.replacements + 1, now_s, last_frame_s, carried)

    def encoded(self) -> bytes:
        return json.dumps({"version": VERSION, **asdict(self)}).encode()

    @classmethod
    def decoded(cls, content: bytes) -> "ExecState":
        """Raises HandoverDamaged."""
        try:
            fields = json.loads(content)
            version = fields.pop("version")
            handover = cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ExecStateDamaged(f"it cannot be decoded ({error!r})") from error
        if version != VERSION:
            raise ExecStateDamaged("another version of the daemon wrote it")
        return handover
