"""Runs one check in its own process, which the doctor can kill: `python -m coldvoxd.doctor NAME`, JSON lines on stdout."""

import dataclasses
import json
import os
import sys

from coldvoxd.doctor.examination import CHECKS


def main() -> None:
    """Run the check named by the first argument."""
    _, module, function, _ = CHECKS[sys.argv[1]]
    check = getattr(__import__(module, fromlist=[function]), function)
    for said in check():
        print(json.dumps({"kind": type(said).__name__, **dataclasses.asdict(said)}), flush=True)
    sys.stdout.flush()
    # A library's thread that hangs in a driver would block the interpreter's normal exit.
    os._exit(0)


if __name__ == "__main__":
    main()
