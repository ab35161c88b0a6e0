"""The methods to get text into a window, each by one of the desktop's programs."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from coldvoxd.typist import chords, clipboard, x11_keys
from coldvoxd.typist.clipboard import Clipboards
from coldvoxd.typist.clipboard_loan import Press, Verdict
from coldvoxd.typist.environment import on_wayland, presses_by_portal
from coldvoxd.typist.errors import Interrupted, Refused
from coldvoxd.typist.focus import Focus, focused
from coldvoxd.typist.portal import RemoteDesktop
from coldvoxd.typist.portal_session import SessionGone
from coldvoxd.typist.programs import run
from coldvoxd.typist.settings import Method, Rule

CHUNK = 80
"""Characters that wtype types between two checks of the focus."""
LONGEST_TYPED = 400
"""Longer texts are pasted if possible: typing them would take seconds."""
WTYPE_SETTLE_MS = 50
"""wtype creates its own keyboard; windows that haven't seen it yet miss its first keys."""
_WTYPE_MODIFIERS = {"ctrl": "ctrl", "control": "ctrl", "shift": "shift", "alt": "alt", "super": "logo", "logo": "logo"}


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a text, and the means of delivery."""

    environment: Mapping[str, str]
    focus: Focus
    rule: Rule
    remote: RemoteDesktop
    clipboards: Clipboards


Pasted = asyncio.Future[Verdict]


async def type_text(target: Target, text: str) -> str:
    """Type `text` while the focus stays. Return why some of it may not have arrived; empty if all has.

    Raises Refused if nothing was typed, and Interrupted with the rest if only a part was.
    """
    if on_wayland(target.environment):
        return await _by_wtype(target, text)
    if not text.isascii():
        # Layouts have keys for few others, and a remapped key is misread by windows that still know its old meaning.
        raise Refused("only ASCII can be typed reliably on X11")
    return await x11_keys.type_keys(text, target.environment, target.rule.delay_ms, target.focus.window)


async def paste(target: Target, text: str) -> Pasted:
    """Paste by the clipboard and the application's own chord; the clipboard's content is restored afterwards."""
    loan = target.clipboards.loan(target.environment, target.rule.selection)
    return await loan.paste(text, lambda: _chord(target))


async def paste_by_portal(target: Target, text: str) -> Pasted:
    """Paste like `paste`, but with the portal's keys and usually its clipboard."""
    try:
        return await _paste_by_portal(target, text)
    except SessionGone:
        return await _paste_by_portal(target, text)


async def _paste_by_portal(target: Target, text: str) -> Pasted:
    async with target.remote.session() as session:

        async def press() -> None:
            await session.tap(target.rule.chord)

        def chord() -> AbstractAsyncContextManager[Press]:
            return nullcontext(press)

        if session.has_clipboard:
            return await session.loan.paste(text, chord)
        return await target.clipboards.loan(target.environment, target.rule.selection).paste(text, chord)


async def leave_in_clipboard(target: Target, text: str) -> None:
    """Leave the text in the clipboard for the user to paste."""
    await clipboard.put(text, target.environment)


async def _by_wtype(target: Target, text: str) -> str:
    for start in range(0, len(text), CHUNK):
        rest = text[start:]
        if start and not await _still_there(target, rest):
            raise Interrupted(x11_keys.MOVED, rest)
        try:
            await _keys(target, text[start : start + CHUNK])
        except Refused as error:
            if not start:
                raise
            raise Interrupted(str(error), rest) from error
    if not target.focus.window:
        return "this desktop does not report which window is focused"
    return "" if await _still_there(target, "") else x11_keys.MOVED_AFTER


async def _still_there(target: Target, rest: str) -> bool:
    """Return whether the focus stayed; also true if the desktop does not report it."""
    if not target.focus.window:
        return True
    try:
        return (await focused(target.environment)).window == target.focus.window
    except Refused as error:
        if not rest:
            return False
        raise Interrupted(str(error), rest) from error


async def _keys(target: Target, text: str) -> None:
    delay = str(target.rule.delay_ms)
    limit_s = 5 + len(text) * (target.rule.delay_ms + 20) / 1000
    command = ["wtype", "-s", str(WTYPE_SETTLE_MS), "-d", delay, "-"]
    await run(*command, environment=target.environment, given=text.encode(), limit_s=limit_s)


def _chord(target: Target) -> AbstractAsyncContextManager[Press]:
    if not on_wayland(target.environment):
        return chords.chord(target.rule.chord, target.environment, target.focus.window)

    async def press() -> None:
        *modifiers, key = target.rule.chord.split("+")
        await run("wtype", *_wtype_chord(modifiers, key), environment=target.environment)

    return nullcontext(press)


def _wtype_chord(modifiers: list[str], key: str) -> Iterator[str]:
    names = []
    for modifier in modifiers:
        if modifier.lower() not in _WTYPE_MODIFIERS:
            raise Refused(f"{modifier} is not a modifier key; the modifiers are {', '.join(_WTYPE_MODIFIERS)}")
        names.append(_WTYPE_MODIFIERS[modifier.lower()])
    yield from ("-s", str(WTYPE_SETTLE_MS))
    for name in names:
        yield from ("-M", name)
    yield from ("-k", key)
    for name in reversed(names):
        yield from ("-m", name)


def ways(rule: Rule, text: str, environment: Mapping[str, str]) -> list[Method]:
    """Return the methods to try, the best first; the clipboard is always the last."""
    wayland, by_portal = on_wayland(environment), presses_by_portal(environment)
    if rule.method is Method.CLIPBOARD:
        return [Method.CLIPBOARD]
    if by_portal and rule.method is not Method.TYPE:
        return [Method.PORTAL, Method.CLIPBOARD]
    if rule.method is not Method.AUTO:
        return [rule.method, Method.CLIPBOARD]
    typed = [Method.TYPE] if len(text) <= LONGEST_TYPED and (wayland or text.isascii()) else []
    return [*typed, Method.PASTE, Method.CLIPBOARD]
