"""Screen lock watch: a microphone may have to be released while the screen is locked, and words must not be shown."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.screen_lock import ScreenLock
from coldvoxd.core.errors import BusUnavailable

log = logging.getLogger(__name__)


class LockWatch:
    """Follows the desktop's screen lock once the setting `release_on_lock` is on, or the lock is asked for.

    `on_lock` is called with whether the microphone must be released: on each change of the lock while the setting is
    on, and when the setting changes while the screen is locked. `on_cover` is called before, each time that the screen is
    locked. Event loop only.
    """

    def __init__(
        self,
        connection: Connection,
        release_on_lock: bool,
        on_lock: Callable[[bool], None],
        on_cover: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._on_lock = on_lock
        self._on_cover = on_cover
        self._is_known = False
        self._release = release_on_lock
        self._wanted = asyncio.Event()
        self._locked = False
        if release_on_lock:
            self._wanted.set()

    @property
    def wanted(self) -> bool:
        """Whether the setting has been on at any time, or the lock was asked for."""
        return self._wanted.is_set()

    def is_surely_unlocked(self) -> bool:
        """Return whether the desktop does not report a lock. The first call makes `begin` ask it; False until it has answered."""
        self._wanted.set()
        return self._is_known and not self._locked

    async def begin(self) -> None:
        """Wait until the lock is needed, then subscribe to it, and report it if it is already active."""
        await self._wanted.wait()
        with contextlib.suppress(BusUnavailable):  # Connection.wait_until_lost reports it
            await ScreenLock(self._connection, self._note).watch()
            self._is_known = True

    def use_settings(self, release_on_lock: bool) -> None:
        """Apply a new value of the setting, also to an active lock."""
        self._release = release_on_lock
        if release_on_lock:
            self._wanted.set()
        if self._locked:
            self._on_lock(release_on_lock)

    def _note(self, locked: bool) -> None:
        self._locked = locked
        if locked:
            self._on_cover()
        if self._release:
            log.info("screen %s", "locked" if locked else "unlocked")
            self._on_lock(locked)
