#!/usr/bin/env python3
"""Shows a real daemon every GPU signal, and prints its reactions as a table.

contrib/trials/gpu_table.py [--json] [--look SECONDS]

The signals come from a fake of NVIDIA's library (tests/support/gpu/virtual_nvml.c, compiled with gcc); the accelerator
is the real one: this shows reactions, not CUDA. Needs the tests' environment (contrib/test.sh sets it up). The exit
code is 1 if a signal had another consequence than expected.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.gpu.signals import SIGNALS, GpuSignal, Seen, play

HEAD = ("signal", "`Degraded`", "recognition on", "told after", "way back", "back after")


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(seen: Seen) -> tuple[str, ...]:
    code = f"`{seen.told}`" if seen.told else "(none)"
    place = seen.provider.removesuffix("ExecutionProvider").lower()
    return (seen.name, code, place, _seconds(seen.after_s), seen.back, _seconds(seen.back_s))


def _right(signal: GpuSignal, seen: Seen) -> bool:
    return seen.told == signal.code and seen.renewed == (signal.back == "a new process")


async def _all(look_s: float, *, as_json: bool) -> int:
    failed = 0
    if not as_json:
        print(_row(HEAD), _row(("---",) * len(HEAD)), sep="\n", flush=True)
    for signal in SIGNALS:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # logs
                seen = await play(signal, look_s=look_s)
        except Exception as error:  # noqa: BLE001 - the other rows are still useful
            failed += 1
            print(json.dumps({"signal": signal.name, "failed": repr(error)}), file=sys.stderr, flush=True)
            continue
        failed += not _right(signal, seen)
        print(json.dumps(dataclasses.asdict(seen)) if as_json else _row(_cells(seen)), flush=True)
    return int(failed > 0)


def main() -> int:
    """Play the signals; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a signal")
    parser.add_argument("--look", type=float, default=0.2, metavar="SECONDS", help="between two polls of the GPU (0.2)")
    arguments = parser.parse_args()
    return asyncio.run(_all(arguments.look, as_json=arguments.json))


if __name__ == "__main__":
    raise SystemExit(main())
