"""Distinguishes presses of a key from auto-repeat, and turns them into calls of the daemon."""

import asyncio
from typing import Protocol

from coldvoxd.bus.client_options import Options
from coldvoxd.core.errors import AlreadyActive

REPEAT_GAP_S = 0.06
"""A press within this many seconds after a release is auto-repeat: X11 sends both together for each repetition. A
second tap takes longer."""
REPEAT_DELAY_S = 2.0
"""A press without a release is auto-repeat within this many seconds after the last one: the longest usual delay before
the first repetition is 1 s. Later, the release was lost."""
MAX_OFFSET_S = 5.0
"""Maximum difference in seconds between the offsets of a signal's timestamp and of earlier ones; above it, the clock
was set."""
LAST_TEXT_LIMIT_S = 25.0
"""Seconds to wait for the text of the last session. StopDictation itself allows 20 s."""
LOOK_S = 0.1
"""Seconds between two polls for the end of the last session."""
FAILED = "Dictation does not work"
"""Title of the notification for a user who pressed a key and has no terminal."""


class Dictation(Protocol):
    """The calls of the daemon that keys need. Methods raise ColdvoxError."""

    async def start(self, options: Options | None = None) -> int:
        """Start a session with options of the bus interface; return its number."""
        ...

    async def stop(self) -> str:
        """Stop the session; return its text."""
        ...

    async def begin_to_stop(self) -> None:
        """Stop the session without waiting for its text."""
        ...

    async def toggle(self, options: Options | None = None) -> bool:
        """Start with these options, or stop; return whether a session is listening now."""
        ...

    async def listening(self) -> int:
        """The number of the listening session; 0 if there is none."""
        ...


class EventClock:
    """Converts the portal's timestamps to times in seconds with the same differences.

    On a busy machine signals arrive late and close together; only their timestamps distinguish two presses from
    auto-repeat. They are milliseconds with an undefined base (org.freedesktop.portal.GlobalShortcuts). The first one is
    mapped to its time of arrival, as is one that differs from the expected time by more than MAX_OFFSET_S.
    """

    def __init__(self) -> None:
        self._base_s: float | None = None

    def local(self, timestamp_ms: int, received_s: float) -> float:
        """The time of the event; the time of arrival if there is no timestamp (0)."""
        if not timestamp_ms:
            return received_s
        sent_s = timestamp_ms / 1000
        if self._base_s is None or abs(self._base_s + sent_s - received_s) > MAX_OFFSET_S:
            self._base_s = received_s - sent_s
        return self._base_s + sent_s


class Presses:
    """The state of one key: distinguishes presses and releases from auto-repeat. Monotonic times in seconds."""

    def __init__(self) -> None:
        self._down = False
        self._last_press_s = float("-inf")
        self._released_s: float | None = None
        """The time of a release, which is auto-repeat if a press follows immediately."""
        self._due_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """When a received release becomes certain if no signal arrives until then; None if there is none."""
        return self._due_s

    def pressed(self, at_s: float) -> bool:
        """Record that the key went down; return whether it is a press. Call `released_before` first."""
        repeats = self._down and (self._released_s is not None or at_s - self._last_press_s < REPEAT_DELAY_S)
        self._down, self._last_press_s, self._released_s, self._due_s = True, at_s, None, None
        return not repeats

    def released(self, at_s: float, received_s: float) -> None:
        """Record that the key went up, in a signal that arrived at `received_s`. Ignored without a press before it."""
        if self._down:
            self._released_s, self._due_s = at_s, received_s + REPEAT_GAP_S

    def released_before(self, at_s: float) -> float | None:
        """The time of a release that a signal at that time makes certain; None otherwise. Reported once."""
        certain = self._released_s is not None and at_s - self._released_s >= REPEAT_GAP_S
        return self._confirm() if certain else None

    def released_by(self, now_s: float) -> float | None:
        """The time of a release that is certain because no signal has followed; None otherwise. Reported once."""
        return self._confirm() if self._due_s is not None and now_s >= self._due_s else None

    def _confirm(self) -> float | None:
        released_s, self._released_s, self._due_s, self._down = self._released_s, None, None, False
        return released_s


async def start_after_last(daemon: Dictation, options: Options | None = None) -> int:
    """Start a session once the last one's text is complete; return its number, or that of a listening one."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + LAST_TEXT_LIMIT_S
    while True:
        try:
            return await daemon.start(options)
        except AlreadyActive:
            if session := await daemon.listening():
                return session
            if loop.time() > deadline_s:
                raise
        await asyncio.sleep(LOOK_S)


async def toggle_after_last(daemon: Dictation, options: Options | None = None) -> bool:
    """Stop, or start with these options once the last session's text is complete; return whether one is listening."""
    try:
        return await daemon.toggle(options)
    except AlreadyActive:
        return bool(await start_after_last(daemon, options))
