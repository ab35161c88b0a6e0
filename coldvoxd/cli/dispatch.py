"""From the arguments of coldvoxctl to its exit code."""

import asyncio
import errno
import logging
import sys
from argparse import Namespace
from collections.abc import Sequence

from coldvoxd import __version__
from coldvoxd.cli.arguments import parse_arguments
from coldvoxd.cli.exit_codes import Exit, OutputClosed, UsageFault, exit_for
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import ColdvoxError, LibraryUnusable


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` by default, and return the exit code. Never raises for user errors."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    output = Output("--json" in given)
    _set_up_logging(output)
    try:
        return _run(parse_arguments(given), output)
    except OutputClosed:  # the reader has seen enough, as `head` does
        return Exit.OUTPUT_CLOSED
    except ColdvoxError as error:
        output.error(error)
        return exit_for(error)
    except OSError as error:  # a name on the command line that no file can have
        if error.errno not in {errno.ENAMETOOLONG, errno.ELOOP}:
            raise
        output.error(UsageFault(f"{error.filename} cannot be used: {error.strerror}."))
        return Exit.USAGE
    except ImportError as error:
        unusable = LibraryUnusable.because(error)
        output.error(unusable)
        return exit_for(unusable)


def _set_up_logging(output: Output) -> None:
    """Print our own warnings as sentences, or nothing with --json; those of libraries are not for the user."""
    handler = logging.NullHandler() if output.as_json else logging.StreamHandler()
    handler.addFilter(logging.Filter("coldvoxd"))
    handler.setFormatter(logging.Formatter("coldvoxctl: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _run(arguments: Namespace, output: Output) -> int:  # noqa: C901 - a branch a command
    if arguments.version:
        output.result({"version": __version__}, f"coldvoxctl {__version__}")
        return Exit.DONE
    match arguments.command:
        case "start" | "stop" | "toggle" | "cancel" | "status" | "retry" | "metrics" | "reload" | "provider":
            from coldvoxd.cli.session_commands import control

            return asyncio.run(control(arguments, output))
        case "devices" | "device":
            from coldvoxd.cli.devices import devices

            return asyncio.run(devices(arguments, output))
        case "listen":
            from coldvoxd.cli.listen import listen

            return asyncio.run(listen(arguments, output))
        case "transcribe":
            from coldvoxd.cli.transcribe import transcribe

            return transcribe(arguments, output)
        case "doctor":
            from coldvoxd.cli.doctor import doctor

            return doctor(arguments, output)
        case "config":
            from coldvoxd.cli.config import config

            return config(arguments, output)
        case "completion":
            from coldvoxd.cli.completion import completion

            return completion(arguments, output)
        case "shortcut" if arguments.shortcut_command == "portal":
            from coldvoxd.cli.portal_keys import follow_keys
            from coldvoxd.cli.session_options import session_options

            asyncio.run(follow_keys(session_options(arguments), output))
            return Exit.DONE
        case "shortcut" if arguments.shortcut_command == "held":
            from coldvoxd.cli.session_options import session_options
            from coldvoxd.cli.sway_hold import dictate_while_held

            asyncio.run(dictate_while_held(session_options(arguments), output))
            return Exit.DONE
        case "shortcut":
            from coldvoxd.cli.shortcuts.command import shortcut

            return shortcut(arguments, output)
        case "setup":
            from coldvoxd.cli.setup import setup

            return setup(arguments, output)
        case "model":
            from coldvoxd.cli.model import model

            return model(arguments, output)
        case _:
            return _measure(arguments, output)


def _measure(arguments: Namespace, output: Output) -> int:
    if arguments.command == "evaluate":
        from coldvoxd.cli.evaluate import evaluate

        return evaluate(arguments, output)
    raise UsageFault("Name a command. See `coldvoxctl --help`.")
