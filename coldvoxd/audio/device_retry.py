"""The outlook: whether it is worth asking PortAudio again for a microphone that was not there.

Each search of PortAudio's costs 25 ms of CPU and, in 19.6, loses 12 KiB for good. On a machine without a microphone
that would be half a gigabyte a day; so where nothing has changed that could bring one, searches become rarer.
"""

import contextlib
import os
from pathlib import Path

from coldvoxd.userdirs import base_directories

SHARE = 0.1
"""A search is due when so much of the time since the first vain one has gone by since the last one."""
LONGEST_S = 30.0
"""It is due after so long at the latest: not everything that brings a microphone (a headset by radio) can be seen here."""

Surroundings = tuple[tuple[str, int, int], ...]


def surroundings() -> Surroundings:
    """Name, inode and change time of what comes with a sound server or a sound card. Any thread; takes microseconds."""
    environment = os.environ
    runtime = base_directories.runtime_directory() or base_directories.usual_runtime_directory()
    places = [
        Path(environment.get("PULSE_SERVER", "").removeprefix("unix:")),
        Path(environment.get("PULSE_RUNTIME_PATH", runtime / "pulse")) / "native",
        runtime / environment.get("PIPEWIRE_REMOTE", "pipewire-0"),
        Path("/dev/snd"),
    ]
    found = []
    for place in places:
        with contextlib.suppress(OSError):
            status = place.stat()
            found.append((str(place), status.st_ino, status.st_ctime_ns))
    return tuple(found)


class DeviceRetry:
    """Remembers vain searches. One thread."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._seen: Surroundings = ()
        self._first_s = 0.0
        self._last_s = 0.0

    def in_vain(self, seen: Surroundings, now_s: float) -> str | None:
        """Why a search would fail again; None where it is worth trying."""
        waits = now_s - self._last_s < min(LONGEST_S, SHARE * (self._last_s - self._first_s))
        return self._reason if waits and seen == self._seen else None

    def failed(self, reason: str, seen: Surroundings, now_s: float) -> None:
        """A search that began with these surroundings found nothing."""
        if self._reason is None or seen != self._seen:
            self._first_s = now_s
        self._reason, self._seen, self._last_s = reason, seen, now_s

    def succeeded(self) -> None:
        self._reason = None
