"""What a key's signals mean, and what a press of a key asks of the daemon."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from coldvoxd.core.errors import AlreadyActive

REPEAT_GAP_S = 0.06
"""A press this soon after a release is auto-repeat: X11 sends both at once for each repetition; a second tap takes longer."""
REPEAT_DELAY_S = 2.0
"""A press without a release is auto-repeat this long after the last one: the longest usual delay before the first
repetition is 1 s. Later than that, the release was lost."""
MAX_OFFSET_S = 5.0
"""Between a signal's timestamp and its arrival, compared with the signals before: more than this is a clock that was set."""
LAST_TEXT_LIMIT_S = 25.0
"""StopDictation gives the text of a session 20 s."""
LOOK_S = 0.1
"""Between two looks at whether the last session has ended."""
FAILED = "Dictation does not work"
"""Title of the notification for a person who pressed a key and sees no terminal."""


class Dictation(Protocol):
    """What keys ask of the daemon. Methods raise ColdvoxError."""

    async def start(self, options: Mapping[str, bool | int | str] | None = None) -> int:
        """Begin a session with options as in the contract; its number."""
        ...

    async def stop(self) -> str:
        """Finish the session; its text."""
        ...

    async def begin_to_stop(self) -> None:
        """Have the session finished, without waiting for its text."""
        ...

    async def toggle(self) -> bool:
        """Start or stop; whether a session listens now."""
        ...

    async def listening(self) -> int:
        """Number of the session that listens; 0 where none does."""
        ...


class EventClock:
    """Converts the portal's timestamps to times, in seconds, whose differences are those between the events.

    On a busy machine signals arrive late and close together; only their timestamps tell two presses from auto-repeat.
    They are milliseconds with an undefined base (org.freedesktop.portal.GlobalShortcuts). The first one counts as
    happening when it arrived; so does one that differs by more than MAX_OFFSET_S from what the ones before let expect.
    """

    def __init__(self) -> None:
        self._base_s: float | None = None

    def local(self, timestamp_ms: int, received_s: float) -> float:
        """When the event happened; the time of arrival where there is no timestamp (0)."""
        if not timestamp_ms:
            return received_s
        sent_s = timestamp_ms / 1000
        if self._base_s is None or abs(self._base_s + sent_s - received_s) > MAX_OFFSET_S:
            self._base_s = received_s - sent_s
        return self._base_s + sent_s


class Presses:
    """One key: tells presses and releases from auto-repeat. Times are those of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._down = False
        self._last_press_s = float("-inf")
        self._released_s: float | None = None
        """A release that is auto-repeat where a press follows at once."""
        self._due_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """When a release that has arrived becomes certain if no signal arrives until then; None where there is none."""
        return self._due_s

    def pressed(self, at_s: float) -> bool:
        """A signal says that the key went down; returns whether it is a press. `released_before` comes first."""
        repeats = self._down and (self._released_s is not None or at_s - self._last_press_s < REPEAT_DELAY_S)
        self._down, self._last_press_s, self._released_s, self._due_s = True, at_s, None, None
        return not repeats

    def released(self, at_s: float, received_s: float) -> None:
        """A signal that arrived at `received_s` says that the key went up. Without a press before it, it means nothing."""
        if self._down:
            self._released_s, self._due_s = at_s, received_s + REPEAT_GAP_S

    def released_before(self, at_s: float) -> float | None:
        """When the key was let go of, where a signal of that time makes it certain; None otherwise, and the second time."""
        certain = self._released_s is not None and at_s - self._released_s >= REPEAT_GAP_S
        return self._confirm() if certain else None

    def released_by(self, now_s: float) -> float | None:
        """When the key was let go of, where no signal has arrived for long enough; None otherwise, and the second time."""
        return self._confirm() if self._due_s is not None and now_s >= self._due_s else None

    def _confirm(self) -> float | None:
        released_s, self._released_s, self._due_s, self._down = self._released_s, None, None, False
        return released_s


async def start_after_last(daemon: Dictation, options: Mapping[str, bool | int | str] | None = None) -> int:
    """Begin a session, once the text of the last one has come; its number, or that of one that listens already."""
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


async def toggle_after_last(daemon: Dictation) -> bool:
    """Start or stop, and start once the text of the last session has come; whether a session listens now."""
    try:
        return await daemon.toggle()
    except AlreadyActive:
        return bool(await start_after_last(daemon))
