"""The command completion: completion scripts generated from the parser of --help."""

import argparse
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import shtab

from coldvoxd.cli.arguments import command_line
from coldvoxd.cli.config import keys
from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.output import Output
from coldvoxd.models.directories import BUNDLED
from coldvoxd.models.published_models import PUBLISHED
from coldvoxd.typist.arguments import command_line as typing_command_line

PROGRAMS: Mapping[str, Callable[[], argparse.ArgumentParser]] = MappingProxyType(
    {"coldvoxctl": command_line, "coldvox-type": typing_command_line}
)
"""The commands with completions, and the source of each."""


def completion(arguments: Namespace, output: Output) -> Exit:
    """Print the completion script for a shell."""
    script = script_for(arguments.shell, arguments.program)
    output.result({"shell": arguments.shell, "script": script}, script.rstrip())
    return Exit.DONE


def script_for(shell: str, program: str = "coldvoxctl") -> str:
    """The completion script of one of PROGRAMS for one of shtab's shells."""
    parser = PROGRAMS[program]()
    _dress(parser)
    return str(shtab.complete(parser, shell))


def _dress(parser: argparse.ArgumentParser) -> None:
    """Add what only shtab needs: short descriptions, and which values are files, models or settings."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask; shtab does the same
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, summary in _summaries(action):
                action.choices[name].description = summary
                _dress(action.choices[name])
        elif action.dest in {"files", "file", "report", "config", "output", "place", "blind"}:
            action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab's own extension
        elif action.dest == "bin":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.dest in {"model", "name"} and action.choices is None:
            action.choices = [*PUBLISHED, BUNDLED]
        elif action.dest == "key":
            action.choices = keys()


def _summaries(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[tuple[str, str]]:
    for choice in commands._get_subactions():  # noqa: SLF001
        yield choice.dest, choice.help or ""
