"""`coldvox-type`: the command line."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from coldvox_type import service, settings
from coldvox_type.faults import Refused, SettingsFault
from coldvox_type.memory import Memory
from coldvox_type.rungs import Result
from coldvoxd.core.errors import ColdvoxError

FAILED, USAGE, UNREACHABLE = 1, 2, 3


def main() -> int:
    arguments = _arguments()
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    file = arguments.config or Path(base) / "coldvoxd" / "type.toml"
    try:
        settings.load(file)
        if arguments.allow:
            asyncio.run(service.allow())
            _tell("allowed")
            return 0
        memory = _memory()
        if not arguments.last:
            asyncio.run(service.serve(memory, file, _tell))
            return 0
        outcome = asyncio.run(service.deliver_last(memory, file, _tell))
    except SettingsFault as fault:
        _tell(str(fault))
        return USAGE
    except Refused as fault:
        _tell(str(fault))
        return FAILED
    except ColdvoxError as error:
        _tell(str(error))
        return UNREACHABLE
    if outcome is None:
        _tell("nothing is undelivered")
        return FAILED
    return FAILED if outcome.result is Result.FAILED else 0


def _memory() -> Memory:
    """Raises Refused where the runtime directory is not this user's alone."""
    try:
        return Memory.in_runtime_directory()
    except OSError as error:
        raise Refused(f"texts can't be kept in {error.filename}: {error.strerror}") from error


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="coldvox-type",
        description="Puts what coldvoxd transcribes into the window that has the focus: typed, pasted, or at least "
        "left in the clipboard. Runs until it is stopped, and tells on standard error what became of each text.",
        epilog="exit codes: 0 done, 1 not delivered or nothing to deliver, 2 wrong usage or settings, 3 no session bus",
    )
    parser.add_argument(
        "--last",
        action="store_true",
        help="deliver what did not get into a window, into the one that has the focus now",
    )
    parser.add_argument(
        "--allow",
        action="store_true",
        help="have the desktop ask you whether keys may be pressed for you, where it wants to be asked (GNOME, KDE), also "
        "after you said no",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of ~/.config/coldvoxd/type.toml")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
