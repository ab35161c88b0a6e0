"""`coldvox-type`: the command line."""

import argparse
import asyncio
import sys
from pathlib import Path

from coldvoxd.core.errors import ColdvoxError, SettingsError
from coldvoxd.typist import service, settings
from coldvoxd.typist.delivery import Result
from coldvoxd.typist.errors import Refused, RuntimeDirectoryUnusable, TypeSettingsError
from coldvoxd.typist.ledger import Ledger
from coldvoxd.typist.reports import Reporter
from coldvoxd.userdirs import base_directories

FAILED, USAGE, UNREACHABLE = 1, 2, 3
CONFIGURATION = 78
"""EX_CONFIG of sysexits.h, as in the daemon: a restart would fail in the same way."""


def main() -> int:
    arguments = command_line().parse_args()
    reporter = Reporter(as_json=arguments.json)
    try:
        file = arguments.config or base_directories.config_home() / base_directories.APPLICATION / "type.toml"
        settings.load(file)
        ledger = _ledger()
        if arguments.allow:
            asyncio.run(service.allow(ledger))
            reporter.line("allowed")
            return 0
        if not arguments.last:
            asyncio.run(service.serve(ledger, file, reporter))
            return 0
        outcome = asyncio.run(service.deliver_last(ledger, file, reporter))
    except (TypeSettingsError, SettingsError) as error:
        reporter.line(str(error))
        return USAGE
    except RuntimeDirectoryUnusable as error:
        reporter.line(str(error))
        return CONFIGURATION
    except Refused as error:
        reporter.line(str(error))
        return FAILED
    except ColdvoxError as error:
        reporter.line(str(error))
        return UNREACHABLE
    if outcome is None:
        reporter.line("there is no dictated text in this login")
        return FAILED
    return FAILED if outcome.result is Result.FAILED else 0


def _ledger() -> Ledger:
    try:
        return Ledger.in_runtime_directory()
    except OSError as error:
        remedy = (
            f" {base_directories.RUNTIME} is ignored: it is not an absolute path."
            if base_directories.RUNTIME in base_directories.ignored()
            else ""
        )
        raise RuntimeDirectoryUnusable(
            f"texts cannot be kept in {error.filename}: {error.strerror}.{remedy}"
        ) from error


def command_line() -> argparse.ArgumentParser:
    """Build the argument parser, the only source of --help."""
    parser = argparse.ArgumentParser(
        prog="coldvox-type",
        description="Types dictated text into the focused window, pastes it, or leaves it in the clipboard. Runs until it "
        "is stopped, and reports each text on standard error as delivered, unsure or failed, without its words.",
        epilog="exit codes: 0 delivered or unsure, 1 not delivered or nothing to deliver, 2 usage error or invalid "
        "settings, 3 no session bus, 78 no private runtime directory, as named by XDG_RUNTIME_DIR",
    )
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


if __name__ == "__main__":
    sys.exit(main())
