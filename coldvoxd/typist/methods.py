"""The ways into a window, each by one program of the desktop."""

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
"""Characters that wtype types before the focus is looked at again."""
LONGEST_TYPED = 400
"""What is longer is pasted where it can be: typing it would take seconds."""
WTYPE_SETTLE_MS = 50
"""wtype brings a keyboard of its own; windows that haven't seen it yet miss its first keys."""
_WTYPE_MODIFIERS = {"ctrl": "ctrl", "control": "ctrl", "shift": "shift", "alt": "alt", "super": "logo", "logo": "logo"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where text goes, and how."""

    environment: Mapping[str, str]
    focus: Focus
    rule: Rule
    remote: RemoteDesktop
    clipboards: Clipboards


Pasted = asyncio.Future[Verdict]


async def type_text(target: Target, text: str) -> str:
    """Type `text` while the focus stays. Return why it may not all have arrived; empty if it has.

    Raises Refused if nothing was typed, and Interrupted with the rest if only a part was.
    """
    if on_wayland(target.environment):
        return await _by_wtype(target, text)
    if not text.isascii():
        # Layouts have keys for few others, and a key with a new meaning is read by windows that still know its old one.
        raise Refused("only ASCII can be typed reliably on X11")
    return await x11_keys.type_keys(text, target.environment, target.rule.delay_ms, target.focus.window)


async def paste(target: Target, text: str) -> Pasted:
    """By the clipboard and the application's own chord; the clipboard gets its content back afterwards."""
    loan = target.clipboards.loan(target.environment, target.rule.selection)
    return await loan.paste(text, lambda: _chord(target))


async def paste_by_portal(target: Target, text: str) -> Pasted:
    """As `paste`, with the keys and mostly the clipboard of the desktop's portal."""
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
    """For the person to paste."""
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
    """Also true where the desktop does not report the focus."""
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
    """The rungs to try, the best first; the clipboard is always the last."""
    wayland, by_portal = on_wayland(environment), presses_by_portal(environment)
    if rule.method is Method.CLIPBOARD:
        return [Method.CLIPBOARD]
    if by_portal and rule.method is not Method.TYPE:
        return [Method.PORTAL, Method.CLIPBOARD]
    if rule.method is not Method.AUTO:
        return [rule.method, Method.CLIPBOARD]
    typed = [Method.TYPE] if len(text) <= LONGEST_TYPED and (wayland or text.isascii()) else []
    return [*typed, Method.PASTE, Method.CLIPBOARD]
