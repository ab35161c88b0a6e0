"""Runs the fault matrix against the real daemon and prints what a bus client sees of each row (see faults.sh)."""

import argparse
import asyncio
import contextlib
import fnmatch
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.faults.matrix_rows import Row, rows  # noqa: E402 - the checkout's own
from tests.support.faults.matrix_stage import Outcome, play  # noqa: E402
from tests.support.faults.vulkan_rows import vulkan_rows  # noqa: E402
from tests.support.faults.vulkan_stage import VulkanStage  # noqa: E402
from tests.support.vulkan import PYTHON  # noqa: E402

RATIO_GOAL = 1.3
PLAYS = 3
"""Number of plays after which a row with a late text counts as late, and one in which the daemon lost audio as failed."""


def main() -> int:
    arguments = _arguments()
    every = vulkan_rows() if arguments.vulkan else rows()
    wanted = [row for row in every if fnmatch.fnmatch(f"{row.name} ({row.moment})", f"*{arguments.rows}*")]
    if not wanted:
        print(f"faults: there is no row like {arguments.rows!r}; --list names them", file=sys.stderr)
        return 64
    if arguments.list:
        print(*(f"{row.moment}: {row.name}" for row in wanted), sep="\n")
        return 0
    if arguments.vulkan and not PYTHON.exists():
        print("faults: not run here: no software Vulkan driver (contrib/dev/software-vulkan.sh)", file=sys.stderr)
        return 69
    outcomes = asyncio.run(_play_all(wanted, arguments))
    slow = [outcome for outcome in outcomes if (outcome.recovery_ratio or 0.0) > RATIO_GOAL]
    failed = [outcome for outcome in outcomes if not outcome.holds]
    summary = f"{len(outcomes)} rows, {len(failed)} failed, {len(slow)} with a recovery ratio over {RATIO_GOAL}"
    print(summary, file=sys.stderr if arguments.json else sys.stdout)
    return 1 if failed or slow else 0


async def _play_all(wanted: list[Row], arguments: argparse.Namespace) -> list[Outcome]:
    turn = asyncio.Semaphore(arguments.jobs)

    async def one(row: Row) -> Outcome:
        async with turn:
            outcome = await _play(row, arguments)
        _show(outcome, as_json=arguments.json)
        return outcome

    return list(await asyncio.gather(*(one(row) for row in wanted)))


async def _play(row: Row, arguments: argparse.Namespace) -> Outcome:
    """Play a row, again if other programs of this machine spoiled it: a ratio over the goal, or audio that the daemon lost."""
    kind = VulkanStage if arguments.vulkan else None
    plays, again = 0, True
    while again:
        plays += 1
        with contextlib.redirect_stdout(io.StringIO()):  # the private bus's log
            outcome = await play(row, timed=not arguments.vulkan, partials=arguments.partials, kind=kind)
        late = outcome.holds and (outcome.recovery_ratio or 0.0) > RATIO_GOAL
        again = plays < PLAYS and (late or (not outcome.holds and bool(outcome.starved)))
    return replace(outcome, plays=plays)


def _show(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.as_dict()), file=sys.__stdout__, flush=True)
        return
    ratio = "" if outcome.recovery_ratio is None else f"{outcome.recovery_ratio:.2f}"
    verdict = "ok" if outcome.holds else f"FAILED {outcome.problem} {outcome.starved}".strip()
    if outcome.plays > 1:
        verdict += f" ({outcome.plays} plays)"
    counts = f"{outcome.utterances} said, {outcome.lost} lost, {outcome.doubled} doubled, {outcome.wrong} wrong"
    print(f"{outcome.row:<34} {counts}  {ratio:>5}  {verdict}", file=sys.__stdout__, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object per row on standard output")
    parser.add_argument("--rows", default="*", metavar="PATTERN", help="only rows whose `NAME (MOMENT)` is like this")
    parser.add_argument("--list", action="store_true", help="name the rows and play nothing")
    parser.add_argument("--vulkan", action="store_true", help="the rows of WebGPU on a software Vulkan driver")
    parser.add_argument("--partials", action="store_true", help="publish words during speech; measures no ratio")
    parser.add_argument("--jobs", type=int, default=1, help="rows at the same time; more than one spoils the ratios")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
