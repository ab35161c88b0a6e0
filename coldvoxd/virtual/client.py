"""The client of the simulators' command socket: `python -m coldvoxd.virtual.client SOCKET COMMAND [ARGUMENT...]`."""

import socket
import sys
from pathlib import Path


class CommandRefused(ValueError):
    """The simulator answered ERROR; with its message."""


def command(socket_path: Path, line: str, *, timeout_s: float = 600.0) -> str:
    """Send one command and return its answer without the `OK`.

    Raises CommandRefused, or OSError if nothing listens or the answer does not arrive in time.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(socket_path))
        connection.sendall(line.encode() + b"\n")
        with connection.makefile("r", encoding="utf-8") as answers:
            status, _, rest = answers.readline().strip().partition(" ")
    if status == "OK":
        return rest
    raise CommandRefused(rest or "the connection ended without an answer")


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        answer = command(Path(given[0]), " ".join(given[1:]))
    except (CommandRefused, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if answer:
        print(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
