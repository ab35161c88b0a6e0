"""Decides whether PortAudio should search again for a microphone that was missing.

Each search costs 25 to 40 ms of CPU time and, in PortAudio 19.6, leaks 12 KiB, which would be half a gigabyte a day on
a machine without a microphone. Searches therefore become rarer as long as nothing has changed that could add one. A
sound server or a device that appears usually changes the surroundings, and is searched for at once. A server behind a
socket of systemd's changes nothing, so the first searches are frequent.
"""

import contextlib
import os
from pathlib import Path

from coldvoxd.userdirs import base_directories

SHARE = 0.25
"""The interval to the next search, relative to the time since the first failed one."""
LONGEST_S = 30.0
"""Maximum interval in seconds: some new microphones, such as Bluetooth headsets, cannot be detected here."""

Surroundings = tuple[tuple[str, int, int], ...]


def surroundings() -> Surroundings:
    """Name, inode and change time of files that belong to sound servers and sound devices. Any thread, microseconds."""
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
    """Records failed searches. Not thread-safe."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._seen: Surroundings = ()
        self._first_s = 0.0
        self._last_s = 0.0

    def in_vain(self, seen: Surroundings, now_s: float) -> str | None:
        """Why a search would fail again; None if it should be tried."""
        waits = now_s - self._last_s < min(LONGEST_S, SHARE * (self._last_s - self._first_s))
        return self._reason if waits and seen == self._seen else None

    def failed(self, reason: str, seen: Surroundings, now_s: float) -> None:
        """Record that a search that started with these surroundings found nothing."""
        if self._reason is None or seen != self._seen:
            self._first_s = now_s
        self._reason, self._seen, self._last_s = reason, seen, now_s

    def succeeded(self) -> None:
        self._reason = None
