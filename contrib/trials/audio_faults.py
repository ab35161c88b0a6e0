#!/usr/bin/env python3
"""Injects every audio fault into private sound servers during a session of a real daemon, and prints the results.

contrib/trials/audio_faults.py [--json] [pulseaudio|pipewire]...

Needs the tests' environment (contrib/test.sh sets it up). The exit code is 1 if a word spoken before or after a fault
was lost, or if an expected event never occurred; the rest of the table is printed nevertheless.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.faults.audio import FAULTS, Outcome, begin_without_server, suffer
from tests.support.sound.servers import PipeWireServer, PulseServer

KINDS = {"pulseaudio": PulseServer, "pipewire": PipeWireServer}
HEAD = (
    "fault",
    "server",
    "told on the bus",
    "noticed after",
    "recovered after",
    "words lost",
    "spoken meanwhile, lost",
)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(outcome: Outcome) -> tuple[str, ...]:
    times = (_seconds(outcome.noticed_s), _seconds(outcome.recovered_s))
    return (outcome.fault, outcome.server, outcome.told, *times, str(outcome.lost), outcome.lost_meanwhile or "-")


async def _all(kinds: list[str], *, as_json: bool) -> int:
    failed = 0
    if not as_json:
        print(_row(HEAD), _row(("---",) * len(HEAD)), sep="\n", flush=True)
    for name in kinds:
        kind = KINDS[name]
        runs = [(fault.name, suffer(fault, kind)) for fault in FAULTS]
        for fault, run in [("no server at start", begin_without_server(kind)), *runs]:
            try:
                with contextlib.redirect_stdout(sys.stderr):  # logs
                    outcome = await run
            except Exception as error:  # noqa: BLE001 - the other rows are still useful
                failed += 1
                print(json.dumps({"fault": fault, "server": name, "failed": str(error)}), file=sys.stderr, flush=True)
                continue
            failed += bool(outcome.lost)
            print(json.dumps(dataclasses.asdict(outcome)) if as_json else _row(_cells(outcome)), flush=True)
    return int(failed > 0)


def main() -> int:
    """Run the rows; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    parser.add_argument("servers", nargs="*", choices=[*KINDS, []], help="which; both where none is named")
    arguments = parser.parse_args()
    return asyncio.run(_all(arguments.servers or list(KINDS), as_json=arguments.json))


if __name__ == "__main__":
    raise SystemExit(main())
