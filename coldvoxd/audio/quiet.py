"""The silence of ALSA and JACK: their error lines, which PortAudio's search for devices sets off, go to our log.

Each library has a handler to be replaced for just this. Turning file descriptor 2 aside instead would swallow what
other threads log meanwhile, and for as long as a frozen sound server holds the search up. PortAudio 19.6 itself has no
such handler: a server's death and a refused format still print up to three lines, once each.
"""

import ctypes
import functools
import logging
from typing import Any

log = logging.getLogger(__name__)

# The variadic tail of ALSA's handler is left alone: on Linux's calling conventions the named arguments come first.
_ALSA_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
_JACK_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace").strip()


def _alsa_error(file: bytes, line: int, function: bytes, error: int, message: bytes) -> None:
    log.debug("ALSA %s:%d %s error=%d: %s", _text(file), line, _text(function), error, _text(message))


def _jack_message(message: bytes) -> None:
    log.debug("JACK: %s", _text(message))


# Kept for the life of the process: the libraries hold no reference that Python knows of.
_ON_ALSA_ERROR = _ALSA_HANDLER(_alsa_error)
_ON_JACK_MESSAGE = _JACK_HANDLER(_jack_message)


def _library(name: str) -> Any | None:
    """A shared library that this process has loaded already, or could; None where the machine has none."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


@functools.cache
def quieten() -> None:
    """Send what ALSA and JACK print on standard error to the log, at debug level. Once a process; never raises."""
    if (alsa := _library("libasound.so.2")) is not None:
        alsa.snd_lib_error_set_handler(_ON_ALSA_ERROR)
    if (jack := _library("libjack.so.0")) is not None:
        for setter in ("jack_set_error_function", "jack_set_info_function"):
            if (function := getattr(jack, setter, None)) is not None:
                function(_ON_JACK_MESSAGE)
