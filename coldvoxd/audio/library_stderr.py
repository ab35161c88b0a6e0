"""Suppresses the messages of ALSA, PortAudio and libmpg123, which would flood the journal or a terminal.

ALSA's error handler can be replaced; its messages go to our log. PortAudio 19.6 and the libmpg123 inside libsndfile have
no handler and print to C's `stderr`; during a call that pointer is redirected to /dev/null, which glibc allows. File descriptor 2 is not
changed, so messages of other threads are not lost, even if a frozen sound server blocks the call.
"""

import contextlib
import ctypes
import functools
import logging
import platform
import threading
from collections.abc import Iterator
from typing import Any

log = logging.getLogger(__name__)

# The variadic arguments of ALSA's handler are not accessed: in Linux's calling conventions the named ones come first.
_ALSA_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace").strip()


def _alsa_error(file: bytes, line: int, function: bytes, error: int, message: bytes) -> None:
    log.debug("ALSA %s:%d %s error=%d: %s", _text(file), line, _text(function), error, _text(message))


# Kept for the life of the process, because the library's reference is unknown to Python.
_ON_ALSA_ERROR = _ALSA_HANDLER(_alsa_error)


def _library(name: str) -> Any | None:
    """A shared library that this process has loaded or can load; None if it is not installed."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


@functools.cache
def quieten() -> None:
    """Send ALSA's messages from standard error to the log, at debug level. Once per process; never raises."""
    if (alsa := _library("libasound.so.2")) is not None:
        alsa.snd_lib_error_set_handler(_ON_ALSA_ERROR)


@functools.cache
def _null() -> int:
    """A FILE that is never closed, because another thread may be writing to it."""
    c = ctypes.CDLL(None)
    c.fopen.restype = ctypes.c_void_p
    return int(c.fopen(b"/dev/null", b"w") or 0)


class _Redirection:
    """C's `stderr`, redirected while at least one thread is in a suppressed call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._before: int | None = None

    def begin(self) -> None:
        with self._lock:
            self._calls += 1
            if self._calls == 1:
                stderr = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
                self._before, stderr.value = stderr.value, _null()

    def end(self) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr").value = self._before


_REDIRECTION = _Redirection()


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Discard what C code prints to `stderr` in this context, unless our log is at debug level. Any thread."""
    if log.isEnabledFor(logging.DEBUG) or platform.libc_ver()[0] != "glibc" or not _null():
        yield
        return
    _REDIRECTION.begin()
    try:
        yield
    finally:
        _REDIRECTION.end()
