"""What is known of one dictation session, from Start to its last text."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.recipients import recipient_of
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.values import Frame, SessionOptions


@dataclass(slots=True, eq=False)
class Session:
    """One session from Start to its last text."""

    id: int
    caller: str
    options: SessionOptions
    endpoint_settings: EndpointSettings
    """Those of its beginning: settings that change meanwhile count from the next session on."""
    called_s: float
    start_sample: int
    endpoint: EndpointState
    concluded: "asyncio.Future[str]"
    audio: deque[Frame] = field(default_factory=deque)
    fed_sample: int = 0
    """End of the last frame that the endpointer has seen."""
    end_sample: int | None = None
    """Once the session drains: where it stops listening."""
    flushed: bool = False
    over: bool = False
    """Its end was told; texts that still come are nobody's."""
    thrown_away: bool = False
    """It was cancelled, or its caller left: nothing of it is kept."""
    pending: int = 0
    """Utterances sent to recognition and not yet answered."""
    backlog_s: float = 0.0
    texts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    speech_samples: int = 0
    """Speech that its utterances held, and what was dropped as too short to be one."""
    frames: int = 0
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    blind_timer: asyncio.TimerHandle | None = None

    @property
    def text_reader(self) -> str | None:
        """The one client that may read texts, None for everyone."""
        return recipient_of(self.caller, self.options)


@dataclass(frozen=True, slots=True)
class GoneSession:
    """A session of an earlier process, as far as RetryLast asks for it."""

    id: int
    text_reader: str | None
    thrown_away: bool = False
