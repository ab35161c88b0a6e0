"""Keys by the desktop's portal, which can be held: dictation while one is down, and one that starts and stops.

org.freedesktop.portal.GlobalShortcuts. The desktop asks its user which keys they are, and keeps them.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.globalshortcuts import INTERFACE, Shortcut, bind
from coldvoxd.bus.portal import PATH, SESSION, Portal, PortalFault, PortalMissing, PortalRefused
from coldvoxd.cli import desktopentry
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import AlreadyActive, ColdvoxError, DaemonUnreachable, NotActive

REGISTRY = "org.freedesktop.host.portal.Registry"
APPLICATION = desktopentry.NAME.removesuffix(".desktop")
HOLD, TOGGLE = "hold", "toggle"
SHORTCUTS = (
    Shortcut(HOLD, "Dictate while held", "LOGO+ALT+h"),
    Shortcut(TOGGLE, "Start and stop dictation", "LOGO+ALT+t"),
)
GONE = (False, "", 0.0)
"""Instead of a key: the session has ended."""
TAP_S = 0.4
"""A key for holding that is let go of sooner was tapped: dictation goes on until the next tap."""


class Keys:
    """What pressing and letting go of the keys does, in the order in which it happens. Event loop only."""

    def __init__(
        self,
        start: Callable[[], Awaitable[object]],
        stop: Callable[[], Awaitable[object]],
        toggle: Callable[[], Awaitable[object]],
    ) -> None:
        self._start, self._stop, self._toggle = start, stop, toggle
        self._down_s: float | None = None
        """When the key for holding went down; None while it is up."""
        self._tapped = False
        """A tap has begun a session that the next tap ends."""

    async def pressed(self, name: str, now_s: float) -> None:
        """A key went down. A second time without having been up, as auto-repeat or a lost release makes it: nothing."""
        if name == TOGGLE:
            await self._toggle()
        elif name == HOLD and self._down_s is None:
            self._down_s = now_s
            if self._tapped:
                return  # its release stops
            with suppress(AlreadyActive):  # somebody's session goes on; our release ends it, as any client may
                await self._start()

    async def released(self, name: str, now_s: float) -> None:
        if name != HOLD or self._down_s is None:
            return
        short = now_s - self._down_s < TAP_S
        self._down_s = None
        if short and not self._tapped:
            self._tapped = True
            return
        self._tapped = False
        with suppress(NotActive):  # it has ended by itself meanwhile
            await self._stop()


async def follow_keys(output: Output) -> None:
    """Bind the keys and do as they say, until interrupted. Raises ColdvoxError."""
    connection = await Connection.open()
    try:
        async with Portal.opened(connection) as portal, DaemonClient.connected() as daemon:
            await _Following(portal, daemon, output).run()
    except PortalMissing as fault:
        raise ColdvoxError(
            "This desktop has no portal for shortcuts: use `coldvoxctl shortcut install`, or a key of its settings that "
            "runs `coldvoxctl toggle`."
        ) from fault
    except PortalRefused as fault:
        raise ColdvoxError(
            "The desktop's question was answered with no, so there is no key; run this again."
        ) from fault
    except PortalFault as fault:
        raise ColdvoxError(
            f"The desktop's portal failed: {fault}. It knows this program by an entry that `coldvoxctl setup` puts in place."
        ) from fault
    finally:
        await connection.aclose()


class _Following:
    def __init__(self, portal: Portal, daemon: DaemonClient, output: Output) -> None:
        self._portal = portal
        self._output = output
        self._keys = Keys(daemon.start, daemon.stop, daemon.toggle)
        self._happened: asyncio.Queue[tuple[bool, str, float] | None] = asyncio.Queue()

    async def run(self) -> None:
        portal, loop = self._portal, asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._happened.put_nowait, None)
        with suppress(PortalFault):  # older portals know a program by its unit alone
            await portal.call(REGISTRY, "Register", "sa{sv}", APPLICATION, {})
        session = await portal.create_session(INTERFACE)

        def heard(down: bool) -> Callable[[list[Any]], None]:
            def handler(body: list[Any]) -> None:
                if body[0] == session:
                    self._happened.put_nowait((down, str(body[1]), loop.time()))

            return handler

        try:
            with ExitStack() as listening:
                for member, down in (("Activated", True), ("Deactivated", False)):
                    listening.enter_context(portal.listening(PATH, INTERFACE, member, heard(down)))
                listening.enter_context(
                    portal.listening(session, SESSION, "Closed", lambda _: self._happened.put_nowait(GONE))
                )
                listening.enter_context(portal.when_gone(lambda: self._happened.put_nowait(GONE)))
                await self._bind(session)
                while (event := await self._happened.get()) is not None:
                    if event is GONE:
                        raise DaemonUnreachable("The desktop's portal has ended, and the keys with it.")
                    await self._do(*event)
        finally:
            await portal.close_session(session)

    async def _bind(self, session: str) -> None:
        keys = await bind(self._portal, session, SHORTCUTS)
        descriptions = {shortcut.name: shortcut.description for shortcut in SHORTCUTS}
        told = [f"{descriptions[name]}: {key or 'a key that the desktop knows'}" for name, key in keys.items()]
        self._output.result({"event": "bound", "keys": keys}, "\n".join(told or ["the desktop bound no key"]))

    async def _do(self, down: bool, name: str, now_s: float) -> None:
        try:
            await (self._keys.pressed(name, now_s) if down else self._keys.released(name, now_s))
        except ColdvoxError as error:  # no model yet, no microphone, no daemon: told, and the next press tries again
            self._output.error(error)
