"""Screen lock watch, for a microphone that is released while the screen is locked."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.screen_lock import ScreenLock
from coldvoxd.core.errors import BusUnavailable

log = logging.getLogger(__name__)


class LockWatch:
    """Follows the desktop's screen lock once the setting `release_on_lock` is on. Event loop only.

    `on_lock` is called with whether the microphone must be released: on each change of the lock while the setting is
    on, and when the setting changes while the screen is locked.
    """

    def __init__(self, connection: Connection, release_on_lock: bool, on_lock: Callable[[bool], None]) -> None:
        self._connection = connection
        self._on_lock = on_lock
        self._release = release_on_lock
        self._wanted = asyncio.Event()
        self._locked = False
        if release_on_lock:
            self._wanted.set()

    @property
    def wanted(self) -> bool:
        """Whether the setting has been on at any time."""
        return self._wanted.is_set()

    async def begin(self) -> None:
        """Wait until the setting is on, then subscribe to the screen lock, and report it if it is already active."""
        await self._wanted.wait()
        with contextlib.suppress(BusUnavailable):  # Connection.wait_until_lost reports it
            await ScreenLock(self._connection, self._note).watch()

    def use_settings(self, release_on_lock: bool) -> None:
        """Apply a new value of the setting, also to an active lock."""
        self._release = release_on_lock
        if release_on_lock:
            self._wanted.set()
        if self._locked:
            self._on_lock(release_on_lock)

    def _note(self, locked: bool) -> None:
        self._locked = locked
        if self._release:
            log.info("screen %s", "locked" if locked else "unlocked")
            self._on_lock(locked)
