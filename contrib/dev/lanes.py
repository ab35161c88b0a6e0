#!/usr/bin/env python3
"""Reports on a lane of tests, from the record that tests/support/lanes.py wrote: see contrib/docs/contributing.md.

contrib/dev/lanes.py left-out RECORD [REASON...]   print the tests left out and why, including the set-up's REASONs;
                                               exit 1 if there are more than tests that need a GPU or belong to CI
contrib/dev/lanes.py failed RECORD AT_MOST         print the failed tests, one per line; exit 1 for none or too many
"""

import json
import sys
from pathlib import Path
from typing import Any

GPU = "needs an NVIDIA GPU"
"""Start of the skip reason of each test that needs a real GPU."""
TESTS_FAILED = 1
"""pytest's exit status when all tests ran and some failed."""
LONGEST_REASONS = 300
"""Maximum length in characters of the line that lists what a machine lacks."""


def left_out(record: dict[str, Any], reasons_of_set_up: list[str]) -> int:
    """Print at most three lines, and the number of overlong tests in the plain lane."""
    lines: list[str] = []
    if for_ci := record["for_ci"]:
        parts = ", ".join(f"{count} {marker}" for marker, count in for_ci.items())
        lines.append(f"{sum(for_ci.values())} tests that CI runs ({parts}): ./contrib/test.sh --system")
    reasons: dict[str, int] = record["left_out"]
    on_gpu = sum(count for reason, count in reasons.items() if reason.startswith(GPU))
    if on_gpu:
        lines.append(f"{on_gpu} tests that need an NVIDIA GPU: ./contrib/test.sh -m gpu")
    lacks = [f"{reason} ({count})" for reason, count in reasons.items() if not reason.startswith(GPU)]
    lacks += reasons_of_set_up
    if lacks:
        lines.append(_cut(f"this machine lacks something: {'; '.join(lacks)}"))
    print("left out:" if lines else "nothing was left out")
    for line in lines:
        print(f"  {line}")
    if record["lane"] == "plain" and (slow := record["slow"]):
        print(f"over 20 s, so for the CI lane unless the machine was busy: {len(slow)} tests, in .work/lane-plain.json")
    return int(bool(lacks))


def failed(record: dict[str, Any], at_most: int) -> int:
    names: list[str] = record["failed"]
    print(*names, sep="\n")
    return int(record["exit_status"] != TESTS_FAILED or not 0 < len(names) <= at_most)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_REASONS else f"{line[:LONGEST_REASONS]}... (all of it: .work/lane-*.json)"


def main() -> int:
    match sys.argv[1:]:
        case ["left-out", file, *reasons]:
            return left_out(json.loads(Path(file).read_text("utf-8")), reasons)
        case ["failed", file, at_most]:
            return failed(json.loads(Path(file).read_text("utf-8")), int(at_most))
    print(__doc__, file=sys.stderr)
    return 64


if __name__ == "__main__":
    sys.exit(main())
