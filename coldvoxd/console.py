"""What every command does at its start: interrupts before it can handle them, and the warnings of libraries."""

import os
import signal
import sys
import warnings
from collections.abc import Callable

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""


def run(load: Callable[[], Callable[[], int]]) -> int:
    """Run a command, and return its exit code. `load` imports the command, and returns the function that runs it.

    An interrupt before that function ends the process at once, and so does one after it, while the interpreter exits.
    """
    exit_on_interrupt()
    log_python_warnings()
    command = load()
    try:
        raise_on_interrupt()
        return command()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        exit_on_interrupt()


def exit_on_interrupt() -> None:
    """Let SIGINT end the process without a traceback until the command handles it.

    Call this before anything heavy is imported. An ignored SIGINT, as that of a background job, stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


def raise_on_interrupt() -> None:
    """Let SIGINT raise KeyboardInterrupt from now on, which asyncio and the commands handle."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def log_python_warnings() -> None:
    """Send Python's warnings, as those of NumPy, to the log at debug level instead of standard error.

    PYTHONWARNINGS is ignored, also by programs that are started later: it is set for other programs, and `error` would
    make a library's warning end this one. `-W` still applies. Call this before anything heavy is imported.
    """
    if os.environ.pop("PYTHONWARNINGS", None) is not None:
        sys.warnoptions.clear()
        warnings.resetwarnings()
    if not sys.warnoptions:
        warnings.showwarning = _log  # type: ignore[assignment] # `file` and `line` are always given by position


def _log(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    import logging

    logging.getLogger(__name__).debug("%s:%d: %s: %s", filename, lineno, category.__name__, message)
