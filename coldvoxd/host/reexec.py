"""Re-exec: the daemon replaces itself if only a new process can use an accelerator or a microphone again."""

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
"""Maximum pause, in seconds, between two checks for a suitable moment."""
STUCK_S = 60.0
"""Seconds in uninterruptible sleep after which a thread counts as stuck in a driver."""
HANGING_QUIETS = 2.0
"""A device call that has hung for this multiple of [replacement] quiet_s justifies a new process."""
VARIABLE = "_COLDVOXD_HANDOVER"
"""Environment variable with the descriptor's number. Not COLDVOXD_..., because those are settings."""
STANDARD_ERROR = 2
READ_BYTES = 16 * 1024 * 1024
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Reexec:
    """Finds a moment at which no client notices the replacement. Event loop only.

    `wanted` returns whether a new process would be better. `busy_until_s` returns the loop time at which the daemon was
    last busy, infinity while it is. `hanging_s` returns the seconds for which a device call has hung at a loop time,
    which is a separate reason. `slept` returns whether the reason is suspend or an idle release of the accelerator:
    that is no fault, and needs no pause after an earlier replacement. `report` receives one sentence for the user if
    the process cannot be replaced.
    """

    def __init__(
        self,
        settings: ReplacementSettings,
        past: ExecState,
        *,
        wanted: Callable[[], bool],
        busy_until_s: Callable[[], float],
        report: Callable[[str], None],
        slept: Callable[[], bool] = lambda: False,
        hanging_s: Callable[[float], float] = lambda _: 0.0,
        tasks: Path = Path("/proc/self/task"),
    ) -> None:
        self._settings = settings
        self._past = past
        self._wanted = wanted
        self._busy_until_s = busy_until_s
        self._report = report
        self._slept = slept
        self._hanging_s = hanging_s
        self._tasks = tasks
        self._stuck_since_s: float | None = None
        self._reported = False

    def use_settings(self, settings: ReplacementSettings) -> None:
        """Apply new settings from now on."""
        self._settings = settings

    async def moment(self) -> None:
        """Return once a new process is wanted and nothing prevents it. May be called again."""
        loop = asyncio.get_running_loop()
        while not self.possible(loop.time()):  # noqa: ASYNC110 - silence and time are no events
            await asyncio.sleep(min(LOOK_S, self._settings.quiet_s / 4))

    def possible(self, now_s: float) -> bool:
        """Return whether a new process is wanted and nothing prevents it at this loop time."""
        if not self._wanted() and not self._hangs(now_s):
            return False
        if not self.is_for_rest(now_s) and now_s < self._past.allowed_s(self._settings.cool_down_s):
            return False
        if now_s - self._busy_until_s() < self._settings.quiet_s:
            return False
        return self._nothing_stuck(now_s)

    def is_for_rest(self, now_s: float) -> bool:
        """Return whether suspend or an idle release of the accelerator is the only reason for a new process."""
        return self._slept() and not self._hangs(now_s)

    def _hangs(self, now_s: float) -> bool:
        """Return whether a device call has hung, so that only a new process can open the microphone again."""
        return self._hanging_s(now_s) >= HANGING_QUIETS * self._settings.quiet_s

    def _nothing_stuck(self, now_s: float) -> bool:
        """Return whether every thread can be ended. A thread that cannot would block execve(2), and so the daemon."""
        sleeping = uninterruptible(self._tasks)
        if not sleeping:
            self._stuck_since_s = None
            return True
        if self._stuck_since_s is None:
            self._stuck_since_s = now_s
        if now_s - self._stuck_since_s >= STUCK_S and not self._reported:
            self._reported = True
            self._report(
                f"A driver holds {' and '.join(sleeping)} of the daemon, so it cannot re-execute itself: a GPU that failed, "
                "or a microphone that hangs, stays unused. Restart the machine to use it again."
            )
        return False


def uninterruptible(tasks: Path) -> list[str]:
    """Return the threads in uninterruptible sleep, from the directory /proc/PID/task."""
    found = []
    for stat in tasks.glob("*/stat"):
        with suppress(OSError):  # the thread has ended
            name, _, rest = stat.read_text(errors="replace").partition(" (")[2].rpartition(")")
            if rest.split()[0] == "D":
                found.append(f"thread {stat.parent.name} ({name})")
    return sorted(found)


def handed_over(environment: MutableMapping[str, str] = os.environ) -> ExecState | None:
    """Return the state that the previous process passed, None if there was none. Only the first call returns it."""
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
    """Execute the daemon again with the same PID, program and arguments. Raises OSError if the system refuses."""
    fd = os.memfd_create("coldvoxd-handover", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(handover.encoded())
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    close_on_exec()
    os.set_inheritable(fd, True)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**environment, VARIABLE: str(fd)})  # noqa: S606 - our own


def close_on_exec() -> None:
    """Set FD_CLOEXEC on every descriptor above standard error: native libraries leave some open, which would leak."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if int(entry.name) > STANDARD_ERROR:
                os.set_inheritable(int(entry.name), False)
