"""Shortcuts through the desktop's portal: one key dictates while it is held, the other starts and stops.

org.freedesktop.portal.GlobalShortcuts. The desktop asks the user for the keys, and stores them.

| event | state of the daemon | action |
|---|---|---|
| hold pressed | no session is listening | start, once the text of the last session is complete |
| hold pressed | any session is listening | nothing: the release stops it |
| hold released after less than TAP_S | the press started the session | nothing: it continues until the next press |
| hold released | the session of the press is listening | stop |
| hold released | that session has ended, or another one is listening | nothing |
| hold held, the daemon is restarted | the press had started a session | start; the release stops it |
| hold held, this program or the portal exits | the session of the press is listening | stop: no release will be received |
| toggle pressed | any | stop, or start once the text of the last session is complete |
| auto-repeat, toggle released | any | nothing |
| a press or release that fails | any | the error on stderr and as a notification; the state is unchanged |
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.client_options import Options
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.global_shortcuts import INTERFACE, Shortcut, bind
from coldvoxd.bus.peers.portal import PATH, SESSION, Portal, PortalFault, PortalMissing, PortalRefused
from coldvoxd.cli import desktop_entry
from coldvoxd.cli.key_presses import FAILED, Dictation, EventClock, Presses, start_after_last, toggle_after_last
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import BusUnavailable, ColdvoxError, DaemonUnreachable, NotActive
from coldvoxd.core.sentences import sentences

REGISTRY = "org.freedesktop.host.portal.Registry"
APPLICATION = desktop_entry.NAME.removesuffix(".desktop")
HOLD, TOGGLE = "hold", "toggle"
SHORTCUTS = (
    Shortcut(HOLD, "Dictate while held", "LOGO+ALT+h"),
    Shortcut(TOGGLE, "Start and stop dictation", "LOGO+ALT+t"),
)
TAP_S = 0.4
"""A hold key that is released within this many seconds was tapped: dictation continues until the next press."""
NO_KEY = "no key; set one in the desktop's settings"
NO_KEYS = (
    "The desktop assigned no key to dictation. Set one in its settings (GNOME: Apps; Plasma: Keyboard, Shortcuts), then run "
    "`systemctl --user restart coldvoxd-keys`, or `coldvoxctl shortcut portal` to be asked again."
)


@dataclass(frozen=True, slots=True)
class Signal:
    """A key went down or up. Times in seconds of the event loop's clock."""

    name: str
    down: bool
    at_s: float
    received_s: float


class Occasion(Enum):
    """Other events while keys are followed."""

    INTERRUPTED = auto()
    PORTAL_GONE = auto()
    BUS_GONE = auto()
    DAEMON_HERE = auto()


class Keys:
    """What presses and releases do, in the order of the events. Event loop only. Methods raise ColdvoxError."""

    def __init__(self, daemon: Dictation, options: Options | None = None) -> None:
        """`options` are those of the sessions that the keys start."""
        self._daemon = daemon
        self._options = options
        self._down_s: float | None = None
        """When the hold key went down; None while it is up."""
        self._session = 0
        """The session that the release stops; 0 for none."""
        self._began = False
        """Whether this press started that session."""

    async def pressed(self, name: str, at_s: float) -> None:
        if name == TOGGLE:
            await toggle_after_last(self._daemon, self._options)
        elif name == HOLD:
            self._down_s, self._session, self._began = at_s, 0, False
            self._session = await self._daemon.listening()
            if not self._session:
                await self._begin()

    async def released(self, name: str, at_s: float) -> None:
        if name != HOLD or self._down_s is None:
            return
        tapped = self._began and at_s - self._down_s < TAP_S
        session, self._session, self._down_s = self._session, 0, None
        if session and not tapped and await self._daemon.listening() == session:
            with suppress(NotActive):  # the session has already ended
                await self._daemon.stop()

    async def abandon(self) -> None:
        """Treat a held key as released, because no release will be received. Does not wait for the text."""
        session, self._session, self._down_s = self._session, 0, None
        if session and await self._daemon.listening() == session:
            await self._daemon.begin_to_stop()

    async def daemon_is_here(self) -> None:
        """Continue dictation for a held key after the daemon has returned to the bus."""
        if self._down_s is not None and self._began:
            await self._begin()

    async def _begin(self) -> None:
        self._session = await start_after_last(self._daemon, self._options)
        self._began = True


async def follow_keys(options: Options, output: Output) -> None:
    """Bind the keys and follow them until interrupted; start sessions with these options. Raises ColdvoxError."""
    connection = await Connection.open()
    try:
        async with Portal.opened(connection) as portal, DaemonClient.connected() as daemon:
            await _Following(portal, daemon, options, output).run()
    except PortalMissing as fault:
        raise ColdvoxError(
            "This desktop has no portal for shortcuts: use `coldvoxctl shortcut install`, or a key of its settings that "
            "runs `coldvoxctl toggle --from-key`."
        ) from fault
    except PortalRefused as fault:
        raise ColdvoxError(
            "The request was denied in the desktop's dialog, so there is no key; run this again."
        ) from fault
    except PortalFault as fault:
        raise ColdvoxError(
            sentences(
                f"The desktop's portal failed: {fault}",
                "It knows this program by an entry that `coldvoxctl setup` puts in place.",
            )
        ) from fault
    finally:
        await connection.aclose()


class _Following:
    def __init__(self, portal: Portal, daemon: DaemonClient, options: Options, output: Output) -> None:
        self._portal = portal
        self._daemon = daemon
        self._output = output
        self._keys = Keys(daemon, options)
        self._presses = {shortcut.name: Presses() for shortcut in SHORTCUTS}
        self._happened: asyncio.Queue[Signal | Occasion] = asyncio.Queue()
        self._shown = 0
        """The ID of the last notification, which the next one replaces."""

    async def run(self) -> None:
        portal, loop = self._portal, asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._happened.put_nowait, Occasion.INTERRUPTED)
        with suppress(PortalFault):  # older portals identify a program by its unit only
            await portal.call(REGISTRY, "Register", "sa{sv}", APPLICATION, {})
        session = await portal.create_session(INTERFACE)

        clock = EventClock()

        def heard(down: bool) -> Callable[[list[Any]], None]:
            def handler(body: list[Any]) -> None:
                _, name, timestamp_ms, *_ = body
                if body[0] == session:
                    received_s = loop.time()
                    at_s = clock.local(int(timestamp_ms), received_s)
                    self._happened.put_nowait(Signal(str(name), down, at_s, received_s))

            return handler

        def gone(_: object = None) -> None:
            self._happened.put_nowait(Occasion.PORTAL_GONE)

        try:
            with ExitStack() as listening:
                for member, down in (("Activated", True), ("Deactivated", False)):
                    listening.enter_context(portal.listening(PATH, INTERFACE, member, heard(down)))
                listening.enter_context(portal.listening(session, SESSION, "Closed", gone))
                listening.enter_context(portal.when_gone(gone))
                await self._bind(session)
                async with self._watching_daemon():
                    try:
                        await self._follow()
                    finally:
                        await self._do(self._keys.abandon())
        finally:
            await portal.close_session(session)

    async def _bind(self, session: str) -> None:
        keys = await bind(self._portal, session, SHORTCUTS)
        if not keys:
            error = ColdvoxError(NO_KEYS)
            await self._notify(error)
            raise error
        lines = [f"{shortcut.description}: {keys.get(shortcut.name) or NO_KEY}" for shortcut in SHORTCUTS]
        self._output.result({"event": "bound", "keys": keys}, "\n".join(lines))

    @asynccontextmanager
    async def _watching_daemon(self) -> AsyncIterator[None]:
        """A context in which the daemon's appearance on the bus is one of the events."""
        await self._daemon.subscribe(sessions=False)

        async def watch() -> None:
            try:
                while True:
                    if (await self._daemon.next_event()).name == "daemon-connected":
                        self._happened.put_nowait(Occasion.DAEMON_HERE)
            except BusUnavailable:
                self._happened.put_nowait(Occasion.BUS_GONE)

        watching = asyncio.create_task(watch(), name="daemon")
        try:
            yield
        finally:
            watching.cancel()

    async def _follow(self) -> None:
        """Follow the keys until interrupted. Raises DaemonUnreachable or BusUnavailable if that is no longer possible."""
        while True:
            event = await self._next()
            await self._release(event)
            match event:
                case Occasion.INTERRUPTED:
                    return
                case Occasion.PORTAL_GONE:
                    raise DaemonUnreachable("The desktop's portal has exited; the keys no longer work.")
                case Occasion.BUS_GONE:
                    raise BusUnavailable("The connection to the session bus was lost; the keys no longer work.")
                case Occasion.DAEMON_HERE:
                    await self._do(self._keys.daemon_is_here())
                case Signal(name, down, at_s, received_s) if name in self._presses:
                    if not down:
                        self._presses[name].released(at_s, received_s)
                    elif self._presses[name].pressed(at_s):
                        await self._do(self._keys.pressed(name, at_s))

    async def _release(self, event: Signal | Occasion | None) -> None:
        """Handle releases that have become certain, by an event or by a timeout."""
        now_s = asyncio.get_running_loop().time()
        for name, presses in self._presses.items():
            released_s = (
                presses.released_before(event.at_s) if isinstance(event, Signal) else presses.released_by(now_s)
            )
            if released_s is not None:
                await self._do(self._keys.released(name, released_s))

    async def _next(self) -> Signal | Occasion | None:
        """The next event; None if a release becomes certain before."""
        due_s = min((presses.due_s for presses in self._presses.values() if presses.due_s is not None), default=None)
        try:
            async with asyncio.timeout_at(due_s):
                return await self._happened.get()
        except TimeoutError:
            return None if self._happened.empty() else self._happened.get_nowait()

    async def _do(self, action: Coroutine[Any, Any, None]) -> None:
        try:
            await action
        except ColdvoxError as error:  # no model, no microphone or no daemon: the next press tries again
            self._output.error(error)
            await self._notify(error)

    async def _notify(self, error: ColdvoxError) -> None:
        self._shown = await self._daemon.notify(FAILED, str(error), replaces=self._shown)
