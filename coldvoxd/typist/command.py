"""`coldvox-type`: the command line."""

import asyncio

from coldvoxd.arguments import OUTPUT_CLOSED
from coldvoxd.core.errors import ColdvoxError, SettingsError
from coldvoxd.core.sentences import sentences
from coldvoxd.typist import service, settings
from coldvoxd.typist.arguments import command_line
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
            return _code(reporter)
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
    return FAILED if outcome.result is Result.FAILED else _code(reporter)


def _code(reporter: Reporter) -> int:
    """The exit code after all texts were delivered."""
    if reporter.lost is None:
        return 0
    return OUTPUT_CLOSED if isinstance(reporter.lost, BrokenPipeError) else FAILED


def _ledger() -> Ledger:
    try:
        return Ledger.in_runtime_directory()
    except OSError as error:
        remedy = ""
        if base_directories.RUNTIME in base_directories.ignored():
            remedy = f"{base_directories.RUNTIME} is ignored: it is not an absolute path."
        elif base_directories.runtime_directory() is None:
            remedy = f"{base_directories.RUNTIME} is not set: log in as this user, since su and sudo do not set it."
        raise RuntimeDirectoryUnusable(
            sentences(f"Texts cannot be kept in {error.filename}: {error.strerror}", remedy)
        ) from error
