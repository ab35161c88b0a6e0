"""Replacement: the daemon puts a new process in its own place, for an accelerator that only a new process can use."""

import asyncio
import fcntl
import logging
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from coldvoxd.core.settings import ReplacementSettings
from coldvoxd.host.exec_state import ExecState, ExecStateDamaged

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often it is asked whether the moment has come."""
STUCK_S = 60.0
"""A thread that sleeps uninterruptibly for so long counts as stuck in a driver."""
VARIABLE = "_COLDVOXD_HANDOVER"
"""Names the descriptor. Not COLDVOXD_...: those are settings."""
STANDARD_ERROR = 2
READ_BYTES = 16 * 1024 * 1024
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Reexec:
    """Finds the moment at which nobody notices. Event loop only.

    `wanted` says whether a new process would be better; `busy_until_s` until when something was going on, infinity
    while it is; `tell` is told once where it can't be done; `slept` says whether it is wanted because the machine slept, which
    no pause between replacements is kept for: a sleep is no fault.
    """

    def __init__(
        self,
        settings: ReplacementSettings,
        past: ExecState,
        *,
        wanted: Callable[[], bool],
        busy_until_s: Callable[[], float],
        tell: Callable[[str], None],
        slept: Callable[[], bool] = lambda: False,
        tasks: Path = Path("/proc/self/task"),
    ) -> None:
        self._settings = settings
        self._past = past
        self._wanted = wanted
        self._busy_until_s = busy_until_s
        self._tell = tell
        self._slept = slept
        self._tasks = tasks
        self._stuck_since_s: float | None = None
        self._told = False

    def use_settings(self, settings: ReplacementSettings) -> None:
        """Pauses that count from now on."""
        self._settings = settings

    async def moment(self) -> None:
        """Return when a new process is wanted and nothing speaks against it. May be waited for again."""
        loop = asyncio.get_running_loop()
        while not self.possible(loop.time()):  # noqa: ASYNC110 - silence and time are no events
            await asyncio.sleep(min(LOOK_S, self._settings.quiet_s / 4))

    def possible(self, now_s: float) -> bool:
        """Whether this is the moment."""
        if not self._wanted():
            return False
        if not self._slept() and now_s < self._past.allowed_s(self._settings.cool_down_s):
            return False
        if now_s - self._busy_until_s() < self._settings.quiet_s:
            return False
        return self._nothing_stuck(now_s)

    def _nothing_stuck(self, now_s: float) -> bool:
        """A thread that can't be ended would hold the exec for ever, and the daemon with it."""
        sleeping = uninterruptible(self._tasks)
        if not sleeping:
            self._stuck_since_s = None
            return True
        if self._stuck_since_s is None:
            self._stuck_since_s = now_s
        if now_s - self._stuck_since_s >= STUCK_S and not self._told:
            self._told = True
            self._tell(
                f"A driver holds {' and '.join(sleeping)} of the daemon, so it cannot re-execute itself: a GPU that failed, "
                "or a microphone that hangs, stays unused. Restart the machine to use it again."
            )
        return False


def uninterruptible(tasks: Path) -> list[str]:
    """Threads in uninterruptible sleep, from /proc/PID/task."""
    found = []
    for stat in tasks.glob("*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            name, _, rest = stat.read_text(errors="replace").partition(" (")[2].rpartition(")")
            if rest.split()[0] == "D":
                found.append(f"thread {stat.parent.name} ({name})")
    return sorted(found)


def handed_over(environment: MutableMapping[str, str] = os.environ) -> ExecState | None:
    """What the process before this one in its place left; None where there was none. Once."""
    given = environment.pop(VARIABLE, None)
    if given is None:
        return None
    try:
        fd = int(given)
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) != _SEALS:
            raise ExecStateDamaged("it is not sealed")
        with os.fdopen(fd, "rb") as file:
            file.seek(0)
            return ExecState.decoded(file.read(READ_BYTES))
    except (OSError, ValueError) as error:
        log.warning("the state of the previous process cannot be read: %s", error)
        return None


def replace_process(handover: ExecState, environment: Mapping[str, str] = os.environ) -> NoReturn:
    """Become a new process with the same number, program and arguments. Raises OSError where that can't be."""
    fd = os.memfd_create("coldvoxd-handover", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(handover.encoded())
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    close_on_exec()
    os.set_inheritable(fd, True)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**environment, VARIABLE: str(fd)})  # noqa: S606 - our own


def close_on_exec() -> None:
    """Mark every descriptor past standard error: native libraries open some that would pile up otherwise."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if int(entry.name) > STANDARD_ERROR:
                os.set_inheritable(int(entry.name), False)
