"""The state that one process of the daemon passes to the next, and the earliest time of the replacement."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from coldvoxd.core.text_formats import json_value

GROWTH = 3.0
LONGEST_COOL_DOWN_S = 6 * 3600.0
CALM_S = 6 * 3600.0
"""Seconds without a replacement after which the next one counts as the first again."""
VERSION = 1


class ExecStateDamaged(ValueError):
    """The state of the earlier process cannot be read."""


@dataclass(frozen=True, slots=True)
class Carried:
    """State of the daemon's parts, each in a form that JSON can represent. A part without such state starts afresh."""

    device: str | None = None
    """The microphone chosen with SelectDevice, if it differs from that of the settings."""
    metrics: dict[str, Any] = field(default_factory=dict)
    notice: dict[str, Any] = field(default_factory=dict)
    """State of the notifications about execution providers: which ones were shown."""
    bus: str = ""
    """GUID of the bus. `last_utterance` may be used only on this bus, because it may belong to one of its clients."""
    last_utterance: dict[str, Any] | None = None
    """The last utterance, for RetryLast."""
    resting: bool = False
    """Whether the accelerator was released because it had not been used for a long time."""
    without_words: bool = False
    """Whether the last session with speech gave no words."""
    usable_providers: tuple[str, ...] = ()
    """Execution providers that were found usable on this machine."""

    @classmethod
    def read(cls, carried: Mapping[str, Any]) -> Self:
        """Construct from `ExecState.carried`. Keys of another version are ignored."""
        return cls(**{one.name: carried[_key(one.name)] for one in fields(cls) if _key(one.name) in carried})

    def written(self) -> dict[str, Any]:
        """Return the value for `ExecState.carried`."""
        return {_key(name): value for name, value in asdict(self).items() if value is not None}


def _key(name: str) -> str:
    return name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class ExecState:
    """State that one process passes to the next. Times are in seconds of the system-wide monotonic clock."""

    replacements: int = 0
    """Number of consecutive replacements."""
    replaced_s: float = 0.0
    """Time of the last replacement; meaningless if there was none."""
    last_frame_s: float | None = None
    """Time at which the microphone last delivered audio; None if it was closed."""
    carried: dict[str, Any] = field(default_factory=dict)
    """Result of `Carried.written`."""

    def allowed_s(self, cool_down_s: float) -> float:
        """Return the earliest time of the next replacement: the pause grows with each consecutive replacement."""
        if not self.replacements:
            return float("-inf")
        longest_s = max(cool_down_s, LONGEST_COOL_DOWN_S)
        return self.replaced_s + min(longest_s, cool_down_s * GROWTH ** (self.replacements - 1))

    def next(
        self, now_s: float, last_frame_s: float | None, carried: dict[str, Any], *, counted: bool = True
    ) -> "ExecState":
        """Return the state for the next process. A replacement that isn't `counted` does not delay later ones."""
        if not counted:
            return replace(self, last_frame_s=last_frame_s, carried=carried)
        calm = bool(self.replacements) and now_s - self.replaced_s > CALM_S
        return ExecState(1 if calm else self.replacements + 1, now_s, last_frame_s, carried)

    def takeover(self, now_s: float) -> str:
        """Return a log message for the next process when its microphone delivers audio again."""
        if self.last_frame_s is None:
            silence = "the microphone was closed"
        else:
            silence = f"the microphone went unheard for {now_s - self.last_frame_s:.2f} s"
        return f"re-executed, consecutive number {self.replacements}: {silence}"

    def encoded(self) -> bytes:
        """Return the state as JSON in UTF-8."""
        return json.dumps({"version": VERSION, **asdict(self)}).encode()

    @classmethod
    def decoded(cls, content: bytes) -> "ExecState":
        """Return the state from the result of `encoded`. Raises ExecStateDamaged."""
        try:
            fields = json_value(content)
            version = fields.pop("version")
            handover = cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ExecStateDamaged(f"it cannot be decoded ({error!r})") from error
        if version != VERSION:
            raise ExecStateDamaged("another version of the daemon wrote it")
        return handover
