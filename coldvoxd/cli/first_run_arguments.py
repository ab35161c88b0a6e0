"""Options and help of `coldvoxctl doctor --first-run`."""

import argparse
import math
from pathlib import Path

FIRST_RUN = """\

With --first-run, measure the model itself on this machine, within ten minutes, and propose settings: the hashes of its files,
a known recording, word errors, speed and memory in each precision that is there and on each provider that can be used, long
utterances, hangover, seams, dither, words during speech, and the tokens of onnx-asr if it is installed. A page that you read aloud
shows how well it understands you; its audio and text stay in memory. What does not fit into the time is left out, and named.

Each precision is loaded in a process of its own, with low priority; a running daemon keeps its model and can dictate meanwhile.
Ctrl-C ends it, and keeps what was measured. The report is for an issue: it has no spoken text, no names, and no paths of yours.
"""

FIRST_RUN_JSON = """\

With --first-run and --json, one object per line with `event`: step (step, variant, status, seconds, part, verdict, text, remedy),
remark (part, verdict, text, remedy) on the machine, and
done (files: the paths of the report; report: the object in its .json file). The exit code is 1 if a verdict is `fail`, 4 if there
is no model or too little memory, 130 after Ctrl-C.
"""
LEAST_MINUTES, MOST_MINUTES = 0.05, 240.0
DEFAULT_MINUTES = 10.0
DEFAULT_OUTPUT = Path("coldvoxd-first-run")


def add_first_run_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a first run to the command doctor."""
    group = command.add_argument_group("options for the first run of a model")
    group.add_argument(
        "--first-run", action="store_true", help="measure the model on this machine, and propose settings"
    )
    group.add_argument(
        "--model", metavar="NAME|PATH", help="a model's name or directory; default: that of the settings"
    )
    group.add_argument("--minutes", type=_minutes, metavar="N", help="time that it may take (default: 10)")
    group.add_argument(
        "--read",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="read a page aloud, or not, without a question",
    )
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"write the report to FILE.md and FILE.json (default: {DEFAULT_OUTPUT} in this folder, or in FILE if it is a folder)",
    )


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of minutes from {LEAST_MINUTES:g} to {MOST_MINUTES:g}"
        )
    return minutes
