"""Commands and options of `coldvoxctl model`."""

import argparse

from coldvoxd.cli import help_texts
from coldvoxd.cli.argument_types import count
from coldvoxd.cli.parser import Commands, Parser, add_command

_DEFAULT_MODEL = "a model's name or directory; default: the one in the settings"


def add_model_commands(commands: Commands) -> None:
    """Add the command `model` and its commands."""
    model = add_command(commands, "model", "download, list and check models", help_texts.MODEL, help_texts.MODEL_CODES)
    actions = model.add_subparsers(dest="action", metavar="COMMAND", title="commands", parser_class=Parser)
    pull = add_command(actions, "pull", "download a model", help_texts.PULL, help_texts.PULL_JSON)
    pull.add_argument("name", nargs="?", metavar="NAME", help="a published model; default: the one in the settings")
    pull.add_argument("--precision", choices=("fp32", "int8"), help="fp32, or int8: a quarter of the size")
    pull.add_argument(
        "--tries", type=count, metavar="N", help="give up after N consecutive failures without progress (default: 6)"
    )
    pull.add_argument("--use", action="store_true", help="then write the model into the settings, and load it")
    pull.add_argument("--progress-file", metavar="FILE", help=argparse.SUPPRESS)
    prepare = add_command(
        actions,
        "prepare",
        "prepare a model for this machine, so that it opens faster",
        help_texts.PREPARE,
        'With --json: {"model": ..., "precision": ..., "path": ..., "bytes": NUMBER}.',
    )
    prepare.add_argument("name", nargs="?", metavar="NAME", help=_DEFAULT_MODEL)
    prepare.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="default: the precision in the settings, otherwise fp32"
    )
    prepare.add_argument("--again", action="store_true", help="build the prepared form even if it already exists")
    add_command(actions, "list", "list models and their locations", help_texts.LIST, help_texts.LIST_JSON)
    path = add_command(
        actions,
        "path",
        "print a model's directory",
        "Print the directory that has the files of a model.\n",
        'With --json: {"name": ..., "path": ...}.',
    )
    path.add_argument("name", nargs="?", metavar="NAME", help=_DEFAULT_MODEL)
    verify = add_command(
        actions,
        "verify",
        "check a model's files",
        "Read all files of a model and compare them with the hashes of the download, or of the first check.\n",
        help_texts.VERIFY_JSON,
    )
    verify.add_argument("name", nargs="?", metavar="NAME", help=_DEFAULT_MODEL)
    remove = add_command(
        actions,
        "remove",
        "delete a downloaded model",
        "Delete a model, and partial downloads of it, from ~/.cache/coldvoxd/models. Other models are not affected.\n",
        'With --json: {"removed": NAME, "bytes": NUMBER}.',
    )
    remove.add_argument("name", metavar="NAME", help="a model that `coldvoxctl model list` shows in the cache")
