"""Notifications to the service manager: sd_notify(3) and sd_watchdog_enabled(3)."""

import logging
import os

from sdnotify import SystemdNotifier

log = logging.getLogger(__name__)

_INFINITY = 2**64 - 1
"""systemd's USEC_INFINITY, which is no time limit."""


class Notifier:
    """Sends to `NOTIFY_SOCKET`. Without that variable, as in a terminal, calls have no effect.

    Never raises and never blocks: a manager that does not read must not stop the event loop. Any thread.
    """

    def __init__(self) -> None:
        self._socket: SystemdNotifier | None = None
        if not os.environ.get("NOTIFY_SOCKET"):
            return
        try:
            self._socket = SystemdNotifier(debug=True)  # debug: errors are raised instead of lost
        except OSError as error:
            log.warning(
                "cannot reach the service manager at NOTIFY_SOCKET: %s; it will stop this process after its timeout",
                error,
            )
            return
        self._socket.socket.setblocking(False)

    def ready(self) -> None:
        """Report readiness: the bus name is owned, calls are served and the microphone was tried."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows. It must not contain spoken text."""
        self._send("STATUS=" + " ".join(text.split()))

    def watchdog(self) -> None:
        """Feed the watchdog; due every `watchdog_interval_s` seconds."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.socket.close()
            self._socket = None

    def _send(self, state: str) -> None:
        if self._socket is None:
            return
        try:
            # sdnotify encodes as Latin-1 and systemd decodes UTF-8, so pass the UTF-8 bytes as Latin-1 characters.
            self._socket.notify(state.encode().decode("latin-1"))
        except OSError as error:
            log.warning("the service manager did not accept %s: %s", state.partition("=")[0], error)


def watchdog_interval_s() -> float | None:
    """Return the seconds between two WATCHDOG=1: half of the unit's WatchdogSec=, or None without a watchdog.

    A variable that sd_watchdog_enabled(3) rejects is reported, and counts as no watchdog.
    """
    limit, watched = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not limit:
        return None
    try:
        meant_for = _positive("WATCHDOG_PID", watched) if watched else os.getpid()
        interval_s = _positive("WATCHDOG_USEC", limit) / 1e6 / 2
    except ValueError as error:
        log.warning("%s; the watchdog is not notified", error)
        return None
    return interval_s if meant_for == os.getpid() else None


def _positive(name: str, text: str) -> int:
    """Return the number in the variable. Raises ValueError with a sentence."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < _INFINITY):
        raise ValueError(f"the environment variable {name} must be a whole number above 0, not {text!r}")
    return int(text)
