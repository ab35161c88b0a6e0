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
"""EX_CONFIG of sysexits.h, as the daemon has it: a restart would find the same again."""


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
        reporter.line("nothing was dictated in this login")
        return FAILED
    return FAILED if outcome.result is Result.FAILED else 0


def _ledger() -> Ledger:
    try:
        return Ledger.in_runtime_directory()
    except OSError as error:
        remedy = (
            f" {base_directories.RUNTIME} is ignored: it is no absolute path."
            if base_directories.RUNTIME in base_directories.ignored()
            else ""
        )
        raise RuntimeDirectoryUnusable(f"texts can't be kept in {error.filename}: {error.strerror}.{remedy}") from error


def command_line() -> argparse.ArgumentParser:
    """The one source of --help."""
    parser = argparse.ArgumentParser(
        prog="coldvox-type",
        description="Puts what coldvoxd transcribes into the window that has the focus: typed, pasted, or at least "
        "left in the clipboard. Runs until it is stopped, and reports each text on standard error as delivered, unsure or "
        "failed, without its words.",
        epilog="exit codes: 0 delivered or unsure, 1 not delivered or nothing to deliver, 2 wrong usage or settings, "
        "3 no session bus, 78 no runtime directory of this user alone, such as XDG_RUNTIME_DIR should name",
    )
    parser.add_argument(
        "--last",
        action="store_true",
        help="put into the window that has the focus now what reached none, or else the last text once more",
    )
    parser.add_argument(
        "--allow",
        action="store_true",
        help="have the desktop ask you whether keys may be pressed for you, where it wants to be asked (GNOME, KDE), also "
        "after you said no",
    )
    parser.add_argument(
        "--json", action="store_true", help="report each text as an object, one a line, on standard output"
    )
    parser.add_argument("--config", type=_existing, metavar="FILE", help="instead of ~/.config/coldvoxd/type.toml")
    return parser


def _existing(name: str) -> Path:
    """The path of a settings file that was named explicitly; without a name, the file may be missing."""
    path = Path(name)
    try:
        path.stat()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}") from error
    return path


if __name__ == "__main__":
    sys.exit(main())
