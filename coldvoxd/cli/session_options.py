"""The options of a session and of a retry on the command line: the same for every command that starts or retries."""

import argparse
from argparse import Namespace

from coldvoxd.cli.argument_types import alternatives, language, number, seconds
from coldvoxd.cli.exit_codes import UsageFault


def add_session_options(
    parser: "argparse._ActionsContainer",
    partials_help: str = "send words while they are spoken (shown by listen --partials)",
    alternatives_help: str = "add up to N other texts to each text, 1 to 8 (shown by listen --json)",
) -> None:
    """Add the options of a session that any command may start."""
    parser.add_argument("--words", action="store_true", help="add word times to the texts (shown by listen --json)")
    parser.add_argument("--single-utterance", action="store_true", help="stop automatically when the speaker pauses")
    parser.add_argument("--max-seconds", type=seconds, metavar="N", help="stop automatically after N seconds")
    parser.add_argument("--partials", action="store_true", help=partials_help)
    parser.add_argument("--alternatives", type=alternatives, metavar="N", help=alternatives_help)
    add_language(parser)


def add_language(parser: "argparse._ActionsContainer") -> None:
    """Add the option that names the spoken language."""
    parser.add_argument(
        "--language", type=language, metavar="CODE", help="the spoken language, such as de, or auto (see status)"
    )


def add_options_of_callers_that_stay(parser: argparse.ArgumentParser) -> None:
    """Add, undocumented, the options that a command which exits after its call must refuse; see `check_not_bound`."""
    parser.add_argument("--private", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bind", action="store_true", help=argparse.SUPPRESS)


def check_not_bound(arguments: Namespace) -> None:
    """Raise UsageFault for a private or bound session of a command that exits after its call."""
    if arguments.private or arguments.bind:
        raise UsageFault(
            f"A private or bound session ends when its caller leaves the bus, which `coldvoxctl {arguments.command}` does "
            "immediately: use `coldvoxctl listen --start --private`."
        )


def session_options(arguments: Namespace) -> dict[str, bool | int | str]:
    """Return the options of the bus interface that the arguments request."""
    options: dict[str, bool | int | str] = {}
    if arguments.words:
        options["words"] = True
    if arguments.single_utterance:
        options["single-utterance"] = True
    if arguments.max_seconds is not None:
        options["max-seconds"] = arguments.max_seconds
    if arguments.partials:
        options["partials"] = True
    if arguments.alternatives is not None:
        options["alternatives"] = arguments.alternatives
    return options | _language(arguments)


def add_retry_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a retry."""
    parser.add_argument("--alternatives", type=alternatives, metavar="N", help="also print up to N other texts, 1 to 8")
    parser.add_argument(
        "--utterance", type=number, metavar="N", help="only if the last utterance has this number (see listen --json)"
    )
    add_language(parser)


def retry_options(arguments: Namespace) -> dict[str, bool | int | str]:
    """Return the options of RetryLastWithOptions, or of RetryLastWithDetails, that the arguments request."""
    options: dict[str, bool | int | str] = {}
    if arguments.alternatives is not None:
        options["alternatives"] = arguments.alternatives
    if arguments.utterance is not None:
        options["utterance"] = arguments.utterance
    return options | _language(arguments)


def _language(arguments: Namespace) -> dict[str, bool | int | str]:
    return {"language": arguments.language} if arguments.language else {}
