"""The ways into a window, each by one program of the desktop."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum

from coldvox_type import clipboard
from coldvox_type.clipboard import Offer
from coldvox_type.faults import Interrupted, Refused
from coldvox_type.focus import Focus, focused
from coldvox_type.programs import run
from coldvox_type.remote import Content, Remote, SessionGone
from coldvox_type.settings import Method, Rule
from coldvox_type.surroundings import on_wayland, presses_by_portal

CHUNK = 80
"""Characters that are typed before it is looked whether the focus is still where it was."""
LONGEST_TYPED = 400
"""What is longer is pasted where it can be: typing it would take seconds."""
WTYPE_SETTLE_MS = 50
"""wtype brings a keyboard of its own; windows that haven't seen it yet miss its first keys."""
_WTYPE_MODIFIERS = {"ctrl": "ctrl", "control": "ctrl", "shift": "shift", "alt": "alt", "super": "logo", "logo": "logo"}


class Result(StrEnum):
    TYPED = "typed"
    PASTED = "pasted"
    CLIPBOARD = "clipboard"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Target:
    """Where text goes, and how."""

    environment: Mapping[str, str]
    focus: Focus
    rule: Rule
    remote: Remote


async def type_text(target: Target, text: str) -> Result:
    """Key by key, as far as the focus stays; Interrupted where it moved in the middle of it."""
    if not on_wayland(target.environment) and not text.isascii():
        # xdotool would give keys new meanings while windows still read the last ones.
        raise Refused("xdotool can't type all of these characters reliably")
    for start in range(0, len(text), CHUNK):
        rest = text[start:]
        if start:
            await _still_there(target, rest)
        try:
            await _keys(target, text[start : start + CHUNK])
        except Refused as fault:
            if not start:
                raise
            raise Interrupted(str(fault), rest) from fault
    return Result.TYPED


async def paste(target: Target, text: str) -> Result:
    """By the clipboard and the application's own chord; the clipboard is as before afterwards."""
    async with clipboard.borrowed(text, target.environment, target.rule.selection) as offer:
        before = await offer.settled()
        await _chord(target)
        await offer.fetched(before)
    return Result.PASTED


async def paste_by_portal(target: Target, text: str) -> Result:
    """As `paste`, with the keys and mostly the clipboard of the desktop's portal."""
    try:
        return await _paste_by_portal(target, text)
    except SessionGone:
        return await _paste_by_portal(target, text)


async def _paste_by_portal(target: Target, text: str) -> Result:
    async with target.remote.session() as session:
        borrowed: AbstractAsyncContextManager[Content | Offer] = (
            session.borrowed(text)
            if session.has_clipboard
            else clipboard.borrowed(text, target.environment, target.rule.selection)
        )
        async with borrowed as offer:
            before = await offer.settled()
            await session.tap(target.rule.chord)
            await offer.fetched(before)
    return Result.PASTED


async def leave_in_clipboard(target: Target, text: str) -> Result:
    await clipboard.put(text, target.environment)
    return Result.CLIPBOARD


async def _still_there(target: Target, rest: str) -> None:
    if not target.focus.window:
        return
    try:
        now = await focused(target.environment)
    except Refused as fault:
        raise Interrupted(str(fault), rest) from fault
    if now.window != target.focus.window:
        raise Interrupted("another window got the focus in the middle of it", rest)


async def _keys(target: Target, text: str) -> None:
    delay = str(target.rule.delay_ms)
    limit_s = 5 + len(text) * (target.rule.delay_ms + 20) / 1000
    if on_wayland(target.environment):
        command = ["wtype", "-s", str(WTYPE_SETTLE_MS), "-d", delay, "-"]
    else:
        command = ["xdotool", "type", "--clearmodifiers", "--delay", delay, "--file", "-"]
    await run(*command, environment=target.environment, given=text.encode(), limit_s=limit_s)


async def _chord(target: Target) -> None:
    if not on_wayland(target.environment):
        await run("xdotool", "key", "--clearmodifiers", target.rule.chord, environment=target.environment)
        return
    *modifiers, key = target.rule.chord.split("+")
    await run("wtype", *_wtype_chord(modifiers, key), environment=target.environment)


def _wtype_chord(modifiers: list[str], key: str) -> Iterator[str]:
    names = []
    for modifier in modifiers:
        if modifier.lower() not in _WTYPE_MODIFIERS:
            raise Refused(f"{modifier} is no modifier key; there are {', '.join(_WTYPE_MODIFIERS)}")
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
