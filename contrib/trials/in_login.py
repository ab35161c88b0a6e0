"""Runs one of the long trials in a temporary user's login: see crash.sh and replace.sh."""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.login.inside import trial  # noqa: E402 - the checkout's own
from tests.support.login.user_manager import why_not  # noqa: E402

TIMES = {"crashing": 100, "renewing": 50}
PATIENCE_S = 60.0
"""Seconds per repetition, on a busy machine."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trial", choices=TIMES)
    parser.add_argument("--times", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if why_not():
        print(why_not(), file=sys.stderr)
        return 69
    times = arguments.times or TIMES[arguments.trial]
    with trial(accelerator=arguments.trial == "renewing") as here:
        numbers = ("--times", str(times), "--seed", str(arguments.seed))
        found = here.perform(arguments.trial, *numbers, patience_s=PATIENCE_S * times)
    print(json.dumps(found, indent=2))
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
