"""The entry point of coldvox-type. It imports nothing heavy, so that an interrupt finds its handler at once."""

import sys
from collections.abc import Callable

from coldvoxd import console


def main() -> int:
    """Run the command line and return the exit code."""
    return console.run(_load)


def _load() -> Callable[[], int]:
    from coldvoxd.typist.command import main as run

    return run


if __name__ == "__main__":
    sys.exit(main())
