"""`coldvoxd`: logging, and the exit code."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterator

from coldvoxd import settings_file
from coldvoxd.arguments import command_line
from coldvoxd.core.errors import ColdvoxError, LibraryUnusable, NameTaken, SettingsError
from coldvoxd.host.exec_state import ExecState

log = logging.getLogger("coldvoxd")

EXIT_FAILED = 1
EXIT_NAME_TAKEN = 69
EXIT_SETTINGS = 78
"""sysexits.h's EX_UNAVAILABLE and EX_CONFIG, the latter also for a library that cannot be loaded. The unit doesn't restart
after these: it would find the same again."""


def main() -> None:
    """Run the daemon; ends the process."""
    arguments = command_line().parse_args()
    try:
        code = run(arguments)
    except Exception:
        log.critical("Internal error; please report it with `coldvoxctl doctor --report FILE`", exc_info=True)
        code = EXIT_FAILED
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread that hangs in a driver would hold the interpreter's own way out for ever.
    os._exit(code)


def run(arguments: argparse.Namespace) -> int:
    """Serve, and return the exit code."""
    try:
        chosen = settings_file.load(arguments.config)
    except SettingsError as fault:
        print(f"coldvoxd: {fault}", file=sys.stderr)
        return EXIT_SETTINGS
    set_up_logging(chosen.log.level)
    try:
        from coldvoxd.daemon import Daemon
        from coldvoxd.host.reexec import handed_over, replace_process
    except (ImportError, OSError) as error:
        log.critical("%s", LibraryUnusable.because(error))
        return EXIT_SETTINGS

    async def serve() -> ExecState | None:
        return await Daemon(chosen, lambda: settings_file.load(arguments.config), handed_over()).serve()

    try:
        handover = asyncio.run(serve())
    except ColdvoxError as fault:
        return _told(fault)
    except ExceptionGroup as group:
        known, unknown = group.split(ColdvoxError)
        if unknown is not None or known is None:
            raise
        return max(_told(fault) for fault in _leaves(known))
    if handover is None:
        return 0
    try:
        replace_process(handover)
    except OSError as fault:
        log.critical("coldvoxd cannot re-execute itself: %s", fault)
        return EXIT_FAILED


def _told(fault: BaseException) -> int:
    """Say what ended the daemon; the exit code."""
    log.critical("%s", fault)
    return EXIT_NAME_TAKEN if isinstance(fault, NameTaken) else EXIT_FAILED


def _leaves(group: BaseExceptionGroup[ColdvoxError]) -> Iterator[ColdvoxError]:
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _leaves(inner)
        else:
            yield inner


class _JournalFormatter(logging.Formatter):
    """Lines with the priority in front that the journal understands, see sd-daemon(3)."""

    def format(self, record: logging.LogRecord) -> str:
        priority = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}.get(record.levelno, 2)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def set_up_logging(level: str) -> None:
    """To stderr: the journal where systemd reads it, otherwise a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


if __name__ == "__main__":
    main()
