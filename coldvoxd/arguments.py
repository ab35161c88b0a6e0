"""The command line of the daemon."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from coldvoxd import __version__

_EPILOG = """\
Usually systemd starts it: systemctl --user start coldvoxd
Settings: ~/.config/coldvoxd/coldvoxd.toml; environment variables such as COLDVOXD_MODEL_NAME override it.
To control it, see coldvoxctl --help

exit codes: 0 stopped by a signal, 1 failed, 2 invalid arguments, 69 another coldvoxd has the bus name, 78 invalid settings
"""


OUTPUT_CLOSED = 141
"""128 + SIGPIPE: the exit code that a shell reports for a program that writes to a closed pipe."""


class Parser(argparse.ArgumentParser):
    """Reports errors in one sentence, and a text that cannot be printed; argparse ignores that, and exits with 0."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2, and name the help instead of printing the usage."""
        self.exit(2, f"{self.prog}: {message}. See `{self.prog} --help`.\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        stream = file or sys.stdout
        try:
            stream.write(message)
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python would write the rest again at its exit
            if stream is sys.stderr:
                return
            if isinstance(error, BrokenPipeError):
                self.exit(OUTPUT_CLOSED)
            self.exit(1, f"{self.prog}: standard output cannot be written: {error.strerror}\n")


def command_line() -> argparse.ArgumentParser:
    """The source of --help and the manual page."""
    parser = Parser(
        prog="coldvoxd",
        description="Dictation daemon: recognizes speech and sends the text to the session bus.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of the one in ~/.config")
    parser.add_argument("--version", action="version", version=f"coldvoxd {__version__}")
    return parser
