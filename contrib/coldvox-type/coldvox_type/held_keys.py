"""Keys on X11, pressed one at a time and only while no modifier is held down.

A modifier that is down would change what the keys mean: an `o` becomes Ctrl+O. Its release can't be faked, as `xdotool
--clearmodifiers` does, since the state put back afterwards may no longer be that of the keyboard: Ctrl, let go of
meanwhile, stays down. So a held modifier is waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from coldvox_type.faults import Interrupted, Refused
from coldvox_type.programs import LIMIT_S, run, start
from coldvox_type.waiting import LOOK_S
from coldvox_type.x11 import CAPS_LOCK, Keyboard, XServer

HELD_LIMIT_S = 120.0
"""How long a modifier may be held. Whoever holds keys to talk holds them while the first sentences come."""
MOVED = "another window got the focus in the middle of it"
_NAMES = {"\n": "Return", "\t": "Tab"}
_KEYSYMS = {"\n": 0xFF0D, "\t": 0xFF09}
_SHIFT_L = 0xFFE1


async def until_released(environment: Mapping[str, str]) -> None:
    """Return while no modifier is held; Refused after `HELD_LIMIT_S`."""
    async with XServer.connected(environment) as server:
        await _released(server)


async def press_chord(chord: str, environment: Mapping[str, str]) -> None:
    """Press and release keys such as `ctrl+v`. Raises Refused."""
    async with XServer.connected(environment) as server:
        await _released(server)
        await run("xdotool", "key", chord, environment=environment)


async def type_keys(text: str, environment: Mapping[str, str], delay_ms: int) -> bool:
    """Type ASCII into the window that has the focus; whether it kept the focus up to the end.

    Raises Refused where nothing was typed, and Interrupted with what was not.
    """
    async with XServer.connected(environment) as server, _pressing(environment) as press_other:
        await server.watch_focus()
        keys = await server.keys()
        for place, character in enumerate(text):
            try:
                keyboard = await _ready(server)
                if keyboard is None:
                    raise Interrupted(MOVED, text[place:])
                # With Caps Lock on, Shift makes a small letter of a capital.
                wanted = character.swapcase() if keyboard.effective & CAPS_LOCK else character
                if keyboard.group or not _tap(server, keys, wanted):
                    await press_other(wanted)
            except Refused as fault:
                if not place:
                    raise
                raise Interrupted(str(fault), text[place:]) from fault
            await asyncio.sleep(delay_ms / 1000)
        return not await server.focus_moved()


def _tap(server: XServer, keys: Mapping[int, tuple[int, bool]], character: str) -> bool:
    """Press the key of `character`; False where the first layout has none."""
    key = keys.get(_KEYSYMS.get(character) or ord(character))
    shift = keys.get(_SHIFT_L)
    if key is None or shift is None:
        return False
    code, needs_shift = key
    server.tap(*([shift[0], code] if needs_shift else [code]))
    return True


async def _ready(server: XServer) -> Keyboard | None:
    """The keyboard's state, a moment ago, with no modifier held; None where the focus has moved."""
    while True:
        await _released(server)
        if await server.focus_moved():
            return None
        # Asked last, and at once followed by the key.
        keyboard = await server.keyboard()
        if not keyboard.held_names:
            return keyboard


async def _released(server: XServer) -> Keyboard:
    """The keyboard's state, as soon as no modifier is held; Refused after `HELD_LIMIT_S`."""
    deadline_s = asyncio.get_running_loop().time() + HELD_LIMIT_S
    while (keyboard := await server.keyboard()).held_names:
        if asyncio.get_running_loop().time() > deadline_s:
            raise Refused(f"{keyboard.held_names} was held down for {HELD_LIMIT_S:g} s")
        await asyncio.sleep(LOOK_S)
    return keyboard


class _Xdotool:
    """Types what the first layout has no key for; its commands come from us, never as arguments, which all can read."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._started: asyncio.subprocess.Process | None = None

    @property
    def _process(self) -> asyncio.subprocess.Process:
        assert self._started is not None
        return self._started

    async def press(self, character: str) -> None:
        """Type one character; Refused where that fails."""
        if self._started is None:
            self._started = await start("xdotool", "-", environment=self._environment)
        key = _NAMES.get(character) or f"U{ord(character):04X}"
        # The second command answers with a line once the first is done.
        await self._write(f"key --delay 0 {key}\ngetdisplaygeometry\n")
        try:
            async with asyncio.timeout(LIMIT_S):
                assert self._process.stdout is not None
                answer = await self._process.stdout.readline()
        except TimeoutError:
            raise Refused(f"xdotool did not press a key within {LIMIT_S:g} s") from None
        if not answer:
            raise await self._fault()

    async def end(self) -> None:
        """End it, where it was started."""
        if self._started is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _write(self, commands: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(commands.encode())
            await self._process.stdin.drain()
        except OSError:
            raise await self._fault() from None

    async def _fault(self) -> Refused:
        assert self._process.stderr is not None
        words = (await self._process.stderr.read()).decode(errors="replace").strip().splitlines()
        return Refused(f"xdotool failed: {words[0] if words else f'exit code {await self._process.wait()}'}")


@asynccontextmanager
async def _pressing(environment: Mapping[str, str]) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    xdotool = _Xdotool(environment)
    try:
        yield xdotool.press
    finally:
        await xdotool.end()
