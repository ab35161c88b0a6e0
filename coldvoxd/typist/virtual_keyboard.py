"""A keyboard of our own in wlroots' compositors, by the protocol zwp_virtual_keyboard_v1 (virtual-keyboard-unstable-v1).

It stays plugged in while this process runs. A window that gets text from a keyboard that is unplugged right after the
last key may drop keys that it has not handled yet, and one that sees its first keyboard may miss the first keys.
"""

import asyncio
import os
import re
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from coldvoxd.typist.errors import Interrupted, Refused
from coldvoxd.typist.key_layout import Codes, keymap, keysym, keysyms, pieces
from coldvoxd.typist.portal_session import KEYCODES
from coldvoxd.typist.wayland import Wayland
from coldvoxd.typist.x11_keys import MOVED

MANAGER = "zwp_virtual_keyboard_manager_v1"
SETTLE_S = 0.05
"""Windows of Xwayland fetch a keyboard map after they hear of it, and would read earlier keys with the old one."""
PLUGGED_S = 0.5
"""Seconds that windows get to connect to the first keyboard of a seat."""
UNPLUG_S = 0.5
"""Seconds from the last key until the keyboard may be unplugged."""

_CREATE = 0
_KEYMAP, _KEY, _MODIFIERS, _DESTROY = 0, 1, 2, 3
_XKB_V1 = 1
_CAPABILITIES, _HAS_KEYBOARD = 0, 2
"""The event of wl_seat, and the bit in it."""
_BITS = {"shift": 1, "ctrl": 4, "control": 4, "alt": 8, "super": 64, "logo": 64}
_MODIFIER_KEYS = {name: (KEYCODES[name], bit) for name, bit in _BITS.items()}
"""The key code and the bit of each modifier, as all keyboard maps bind them."""
_SPARE = 86
"""The code of a key for keysyms that a US keyboard lacks."""

Stays = Callable[[], Awaitable[bool]]
"""Returns whether the target still has the focus."""


@dataclass(frozen=True, slots=True)
class Chord:
    """The keys of a chord."""

    held: tuple[tuple[int, int], ...]
    """Code and bit of each modifier key."""
    code: int
    """The code of the last key."""


class VirtualKeyboard:
    """A keyboard in a compositor. Event loop only; one text at a time."""

    def __init__(self, wayland: Wayland, keyboard: int, plugged_s: float) -> None:
        """Use `plugged` instead."""
        self._wayland = wayland
        self._keyboard = keyboard
        self._usable_s = plugged_s
        """Loop time at which windows know the keyboard."""
        self._last_s = plugged_s
        self._keysyms: Mapping[int, str] | None = None
        self._codes: Codes = {}

    @classmethod
    async def plugged(cls, environment: Mapping[str, str]) -> "VirtualKeyboard":
        """Plug a keyboard into the compositor's first seat.

        Raises Unavailable if the compositor does not allow that, and Refused if it does not respond.
        """
        wayland = await Wayland.connect(environment)
        try:
            seat, manager = wayland.bind("wl_seat"), wayland.bind(MANAGER)
            await wayland.sync()
            first = not any(
                opcode == _CAPABILITIES and struct.unpack("=I", body)[0] & _HAS_KEYBOARD
                for opcode, body in wayland.events(seat)
            )
            keyboard = wayland.create(manager, _CREATE, seat)
            made = cls(wayland, keyboard, _now_s() + (PLUGGED_S if first else 0))
            await made._upload({})
        except BaseException:
            wayland.close()
            raise
        return made

    @property
    def gone(self) -> bool:
        """Whether the compositor has ended the connection."""
        return self._wayland.gone

    async def type_keys(self, text: str, delay_ms: int, stays: Stays) -> None:
        """Type `text`, with a pause of `delay_ms` milliseconds after each key.

        Raises Refused if nothing was typed, and Interrupted if a part may have been.
        """
        pressed = False
        try:
            for piece in pieces(text, self._codes):
                await self._upload(keysyms(piece.codes))
                self._codes = piece.codes
                for character in piece.text:
                    await _check(stays)
                    pressed = True
                    self._stroke(piece.codes[character])
                    await self._wayland.sync()
                    await asyncio.sleep(delay_ms / 1000)
        except Refused as error:
            if pressed:
                raise Interrupted(str(error)) from error
            raise

    async def prepare(self, chord: str) -> "Chord":
        """Give the keyboard the keys of a chord such as `ctrl+shift+v`, and return when windows know them.

        Raises Refused if the chord has unknown keys.
        """
        *modifiers, name = chord.split("+")
        unknown = [modifier for modifier in modifiers if modifier.lower() not in _MODIFIER_KEYS]
        if unknown:
            raise Refused(f"{unknown[0]} is not a modifier key; the modifiers are {', '.join(_MODIFIER_KEYS)}")
        code = KEYCODES.get(name.lower())
        await self._upload({} if code else {_SPARE: _named(name)})
        return Chord(tuple(_MODIFIER_KEYS[modifier.lower()] for modifier in modifiers), code or _SPARE)

    async def tap(self, chord: "Chord", stays: Stays) -> None:
        """Press and release the keys of the chord prepared last while `stays` holds.

        Raises Refused if it was not pressed, and Interrupted if it may have been.
        """
        await _check(stays)
        try:
            for modifier, _ in chord.held:
                self._key(modifier, down=True)
            self._modify(sum({bit for _, bit in chord.held}))
            self._stroke(chord.code)
            for modifier, _ in reversed(chord.held):
                self._key(modifier, down=False)
            self._modify(0)
            await self._wayland.sync()
        except Refused as error:
            raise Interrupted(str(error)) from error

    async def close(self) -> None:
        """Unplug the keyboard, once windows have had the time to handle its last key."""
        with suppress(Refused):
            if not self.gone:
                await asyncio.sleep(self._last_s + UNPLUG_S - _now_s())
                self._wayland.send(self._keyboard, _DESTROY)
                await self._wayland.sync()
        self._wayland.close()

    async def _upload(self, names: Mapping[int, str]) -> None:
        """Give the keyboard this layout, and return when windows know it."""
        if names != self._keysyms:
            content = keymap(names).encode() + b"\0"
            descriptor = os.memfd_create("keymap", os.MFD_CLOEXEC)
            try:
                os.write(descriptor, content)
                self._wayland.send(self._keyboard, _KEYMAP, struct.pack("=II", _XKB_V1, len(content)), descriptor)
            finally:
                os.close(descriptor)
            self._keysyms, self._codes = names, {}
        # The compositor shows windows the map of the keyboard that was used last: make it ours.
        self._modify(0)
        await self._wayland.sync()
        await asyncio.sleep(max(SETTLE_S, self._usable_s - _now_s()))

    def _stroke(self, code: int) -> None:
        self._key(code, down=True)
        self._key(code, down=False)

    def _key(self, code: int, *, down: bool) -> None:
        self._last_s = _now_s()
        milliseconds = time.monotonic_ns() // 1_000_000 & 0xFFFFFFFF
        self._wayland.send(self._keyboard, _KEY, struct.pack("=III", milliseconds, code, down))

    def _modify(self, mask: int) -> None:
        self._wayland.send(self._keyboard, _MODIFIERS, struct.pack("=IIII", mask, 0, 0, 0))


class VirtualKeyboards:
    """The virtual keyboards of this process, one per compositor. Event loop only."""

    def __init__(self) -> None:
        self._plugged: dict[str, VirtualKeyboard] = {}

    async def keyboard(self, environment: Mapping[str, str]) -> VirtualKeyboard:
        """Return the keyboard in this desktop's compositor. Raises Refused."""
        display = environment.get("WAYLAND_DISPLAY", "")
        known = self._plugged.pop(display, None)
        if known and known.gone:
            await known.close()
            known = None
        self._plugged[display] = known or await VirtualKeyboard.plugged(environment)
        return self._plugged[display]

    async def close(self) -> None:
        """Unplug all keyboards."""
        for keyboard in self._plugged.values():
            await keyboard.close()


async def _check(stays: Stays) -> None:
    if not await stays():
        raise Refused(MOVED)


def _named(name: str) -> str:
    """Return the keysym's name. Raises Refused for what can't be one."""
    if len(name) == 1:
        return keysym(name)
    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise Refused(f"{name} is not the name of a key")
    return name


def _now_s() -> float:
    return asyncio.get_running_loop().time()
