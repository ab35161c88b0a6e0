"""A process that holds content of several types in a selection until something else is copied.

xclip and wl-copy hold one type. `python -m coldvoxd.typist.clipboard_owner clipboard` reads the content from standard
input and exits when the selection has it; a process in the background then serves it, and outlives coldvox-type.
"""

import asyncio
import os
import select
import sys

from coldvoxd.typist import wayland_selection, x11_selection
from coldvoxd.typist.clipboard_content import Content, unpacked
from coldvoxd.typist.environment import on_wayland
from coldvoxd.typist.errors import Refused, Unavailable
from coldvoxd.typist.settings import Selection

FAILED, UNAVAILABLE = 1, 69
"""Exit codes; the second is EX_UNAVAILABLE of sysexits.h: this desktop lets no program own its selection."""
_HELD = b"held"


def main() -> int:
    """Hand the content over to a process in the background. Return 0 once the selection has it."""
    selection, content = Selection(sys.argv[1]), unpacked(sys.stdin.buffer.read())
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        if told == _HELD:
            return 0
        code, _, words = told.decode().partition(" ")
        print(words or "the process that holds the clipboard ended", file=sys.stderr)
        return int(code or FAILED)
    os.close(reading)
    os.setsid()  # an interrupt in the terminal is not for this process
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    try:
        asyncio.run(_hold(selection, content, writing))
    except Refused as error:
        failed = UNAVAILABLE if isinstance(error, Unavailable) else FAILED
        _tell(writing, f"{failed} {error}".encode())
    return 0


async def _hold(selection: Selection, content: Content, told: int) -> None:
    def wanted() -> bool:
        """Return whether the process that started this one still waits: it is killed after its time limit."""
        poll = select.poll()
        poll.register(told, select.POLLERR)
        return not poll.poll(0)

    def held() -> None:
        _tell(told, _HELD)

    own = wayland_selection.own if on_wayland(os.environ) else x11_selection.own
    await own(content, selection, os.environ, wanted, held)


def _tell(pipe: int, words: bytes) -> None:
    try:
        os.write(pipe, words)
        os.close(pipe)
    except OSError:
        return  # told before, or the other process is gone


if __name__ == "__main__":
    sys.exit(main())
