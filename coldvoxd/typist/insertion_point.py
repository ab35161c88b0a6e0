"""Where the last text went, what joins the next one to it, and the final mark that is due there."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from coldvoxd.typist.dictated import Dictated
from coldvoxd.typist.environment import on_wayland
from coldvoxd.typist.errors import Refused
from coldvoxd.typist.focus import Focus
from coldvoxd.typist.ledger import Ledger, Pair
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
    utterance: int = 0
    mark: str = ""
    """The final mark of the sentence, which is not in the window yet; empty if it is, or if there is none."""
    is_marked: bool = False
    """Whether the sentence has its final mark in the window."""
    is_spaced: bool = False
    """Whether the text ends with a space or a line break, so that nothing separates the next one from it."""

    @classmethod
    def behind(cls, text: Dictated, inserted: str, focus: Focus, *, is_marked: bool) -> "Place":
        """Return the place behind `inserted`, which just went into this window for `text`."""
        mark, is_marked = ("" if is_marked else text.pending), is_marked and bool(text.pending)
        return cls(focus.window, text.session, _now_s(), text.utterance, mark, is_marked, inserted[-1:].isspace())

    @property
    def age_s(self) -> float:
        """Seconds since the text or its mark was written."""
        return _now_s() - self.at_s

    def marked(self) -> "Place":
        """Return the place behind the final mark, which is written or dropped."""
        return replace(self, at_s=_now_s(), mark="", is_marked=self.is_marked or bool(self.mark))


class _Watch(Protocol):
    async def moved(self) -> bool: ...

    async def close(self) -> None: ...


class Places:
    """The place behind the last text. It outlives this process; only this process knows that the focus stayed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._watched: Place | None = None
        self._watch: _Watch | None = None

    async def insertion(self, text: Dictated, focus: Focus) -> str:
        """Return what to insert into this window for `text`, without its final mark.

        Behind the text that it continues, this is its body with the seam. Anywhere else it is a sentence of its own: behind
        another text after a space, and after the final mark that is still due there.
        """
        place = self.last()
        if place is None or not await self.is_at(place, focus, text.session):
            return text.unmarked
        if text.continues(place.session, place.utterance):
            return text.joined(is_marked=place.is_marked, is_spaced=place.is_spaced)
        joint = "" if place.is_spaced or text.unmarked[:1].isspace() else " "
        return place.mark + joint + text.unmarked

    async def note(self, place: Place, focus: Focus, environment: Mapping[str, str]) -> None:
        """Record that a text or a mark just went into this window, and watch the focus from now on."""
        watch, self._watch, self._watched = self._watch, None, None
        self._ledger.note_place(asdict(place))  # first of all, in case this process is killed
        if watch:
            await watch.close()
        self._watch, self._watched = await _watching(focus, environment), place

    def update(self, place: Place, updated: Place) -> None:
        """Replace `place` by `updated`, if it is still the last one. The focus stays watched."""
        if self.last() == place:
            self._watched = updated if self._watched == place else self._watched
            self._ledger.note_place(asdict(updated))

    async def forget(self) -> None:
        """Join nothing to the last text."""
        watch, self._watch, self._watched = self._watch, None, None
        self._ledger.note_place(None)
        if watch:
            await watch.close()

    async def forget_behind(self, pair: Pair) -> None:
        """Join nothing to this text, if it is still the last one."""
        place = self.last()
        if place and (place.session, place.utterance) == pair:
            await self.forget()

    async def close(self) -> None:
        """Stop watching the focus."""
        if self._watch:
            await self._watch.close()

    async def is_at(self, place: Place, focus: Focus, session: int) -> bool:
        """Return whether the insertion point is still at the last place, as far as the desktop reports it.

        If it reports no windows, it is for texts of the same session, and for `UNKNOWN_WINDOW_S`.
        """
        if focus.window != place.window:
            return False
        if self._watch and self._watched == place and await self._watch.moved():
            return False
        return bool(focus.window) or session == place.session or place.age_s <= UNKNOWN_WINDOW_S

    def last(self) -> Place | None:
        """Return the last place; None if there is none, or the last text went into no window."""
        try:
            return Place(**self._ledger.place())
        except TypeError:
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


def _now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
