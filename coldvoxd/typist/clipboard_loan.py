"""A clipboard lent to pastes: after the last paste its own content is restored in the background."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from coldvoxd.typist.browsers import Browser
from coldvoxd.typist.clipboard_content import Content, is_copy
from coldvoxd.typist.errors import Interrupted, Refused
from coldvoxd.typist.file_lock import FileLock
from coldvoxd.typist.paste_readers import HOLD_LIMIT_S, LATE_S, QUIET_S, TAKEN_LIMIT_S, Finding, Paste, Taken, examine
from coldvoxd.typist.polling import LOOK_S, until

SETTLE_S = 0.1
"""Seconds that clipboard managers, which fetch new content at once, get before the chord is pressed."""
BETWEEN_S = 0.5
"""Seconds after a fetch during which the next text does not replace the content. A window may fetch twice, in Chromium
up to one turn of the page's main thread apart."""
OFFER_TRIES = 3
"""How often the text is offered before the chord is pressed, if something else replaces it each time."""
SLOWER = 3
"""How many times as long as for the text a clipboard manager may take for its copy of what is restored."""
RETURN_TRIES = 4
"""How often restoring the content is tried. Each try fails after seconds while the display stalls."""

Press = Callable[[], Awaitable[None]]
"""Presses the chord that pastes and returns once its keys are released."""
Chord = Callable[[], AbstractAsyncContextManager[Press]]
"""Prepares the keyboard and yields `Press`; the context ends once the text was fetched or the wait has ended."""


class Offer(Protocol):
    """A text in the clipboard."""

    fetched_s: list[float]
    """Loop time of each fetch."""

    @property
    def replaced(self) -> bool:
        """Whether newer content is in the clipboard."""

    async def end(self) -> None:
        """Stop offering; the clipboard is empty then unless it has newer content."""


class Board(Protocol):
    """A clipboard whose content can be saved, replaced by a text, and restored. Methods raise Refused."""

    @property
    def is_primary(self) -> bool:
        """Whether this is the primary selection, in which no text is left for the user."""

    async def save(self) -> Content:
        """Save the content. Raises Refused if it could not be restored."""

    async def offer(self, text: str) -> Offer:
        """Put `text` into the clipboard; it is there when this returns."""

    async def put_back(self, saved: Content, offer: Offer | None) -> None:
        """Restore what was saved, unless newer content replaces `offer` meanwhile; with None, whatever is there."""

    async def has(self, text: str) -> bool:
        """Return whether the clipboard has `text`, whichever program offers it."""

    async def leave(self, text: str, saved: Content, offer: Offer) -> None:
        """Leave `text` in the clipboard, also after the end of this process: no window took it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a paste."""

    taken: Taken
    error: str = ""
    """Why the clipboard's content was not restored; empty if it was."""
    left: bool = False
    """Whether the text is in the clipboard."""


@dataclass(slots=True)
class _Lent:
    """The paste that has the clipboard now."""

    text: str
    left: str
    """What is left in the clipboard if no window takes the text."""
    before: Content
    offer: Offer
    offered_s: float
    browser: Browser | None
    pressed_s: float = 0.0
    released_s: float = 0.0
    copied_s: float = 0.0
    """Seconds after the offer in which a clipboard manager put its copy of the text in its place, so that the window's
    fetch is not seen; 0 if none did."""
    earlier: tuple[str, ...] = ()
    """The texts that have had the clipboard since `before` was saved. A manager may be late with its copy of one."""
    late: bool = False
    """The window did not fetch the text in time, but may still do so."""
    verdict: "asyncio.Future[Verdict]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Loan:
    """One clipboard, lent to one paste after the other. Event loop only."""

    def __init__(self, board: Board, lock: Path) -> None:
        """`lock` is a file: while this process has the clipboard on loan, no other client of ours borrows it."""
        self._board = board
        self._lock = FileLock(lock)
        self._lent: _Lent | None = None
        self._watching: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._period_s = 0.0

    async def paste(
        self, text: str, chord: Chord, browser: Browser | None = None, left: str | None = None
    ) -> "asyncio.Future[Verdict]":
        """Offer `text`, press the chord, and return once a program has fetched it; which one is known later.

        `browser` is the browser that has the window, if one has. `left` replaces `text` in the clipboard once no window is
        expected to take it; if it is empty, the content from before the paste does.
        Raises what `chord` raises, except Interrupted: the chord may have been pressed. Raises Refused if no program
        fetches within `TAKEN_LIMIT_S`; the text stays in the clipboard then, unless a program fetches it within `LATE_S`.
        """
        await self._stop_watching()
        lent = await self._lend(text, text if left is None else left, browser)
        async with AsyncExitStack() as keys:
            try:
                await self._until_settled(lent)
                press = await keys.enter_async_context(chord())
                lent.pressed_s = _now_s()
                with suppress(Interrupted):  # pressed or not: whether the text is fetched will show
                    await press()
                lent.released_s = _now_s()
            except BaseException:
                with suppress(Refused):  # the error at hand says more
                    await self._give_back(lent)
                raise
            try:
                await self._until_fetched(lent)
                if lent.offer.replaced and await self._board.has(text):
                    lent.copied_s = _now_s() - lent.offered_s
            except Refused:
                lent.late = True
                self._watching = asyncio.create_task(self._watch_late(lent), name="late paste")
                raise
            except BaseException:
                await self._leave_if_possible(lent)
                raise
        self._watching = asyncio.create_task(self._watch(lent), name="paste")
        return lent.verdict

    def late(self, text: str) -> "asyncio.Future[Verdict] | None":
        """Return the verdict to come if `text` is in the clipboard, since no window has fetched it in time; else None."""
        lent = self._lent
        is_late = lent is not None and lent.late and lent.text == text and not lent.offer.replaced
        return lent.verdict if lent and is_late else None

    async def close(self) -> None:
        """Return when the clipboard has its own content again, or a text that no window has fetched."""
        lent = self._lent
        if self._watching and lent and self._is_awaited(lent):
            self._watching.cancel()
            await asyncio.wait([self._watching])
            left = await self._leave_if_possible(lent)
            if not lent.verdict.done():
                lent.verdict.set_result(Verdict(self._judge(lent), left=left))
        elif self._watching:
            await asyncio.wait([self._watching])
        if self._returning:
            await asyncio.wait([self._returning])

    async def _lend(self, text: str, left: str, browser: Browser | None) -> _Lent:
        await self._lock.acquire()
        previous, self._lent = self._lent, None
        try:
            own = previous and (not previous.offer.replaced or await self._board.has(previous.text))
            before = previous.before if previous and own else await self._board.save()
            offered_s = _now_s()
            offer = await self._board.offer(text)
        except BaseException:
            if previous:
                await self._give_back(previous)
            self._lock.release()
            raise
        if previous:
            await previous.offer.end()
        earlier = (*previous.earlier, previous.text) if previous and own else ()
        self._lent = _Lent(text, left, before, offer, offered_s, browser, earlier=earlier)
        return self._lent

    async def _until_settled(self, lent: _Lent) -> None:
        """Let clipboard managers fetch the text, and offer it again if anything but their copy of it replaced it.

        What replaced it is restored later. Raises Refused if it is replaced each time.
        """
        for tries in range(1, OFFER_TRIES + 1):
            await asyncio.sleep(SETTLE_S)
            replaced = lent.offer
            if not replaced.replaced or await self._board.has(lent.text):
                return
            if tries == OFFER_TRIES:
                raise Refused("another program keeps replacing the content of the clipboard")
            found = await self._board.save()
            if not is_copy(found, [*lent.before.values(), *(text.encode() for text in lent.earlier)]):
                lent.before = found
            lent.offered_s = _now_s()
            lent.offer = await self._board.offer(lent.text)
            await replaced.end()

    async def _until_fetched(self, lent: _Lent) -> None:
        """Wait for a fetch, ignoring those of a known reader. Return at once if newer content is in the clipboard."""
        while (finding := self._examine(lent)).taken in {Taken.BY_NONE, Taken.BY_READER}:
            if lent.offer.replaced:
                return
            if _now_s() - lent.released_s > TAKEN_LIMIT_S:
                if finding.taken is Taken.BY_READER:
                    return
                raise Refused("the window did not read the pasted text")
            await asyncio.sleep(LOOK_S)

    async def _watch(self, lent: _Lent) -> None:
        """Wait until the paste is over, then restore the clipboard."""
        await until(lambda: self._is_over(lent))
        self._returning = asyncio.create_task(self._return(lent), name="clipboard's return")

    async def _watch_late(self, lent: _Lent) -> None:
        """Wait for a late fetch. Then restore the clipboard when it is over; without a fetch leave the text."""
        await until(lambda: lent.offer.replaced or not self._is_awaited(lent))
        # A program that polls the clipboard never stops fetching.
        await until(lambda: lent.offer.replaced or _now_s() - self._examine(lent).last_s >= QUIET_S, HOLD_LIMIT_S)
        self._returning = asyncio.create_task(self._return(lent), name="clipboard's return")

    async def _return(self, lent: _Lent) -> None:
        taken, left = self._judge(lent), False
        try:
            stays = taken in {Taken.BY_READER, Taken.PARTLY} or (taken is Taken.BY_NONE and lent.late)
            if stays:
                left = await self._leave(lent)
            else:
                await self._give_back(lent, RETURN_TRIES)
        except Refused as error:
            lent.verdict.set_result(Verdict(taken, f"the clipboard could not be restored: {error}"))
        finally:
            if not lent.verdict.done():
                lent.verdict.set_result(Verdict(taken, left=left))

    async def _stop_watching(self) -> None:
        """End the watch; the next paste keeps what was saved, and the previous one is judged by its fetches so far."""
        watching, lent = self._watching, self._lent
        if watching and lent:
            await until(lambda: watching.done() or not self._is_busy(lent))
            watching.cancel()
            await asyncio.wait([watching])
            if watching.cancelled() and not lent.verdict.done():
                lent.verdict.set_result(Verdict(self._judge(lent)))
        if self._returning:
            await asyncio.wait([self._returning])

    def _is_over(self, lent: _Lent) -> bool:
        if lent.copied_s:
            return _now_s() - lent.released_s >= TAKEN_LIMIT_S
        return lent.offer.replaced or self._examine(lent).over(self._paste(lent), _now_s())

    def _is_awaited(self, lent: _Lent) -> bool:
        """Return whether a window that was late, or a browser's page, may still fetch the text."""
        taken = self._examine(lent).taken
        unread = lent.late and taken in {Taken.BY_NONE, Taken.BY_READER}
        return (unread or taken is Taken.PARTLY) and _now_s() - lent.pressed_s < LATE_S

    def _is_busy(self, lent: _Lent) -> bool:
        if lent.copied_s:
            return True  # until the watch ends
        if lent.offer.replaced:
            return False
        if self._is_awaited(lent):
            return True
        return _now_s() - self._examine(lent).last_s < BETWEEN_S

    def _judge(self, lent: _Lent) -> Taken:
        finding = self._examine(lent)
        self._period_s = finding.period_s
        if lent.browser and not lent.verdict.done():
            lent.browser.note(finding.reads)
        return Taken.COPIED if lent.copied_s and finding.taken is Taken.BY_NONE else finding.taken

    def _examine(self, lent: _Lent) -> Finding:
        return examine(self._paste(lent), _now_s())

    def _paste(self, lent: _Lent) -> Paste:
        reads = lent.browser.reads if lent.browser else 1
        return Paste(lent.offered_s, lent.pressed_s, lent.offer.fetched_s, lent.released_s, self._period_s, reads)

    async def _give_back(self, lent: _Lent, tries: int = 1) -> None:
        """Restore the content, unless newer content is in the clipboard. Raises Refused if all `tries` failed.

        A clipboard manager's copy of the text is not newer content. It copies what is restored as well: this returns when
        that is done, since its copy would replace the next text.
        """
        try:
            while tries and (not lent.offer.replaced or await self._board.has(lent.text)):
                tries -= 1
                try:
                    await self._board.put_back(lent.before, None if lent.offer.replaced else lent.offer)
                except Refused:
                    if not tries:
                        raise
                    continue
                if not lent.copied_s:
                    return
                await asyncio.sleep(SLOWER * lent.copied_s)
        finally:
            await self._end(lent)

    async def _leave(self, lent: _Lent) -> bool:
        """Leave the text, since a window that has not read it yet may do so later. Return whether it is there."""
        try:
            if lent.late and self._board.is_primary:
                # The text has been left in the clipboard, where the user may have copied something else since.
                await self._give_back(lent, RETURN_TRIES)
                return True
            if not lent.left:
                await self._give_back(lent, RETURN_TRIES)
            if not lent.left or lent.offer.replaced:
                return False
            await self._board.leave(lent.left, lent.before, lent.offer)
            return True
        finally:
            await self._end(lent)

    async def _leave_if_possible(self, lent: _Lent) -> bool:
        with suppress(Refused):  # the error at hand says more
            return await self._leave(lent)
        return False

    async def _end(self, lent: _Lent) -> None:
        await lent.offer.end()
        if self._lent is lent:
            self._lent = None
            self._lock.release()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
