"""Types ASCII text on X11 with the keys that the active layout has for it."""

import asyncio
from collections.abc import Mapping

from coldvoxd.typist.errors import Interrupted, Refused
from coldvoxd.typist.held_keys import Ready, ready, ready_in
from coldvoxd.typist.keymap import Keymap, Stroke
from coldvoxd.typist.x11 import XServer

MOVED = "another window was focused while it was typed"
MOVED_AFTER = "the focus moved when it had been typed"
_LAYOUT_CHANGED = "the keyboard layout changed while it was typed"
_LACKING = "the keyboard layout has no keys for some of its characters"
_KEYSYMS = {"\n": 0xFF0D, "\t": 0xFF09}


async def type_keys(text: str, environment: Mapping[str, str], delay_ms: int, window: str) -> str:
    """Type ASCII `text` into `window`, which has the focus. Return why it may not have arrived; empty if it has.

    `delay_ms` is the pause after each key in milliseconds. Raises Refused if nothing was typed, and Interrupted if
    a part may have been.
    """
    async with XServer.connected(environment) as server:
        first = await ready_in(server, window)
        if any(_stroke(character, first) is None for character in set(text)):
            raise Refused(_LACKING)
        doubt = ""
        for place, character in enumerate(text):
            try:
                stroke, now = await _next_stroke(server, character)
            except Refused as error:
                if not place:
                    raise
                raise Interrupted(str(error)) from error
            server.tap(*stroke)
            # A window looks up keys when it handles them: earlier keys may be read with the new map.
            doubt = doubt or ("" if _means_the_same(text, first, now.keymap) else _LAYOUT_CHANGED)
            await asyncio.sleep(delay_ms / 1000)
        try:
            moved = await server.focus_moved()
            same = _means_the_same(text, first, await server.keymap())
        except Refused as error:
            return str(error)
        return doubt or (MOVED_AFTER if moved else "" if same else _LAYOUT_CHANGED)


async def _next_stroke(server: XServer, character: str) -> tuple[Stroke, Ready]:
    now = await ready(server)
    if now is None:
        raise Refused(MOVED)
    stroke = _stroke(character, now)
    if stroke is None:
        raise Refused(_LAYOUT_CHANGED)
    return stroke, now


def _stroke(character: str, now: Ready, keymap: Keymap | None = None) -> Stroke | None:
    keysym = _KEYSYMS.get(character) or ord(character)
    return (keymap or now.keymap).stroke(keysym, now.keyboard.group, now.keyboard.effective)


def _means_the_same(text: str, first: Ready, keymap: Keymap) -> bool:
    """Return whether the keys for `text` are still the ones of `first`."""
    return keymap is first.keymap or all(
        _stroke(character, first) == _stroke(character, first, keymap) for character in set(text)
    )
