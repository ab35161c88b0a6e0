"""Locks between processes of one login."""

import fcntl
import math
import os
from pathlib import Path

from coldvoxd.typist.polling import until


class FileLock:
    """An exclusive lock on a file; the kernel releases it when the process ends. Event loop only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    async def acquire(self, limit_s: float = math.inf) -> bool:
        """Wait until no other process holds the lock, and return True; False if one holds it after the limit.

        No effect while this object holds it.
        """
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            locked = await until(lambda: _locked(descriptor), limit_s)
        except BaseException:
            os.close(descriptor)
            raise
        if not locked:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock; no effect if it isn't held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
