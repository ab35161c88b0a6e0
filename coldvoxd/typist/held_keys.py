"""Modifiers that are held on X11, and the wait for their release.

A modifier that is down would change what the keys mean: an `o` becomes Ctrl+O. Its release can't be faked, as `xdotool
--clearmodifiers` does, since the state restored afterwards may no longer be that of the keyboard: Ctrl, released
meanwhile, stays down. So typing waits until a held modifier is released.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from coldvoxd.typist.errors import Refused
from coldvoxd.typist.focus import of_server
from coldvoxd.typist.keymap import Keymap
from coldvoxd.typist.polling import LOOK_S
from coldvoxd.typist.x11 import Keyboard, XServer

HELD_LIMIT_S = 120.0
"""Seconds that a modifier may be held. Push-to-talk users hold keys while the first sentences arrive."""
GRAB_LIMIT_S = 0.5
"""Seconds that a program may grab the keyboard while no key is down, as a menu that closes does."""

_MOVED_BEFORE = "another window got the focus before the text was sent"


@dataclass(frozen=True, slots=True)
class Ready:
    """The state and the map of the keyboard at a moment when no modifier was held."""

    keyboard: Keyboard
    keymap: Keymap


async def until_released(environment: Mapping[str, str]) -> None:
    """Return once no modifier is held. Raises Refused after `HELD_LIMIT_S`."""
    async with XServer.connected(environment) as server:
        await released(server)


async def released(server: XServer) -> None:
    """Return once no modifier is held. Raises Refused after `HELD_LIMIT_S`."""
    deadline_s = asyncio.get_running_loop().time() + HELD_LIMIT_S
    while (keyboard := await server.keyboard()).held_names:
        if asyncio.get_running_loop().time() > deadline_s:
            raise Refused(f"{keyboard.held_names} was held down for {HELD_LIMIT_S:g} s")
        await asyncio.sleep(LOOK_S)


async def ready(server: XServer) -> Ready | None:
    """Wait until no modifier is held. Return None if the focus has left the window that `server` watches."""
    while True:
        await released(server)
        if await server.focus_moved():
            return None
        if await server.grabbed():
            await _ungrabbed(server)
            continue
        keymap = await server.keymap()
        # The state is requested last: the key press follows directly.
        keyboard = await server.keyboard()
        if not keyboard.held_names and await server.keymap() is keymap:
            return Ready(keyboard, keymap)


async def _ungrabbed(server: XServer) -> None:
    """Return once no other program has grabbed the keyboard.

    While a key is down, a desktop's shortcut has. Otherwise it is a lock screen, a menu or the like, for an unknown
    time: raises Refused.
    """
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    while await server.grabbed():
        limit_s = HELD_LIMIT_S if await server.key_is_down() else GRAB_LIMIT_S
        if loop.time() - started_s > limit_s:
            raise Refused("another program, such as a screen lock or an open menu, gets all keys")
        await asyncio.sleep(LOOK_S)


async def ready_in(server: XServer, window: str) -> Ready:
    """Wait until no modifier is held. Raises Refused if the focus is not in `window` then."""
    await released(server)
    await server.watch_focus()
    if (await of_server(server)).window != window:
        raise Refused(_MOVED_BEFORE)
    found = await ready(server)
    if found is None:
        raise Refused(_MOVED_BEFORE)
    return found
