"""The command line of the daemon."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from coldvoxd import __version__
from coldvoxd.core.help_blocks import wrapped

_EPILOG = """\
Usually systemd starts it: `systemctl --user start coldvoxd`.

The settings are in ~/.config/coldvoxd/coldvoxd.toml; environment variables such as COLDVOXD_MODEL_NAME override them.

To control it, see `coldvoxctl --help`.

exit codes:
  0    stopped by a signal
  1    failed
  2    invalid arguments
  69   another coldvoxd has the bus name
  78   invalid settings
"""


OUTPUT_CLOSED = 141
"""128 + SIGPIPE: the exit code that a shell reports for a program that writes to a closed pipe."""


class Help(argparse.HelpFormatter):
    """Aligns the help of commands and options, and fits all texts to the terminal: 80 columns if its width is unknown."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        self._action_max_length = 16  # argparse does not account for the indentation of commands

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del indent  # descriptions and epilogs have none
        return wrapped(text, width)


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
        formatter_class=Help,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of the one in ~/.config")
    parser.add_argument("--version", action="version", version=f"coldvoxd {__version__}")
    return parser
