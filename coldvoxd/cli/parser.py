"""How coldvoxctl parses its command line and reports what is wrong with it."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from coldvoxd.arguments import Help
from coldvoxd.cli.argument_types import any_text
from coldvoxd.cli.exit_codes import UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.core.similar_names import similar

LIKELY = 0.7
"""Ratio of `difflib` from which a command may be meant: `strat` has 0.8 to `start`."""


class Parser(argparse.ArgumentParser):
    """Raises UsageFault for invalid arguments, with a sentence that names the help."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._given: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        dashed = [text for text in self._given if text.startswith("-") and os.path.lexists(text)]
        hint = (
            f" The file {dashed[0]} is named ./{dashed[0]} here, because options start with a dash." if dashed else ""
        )
        raise UsageFault(f"{message}.{hint} See `{self.prog} --help`.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Report unknown arguments here, with the command's own help; argparse passes them to the main parser."""
        self._given = list(args or ())
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Refuse an empty value, which is an unset variable of a script; it would mean the default, or the folder `.`."""
        if not arg_string and action.type is not any_text and action.nargs != argparse.PARSER:
            raise argparse.ArgumentError(
                action,
                "the value is empty; omit the option if it is not needed"
                if action.option_strings
                else "the value is empty",
            )
        return super()._get_value(action, arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Name the words that are spelled like an unknown one, instead of all there are."""
        known = [str(choice) for choice in action.choices or ()]
        if known and value not in known and (found := similar(str(value), known, LIKELY)):
            raise argparse.ArgumentError(action, f"invalid choice: {value!r} (did you mean {' or '.join(found)}?)")
        super()._check_value(action, value)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the text of --help, which argparse passes here, and report if that is not possible."""
        del file
        Output(as_json=False).result({}, message.removesuffix("\n"))


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no public name for it


def add_command(commands: Commands, name: str, summary: str, description: str, epilog: str) -> Parser:
    """Add a command with the option --json; `summary` is for the list of commands."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object per line")
    return parser
