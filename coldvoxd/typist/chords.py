"""Chords such as Ctrl+V on X11, pressed so that they work in any keyboard layout."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from coldvoxd.typist.clipboard_loan import Press
from coldvoxd.typist.errors import Interrupted, NoAnswer, Refused
from coldvoxd.typist.held_keys import Ready, ready_in
from coldvoxd.typist.keymap import ALT, CONTROL, LEVEL3, SHIFT, SUPER, Key, Stroke
from coldvoxd.typist.portal_session import KEYCODES
from coldvoxd.typist.programs import run
from coldvoxd.typist.x11 import XServer

MEANING_S = 0.6
"""Minimum time in seconds for which a temporary key mapping stays: a window looks up a key when it handles its
event."""
_EVDEV = 8
"""Offset of an X11 key code from the evdev code."""
_NAMED_KEYS = {"Insert": 0xFF63, "XF86Paste": 0x1008FF6D} | {f"F{number}": 0xFFBD + number for number in range(1, 36)}
_MODIFIERS = {"ctrl": CONTROL, "control": CONTROL, "shift": SHIFT, "alt": ALT, "super": SUPER}


@dataclass(frozen=True, slots=True)
class _Chord:
    keysym: int
    modifiers: tuple[int, ...]

    @classmethod
    def parsed(cls, names: str) -> "_Chord | None":
        """Parse `ctrl+v` and the like; None for a key that is not listed here, which xdotool presses."""
        *modifiers, name = names.split("+")
        keysym = _NAMED_KEYS.get(name) or (ord(name) if len(name) == 1 and "!" <= name <= "~" else 0)
        bits = tuple(_MODIFIERS.get(modifier.lower(), 0) for modifier in modifiers)
        return cls(keysym, bits) if keysym and all(bits) else None

    def group(self, now: Ready) -> int | None:
        """Return the layout that has a key for the chord, preferably the active one; None if no layout has."""
        groups = sorted(now.keymap.groups, key=lambda group: group != now.keyboard.group)
        return next((group for group in groups if self._plain(now, group)), None)

    def stroke(self, now: Ready, group: int) -> Stroke:
        """Return the keys to press in this layout. Raises Refused if a modifier has no key."""
        modifiers = [now.keymap.modifier_key(modifier) for modifier in self.modifiers]
        known = [code for code in modifiers if code is not None]
        if len(known) < len(modifiers):
            raise Refused("the keyboard has no keys for the paste shortcut")
        return tuple(dict.fromkeys((*known, *self._plain(now, group))))

    def key_to_lend(self, now: Ready) -> int | None:
        """Return the code of the key to remap: the letter's on a US keyboard (for some toolkits) or an unused one."""
        place = KEYCODES.get(chr(self.keysym).lower())
        return place + _EVDEV if place else now.keymap.unused_key()

    def _plain(self, now: Ready, group: int) -> Stroke:
        """Return the stroke for the key; empty if it needs AltGr, which a window would take as part of the chord."""
        stroke = now.keymap.stroke(self.keysym, group, 0)
        return () if stroke is None or now.keymap.modifier_key(LEVEL3) in stroke else stroke


@asynccontextmanager
async def chord(names: str, environment: Mapping[str, str], window: str) -> AsyncIterator[Press]:
    """Yield a function that presses keys such as `ctrl+v` in `window`.

    A temporary key mapping that the chord needs is removed when the context ends. Raises Refused.
    """
    known = _Chord.parsed(names)
    async with XServer.connected(environment) as server:
        if known is None:

            async def press() -> None:
                await ready_in(server, window)
                try:
                    await run("xdotool", "key", names, environment=environment)
                except NoAnswer as error:
                    raise Interrupted(str(error)) from error

            yield press
            return
        now = await ready_in(server, window)
        if known.group(now) is not None:
            yield lambda: _press(server, known, window)
            return
        async with _lent_key(server, known, now):
            yield lambda: _press(server, known, window)


async def _press(server: XServer, known: _Chord, window: str) -> None:
    now = await ready_in(server, window)
    group = known.group(now)
    if group is None:
        raise Refused("the keyboard layout has no key for the paste shortcut")
    stroke = known.stroke(now, group)
    # Sent as one batch, so that no key of the user comes between them.
    if group != now.keyboard.group:
        server.lock_group(group)
    server.tap(*stroke)
    if group != now.keyboard.group:
        server.lock_group(now.keyboard.locked_group)
    try:
        await server.input_focus()  # once the server answers, it has pressed the keys
    except Refused as error:
        raise Interrupted(str(error)) from error


@asynccontextmanager
async def _lent_key(server: XServer, known: _Chord, now: Ready) -> AsyncIterator[None]:
    """Map a key to the chord's keysym within the context, since no layout has one."""
    code = known.key_to_lend(now)
    if code is None or known.keysym > ord("~"):
        raise Refused("the keyboard layout has no key for the paste shortcut")
    own, lent = now.keymap.key(code), Key.of_character(known.keysym)
    await server.map_key(code, lent)
    started_s = _now_s()
    try:
        yield
        await asyncio.sleep(started_s + MEANING_S - _now_s())
    finally:
        with suppress(Refused):  # the server has ended, and with it its keyboard map
            await server.input_focus()
            if (await server.keymap()).key(code) == lent:
                await server.map_key(code, own)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
