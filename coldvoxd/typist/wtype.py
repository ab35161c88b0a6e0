"""Keys by the program wtype, where the compositor refuses our own virtual keyboard."""

from collections.abc import Iterator, Mapping

from coldvoxd.typist.errors import Interrupted, NoAnswer, Refused
from coldvoxd.typist.programs import run

CHUNK = 8
"""Characters of one call, so that no more go to a window that gets the focus meanwhile. wtype gives the nth distinct
character of a call the nth key of a keyboard, and the 14th, 29th and 56th are BackSpace, Ctrl and Alt, which Chromium
obeys if the character is no ASCII letter or digit."""
SETTLE_MS = 50
"""wtype creates its own keyboard; windows that haven't seen it yet miss its first keys."""
_MODIFIERS = {"ctrl": "ctrl", "control": "ctrl", "shift": "shift", "alt": "alt", "super": "logo", "logo": "logo"}


async def type_chunk(text: str, environment: Mapping[str, str], delay_ms: int) -> None:
    """Type at most `CHUNK` characters. Raises Refused if nothing was typed, and Interrupted if some of it may have been."""
    limit_s = 5 + len(text) * (delay_ms + 20) / 1000
    command = ["wtype", "-s", str(SETTLE_MS), "-d", str(delay_ms), "-"]
    try:
        await run(*command, environment=environment, given=text.encode(), limit_s=limit_s)
    except NoAnswer as error:
        raise Interrupted(str(error)) from error


async def tap(chord: str, environment: Mapping[str, str]) -> None:
    """Press a chord. Raises Refused if it was not pressed, and Interrupted if it may have been."""
    *modifiers, key = chord.split("+")
    try:
        await run("wtype", *_arguments(modifiers, key), environment=environment)
    except NoAnswer as error:
        raise Interrupted(str(error)) from error


def _arguments(modifiers: list[str], key: str) -> Iterator[str]:
    names = []
    for modifier in modifiers:
        if modifier.lower() not in _MODIFIERS:
            raise Refused(f"{modifier} is not a modifier key; the modifiers are {', '.join(_MODIFIERS)}")
        names.append(_MODIFIERS[modifier.lower()])
    yield from ("-s", str(SETTLE_MS))
    for name in names:
        yield from ("-M", name)
    yield from ("-k", key)
    for name in reversed(names):
        yield from ("-m", name)
