"""How coldvoxctl parses its command line and reports what is wrong with it."""

import argparse
from typing import Any, NoReturn

from coldvoxd.cli.exit_codes import UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.core.similar_names import similar

LIKELY = 0.7
"""Ratio of `difflib` from which a command may be meant: `strat` has 0.8 to `start`."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Aligns the help of commands and options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        self._action_max_length = 16  # argparse does not account for the indentation of commands


class Parser(argparse.ArgumentParser):
    """Raises UsageFault for invalid arguments, with a sentence that names the help."""

    def error(self, message: str) -> NoReturn:
        raise UsageFault(f"{message}. See `{self.prog} --help`.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Report unknown arguments here, with the command's own help; argparse passes them to the main parser."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

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
