"""The silence of ALSA and PortAudio: what a search for devices sets off must not flood the journal.

ALSA has a handler to be replaced for just this; its lines go to our log. PortAudio 19.6 has none and prints
to C's `stderr`: for the length of a device call that pointer is bent to /dev/null, which glibc allows. File descriptor
2 is left alone, so what other threads log meanwhile is kept, however long a frozen sound server holds the call up.
"""

import contextlib
import ctypes
import functools
import logging
import platform
from collections.abc import Iterator
from typing import Any

log = logging.getLogger(__name__)

# The variadic tail of ALSA's handler is left alone: on Linux's calling conventions the named arguments come first.
_ALSA_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace").strip()


def _alsa_error(file: bytes, line: int, function: bytes, error: int, message: bytes) -> None:
    log.debug("ALSA %s:%d %s error=%d: %s", _text(file), line, _text(function), error, _text(message))


# Kept for the life of the process: the library holds no reference that Python knows of.
_ON_ALSA_ERROR = _ALSA_HANDLER(_alsa_error)


def _library(name: str) -> Any | None:
    """A shared library that this process has loaded already, or could; None where the machine has none."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


@functools.cache
def quieten() -> None:
    """Send what ALSA prints on standard error to the log, at debug level. Once a process; never raises."""
    if (alsa := _library("libasound.so.2")) is not None:
        alsa.snd_lib_error_set_handler(_ON_ALSA_ERROR)


@functools.cache
def _null() -> int:
    """A FILE that is never closed: another thread may be writing to it."""
    c = ctypes.CDLL(None)
    c.fopen.restype = ctypes.c_void_p
    return int(c.fopen(b"/dev/null", b"w") or 0)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """What C code prints to `stderr` is dropped meanwhile, unless our log is at debug level. The device lane only."""
    quieten()
    if log.isEnabledFor(logging.DEBUG) or platform.libc_ver()[0] != "glibc" or not _null():
        yield
        return
    stderr = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    before = stderr.value
    stderr.value = _null()
    try:
        yield
    finally:
        stderr.value = before
