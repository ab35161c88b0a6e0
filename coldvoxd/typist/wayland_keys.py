"""Types text on Wayland by a virtual keyboard, while the target window keeps the focus."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from coldvoxd.typist import wtype
from coldvoxd.typist.clipboard_loan import Press
from coldvoxd.typist.errors import Interrupted, ProgramMissing, Refused, Unavailable
from coldvoxd.typist.focus import focused
from coldvoxd.typist.key_layout import can_type
from coldvoxd.typist.sway import FocusEvents
from coldvoxd.typist.virtual_keyboard import Stays, VirtualKeyboards
from coldvoxd.typist.x11_keys import MOVED, MOVED_AFTER

_UNKNOWN = "this desktop does not report which window is focused"


async def type_keys(
    text: str, keyboards: VirtualKeyboards, environment: Mapping[str, str], delay_ms: int, window: str
) -> str:
    """Type `text` into `window`, which has the focus. Return why it may not have arrived; empty if it has.

    Raises Refused if nothing was typed, and Interrupted if a part may have been.
    """
    if not can_type(text):
        raise Refused("characters beyond U+FFFF cannot be typed reliably")
    async with _watched(environment, window) as focus:
        if not await focus.stays():
            raise Refused(MOVED)
        try:
            keyboard = await keyboards.keyboard(environment)
        except Unavailable as error:
            await _by_wtype(text, environment, delay_ms, focus.stays, error)
        else:
            await keyboard.type_keys(text, delay_ms, focus.stays)
        if not window:
            return _UNKNOWN
        # sway sends its events when it has handled other clients' requests.
        await asyncio.sleep(0)
        return "" if await focus.stayed() else MOVED_AFTER


@asynccontextmanager
async def chord(
    names: str, keyboards: VirtualKeyboards, environment: Mapping[str, str], window: str
) -> AsyncIterator[Press]:
    """Prepare the keyboard, and yield a function that presses a chord such as `ctrl+v` in `window`, which has the focus.

    Both raise Refused if it was not pressed, and the function Interrupted if it may have been.
    """
    stays = _Focus(environment, window, None).stays
    try:
        keyboard = await keyboards.keyboard(environment)
    except Unavailable as error:
        refusal = error

        async def press() -> None:
            if not await stays():
                raise Refused(MOVED) from refusal
            try:
                await wtype.tap(names, environment)
            except ProgramMissing:
                raise refusal from None

        yield press
        return
    prepared = await keyboard.prepare(names)
    yield lambda: keyboard.tap(prepared, stays)


async def _by_wtype(
    text: str, environment: Mapping[str, str], delay_ms: int, stays: Stays, refusal: Unavailable
) -> None:
    for start in range(0, len(text), wtype.CHUNK):
        if start and not await stays():
            raise Interrupted(MOVED)
        try:
            await wtype.type_chunk(text[start : start + wtype.CHUNK], environment, delay_ms)
        except ProgramMissing:
            raise refusal from None
        except Refused as error:
            if not start:
                raise
            raise Interrupted(str(error)) from error


class _Focus:
    """The focus while a text is typed, if the desktop reports it."""

    def __init__(self, environment: Mapping[str, str], window: str, events: FocusEvents | None) -> None:
        self._environment = environment
        self._window = window
        self._events = events
        self._unchecked = 0
        """Number of keys since sway was asked: a screen lock takes the keys without an event."""

    async def stays(self) -> bool:
        """Return whether the window has the focus; also true if the desktop does not report it."""
        if not self._window:
            return True
        self._unchecked += 1
        if self._events and not self._events.moved and self._unchecked < wtype.CHUNK:
            return True
        self._unchecked = 0
        return await self._has_it()

    async def stayed(self) -> bool:
        """Return whether the window has the focus and kept it all the time."""
        return await self._has_it() and not (self._events and self._events.moved)

    async def _has_it(self) -> bool:
        try:
            return (await focused(self._environment)).window == self._window
        except Refused:
            return False


@asynccontextmanager
async def _watched(environment: Mapping[str, str], window: str) -> AsyncIterator[_Focus]:
    if not (window and environment.get("SWAYSOCK")):
        yield _Focus(environment, window, None)
        return
    events = await FocusEvents.watch(environment)
    try:
        focus = _Focus(environment, window, events)
        if not await focus.stayed():
            raise Refused(MOVED)
        yield focus
    finally:
        await events.close()
