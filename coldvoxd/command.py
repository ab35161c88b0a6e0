"""The command `coldvoxd`: sets up logging and returns the exit code."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterator

from coldvoxd import settings_file
from coldvoxd.arguments import command_line
from coldvoxd.console import INTERRUPTED
from coldvoxd.core.errors import ColdvoxError, LibraryUnusable, NameTaken, SettingsError
from coldvoxd.core.visible_text import visible

log = logging.getLogger("coldvoxd")

EXIT_FAILED = 1
EXIT_NAME_TAKEN = 69
EXIT_SETTINGS = 78
"""EX_UNAVAILABLE and EX_CONFIG of sysexits.h; EX_CONFIG is also used if a library cannot be loaded. The unit does not
restart the daemon after these codes, because the cause would persist."""


def main() -> None:
    """Run the daemon and end the process with its exit code."""
    arguments = command_line().parse_args()
    try:
        code = run(arguments)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:
        log.critical("Internal error; please report it with `coldvoxctl doctor --report FILE`", exc_info=True)
        code = EXIT_FAILED
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The interpreter's own exit would wait for a thread that hangs in a driver.
    os._exit(code)


def run(arguments: argparse.Namespace) -> int:
    """Serve until the daemon stops and return the exit code. Does not return if the process re-executes itself."""
    try:
        chosen = settings_file.load(arguments.config)
    except SettingsError as fault:
        print(f"coldvoxd: {fault}", file=sys.stderr)
        return EXIT_SETTINGS
    set_up_logging(chosen.log.level)
    try:
        from coldvoxd import daemon
        from coldvoxd.host.reexec import handed_over, replace_process
    except (ImportError, OSError) as error:
        log.critical("%s", LibraryUnusable.because(error))
        return EXIT_SETTINGS
    try:
        handover = asyncio.run(daemon.run(chosen, lambda: settings_file.load(arguments.config), handed_over()))
    except ColdvoxError as fault:
        return _log_failure(fault)
    except ExceptionGroup as group:
        known, unknown = group.split(ColdvoxError)
        if unknown is not None or known is None:
            raise
        return max(_log_failure(fault) for fault in _leaves(known))
    if handover is None:
        return 0
    try:
        replace_process(handover)
    except OSError as fault:
        log.critical("coldvoxd cannot re-execute itself: %s", fault)
        return EXIT_FAILED


def _log_failure(fault: BaseException) -> int:
    """Log what ended the daemon and return the exit code."""
    log.critical("%s", fault)
    return EXIT_NAME_TAKEN if isinstance(fault, NameTaken) else EXIT_FAILED


def _leaves(group: BaseExceptionGroup[ColdvoxError]) -> Iterator[ColdvoxError]:
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _leaves(inner)
        else:
            yield inner


class _LineFormatter(logging.Formatter):
    """Escapes control characters of a message, which names of devices may have. Tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return visible(super().formatMessage(record), keep="\t")


class _JournalFormatter(_LineFormatter):
    """Prefixes each line with its priority in the form that the journal parses: see sd-daemon(3)."""

    def format(self, record: logging.LogRecord) -> str:
        priority = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}.get(record.levelno, 2)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class _TerminalFormatter(_LineFormatter):
    """Escapes control characters of tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record), keep="\n\t")


def set_up_logging(level: str) -> None:
    """Log to stderr, in the journal's format if systemd reads it. `level` is the setting `log.level`."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(_TerminalFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
