"""The command line of coldvox-type."""

import argparse
from pathlib import Path

from coldvoxd import __version__
from coldvoxd.arguments import Parser


def command_line() -> argparse.ArgumentParser:
    """The source of --help, the completions and the manual page."""
    parser = Parser(
        prog="coldvox-type",
        description="Types dictated text into the focused window, pastes it, or leaves it in the clipboard. Runs until it "
        "is stopped, and reports each text on standard error as delivered, unsure or failed, without its words.",
        epilog="exit codes: 0 delivered or unsure, 1 not delivered, nothing to deliver, or standard output cannot be written, 2 usage error or invalid "
        "settings, 3 no session bus, 78 no private runtime directory, as named by XDG_RUNTIME_DIR, 141 the program that reads the output has exited",
    )
    parser.add_argument("--version", action="version", version=f"coldvox-type {__version__}")
    parser.add_argument(
        "--last",
        action="store_true",
        help="deliver the undelivered texts to the window that is focused now, or else the last text again",
    )
    parser.add_argument(
        "--allow",
        action="store_true",
        help="make the desktop ask for the permission to press keys (GNOME, KDE), even if you denied it before",
    )
    parser.add_argument(
        "--json", action="store_true", help="report each text as one JSON object per line on standard output"
    )
    parser.add_argument(
        "--config", type=_existing, metavar="FILE", help="settings file instead of ~/.config/coldvoxd/type.toml"
    )
    return parser


def _existing(name: str) -> Path:
    """Return the path of a settings file that was named explicitly. Only the default file may be missing."""
    path = Path(name)
    try:
        path.stat()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}") from error
    return path
