"""The entry point of coldvox-type. It imports nothing heavy, so that an interrupt finds its handler at once."""

import sys

from coldvoxd import console


def main() -> int:
    """Run the command line and return the exit code."""
    console.exit_on_interrupt()
    console.log_python_warnings()
    from coldvoxd.typist.command import main as run

    try:
        console.raise_on_interrupt()
        return run()
    except KeyboardInterrupt:
        return console.INTERRUPTED
    finally:
        console.exit_on_interrupt()  # while the interpreter exits


if __name__ == "__main__":
    sys.exit(main())
