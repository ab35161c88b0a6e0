"""Where the last text went, and whether the next one continues it and a space joins them, even across sessions."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from coldvoxd.typist.environment import on_wayland
from coldvoxd.typist.errors import Refused
from coldvoxd.typist.focus import Focus
from coldvoxd.typist.ledger import Ledger
from coldvoxd.typist.sway import FocusEvents
from coldvoxd.typist.x11 import XServer

UNKNOWN_WINDOW_S = 120.0
"""If the desktop does not report windows, texts of different sessions within this many seconds are joined."""


@dataclass(frozen=True, slots=True)
class Place:
    """The position directly behind a text in a window."""

    window: str
    session: int
    """0 if the text's session is unknown."""
    at_s: float
    """Seconds of CLOCK_BOOTTIME."""


class _Watch(Protocol):
    async def moved(self) -> bool: ...

    async def close(self) -> None: ...


class Places:
    """The place behind the last text. It outlives this process; only this process knows that the focus stayed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._watched: Place | None = None
        self._watch: _Watch | None = None

    async def joint(self, text: str, focus: Focus, session: int) -> str:
        """Return what to insert before `text`: a space if it continues the last text, otherwise nothing."""
        place = self._known()
        if place is None or text[:1].isspace() or not await self._is_at(place, focus, session):
            return ""
        return " "

    async def note(self, text: str, focus: Focus, session: int, environment: Mapping[str, str]) -> Place | None:
        """Record that `text` just went into this window; return the place behind it, None if no text can be joined."""
        await self.forget()
        if not text or text[-1].isspace():
            return None
        place = Place(focus.window, session, time.clock_gettime(time.CLOCK_BOOTTIME))
        self._watch = await _watching(focus, environment)
        self._watched = place
        self._ledger.note_place({"window": place.window, "session": place.session, "at_s": place.at_s})
        return place

    async def forget(self, place: Place | None = None) -> None:
        """Join nothing to the last text; with `place`, only if that is still the last place."""
        if place is not None and self._known() != place:
            return
        watch, self._watch, self._watched = self._watch, None, None
        self._ledger.note_place(None)
        if watch:
            await watch.close()

    async def close(self) -> None:
        """Stop watching the focus."""
        if self._watch:
            await self._watch.close()

    async def _is_at(self, place: Place, focus: Focus, session: int) -> bool:
        if focus.window != place.window:
            return False
        if self._watch and self._watched == place and await self._watch.moved():
            return False
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - place.at_s
        return bool(focus.window) or session == place.session or age_s <= UNKNOWN_WINDOW_S

    def _known(self) -> Place | None:
        match self._ledger.place():
            case {"window": str(window), "session": int(session), "at_s": float(at_s)}:
                return Place(window, session, at_s)
        return None


@dataclass(slots=True)
class _XWatch:
    server: XServer

    async def moved(self) -> bool:
        try:
            return await self.server.focus_moved()
        except Refused:
            return True  # unknown from now on

    async def close(self) -> None:
        self.server.close()


@dataclass(slots=True)
class _SwayWatch:
    events: FocusEvents

    async def moved(self) -> bool:
        return self.events.moved

    async def close(self) -> None:
        await self.events.close()


async def _watching(focus: Focus, environment: Mapping[str, str]) -> _Watch | None:
    """Watch the focus; return None if the desktop does not report it."""
    if not focus.window:
        return None
    try:
        if on_wayland(environment):
            return _SwayWatch(await FocusEvents.watch(environment))
        server = await XServer.connect(environment)
        await server.watch_focus()
    except Refused:
        return None
    return _XWatch(server)
