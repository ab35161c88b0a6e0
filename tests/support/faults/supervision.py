"""A service manager for one daemon: systemd's part in `coldvoxd.service`, for tests without a real systemd."""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

UNIT = Path(__file__).parents[3] / "systemd" / "coldvoxd.service"
RESTART_S = 0.5
"""RestartSec= of the unit. Its StartLimitBurst= is ignored, as in contrib/crash.sh: there are more crashes than
usual."""
WATCHDOG_S = 20.0
"""WatchdogSec= of the unit."""
STOP_S = 15.0
"""Three times TimeoutStopSec= of the unit, for a busy machine; a daemon that takes longer is killed and counted."""
NO_RESTART = frozenset({0, 69, 78})
"""Restart=on-failure and RestartPreventExitStatus= of the unit."""


class Supervised:
    """Keeps one program running. Use `async with Supervised(...) as daemon`; `stop` and `start` act like systemctl."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], place: Path, cwd: Path) -> None:
        """`place` is a directory for the notification socket and the log."""
        self._command = [*command]
        self._socket_path = place / "notify"
        self._environment = {**environment, "NOTIFY_SOCKET": str(self._socket_path)}
        self._environment["WATCHDOG_USEC"] = str(round(WATCHDOG_S * 1e6))
        self._environment.pop("WATCHDOG_PID", None)
        self._cwd = cwd
        self._log_path = place / "log"
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopping = False
        self._fed_s = 0.0
        self.exits: list[int] = []
        """Return codes of all ended processes; negative for a signal."""
        self.starved = 0
        """How often the watchdog killed the process."""
        self.slow_stops = 0
        """How often the process did not end on SIGTERM."""
        self.may_start = asyncio.Event()
        """While cleared, the next process does not start."""
        self.may_start.set()

    async def __aenter__(self) -> Self:
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.setblocking(False)
        self._notified.bind(str(self._socket_path))
        loop = asyncio.get_running_loop()
        loop.add_reader(self._notified, self._on_notification)
        self._log: IO[bytes] = self._log_path.open("ab")
        self._tasks = [
            asyncio.create_task(self._keep(), name="keep the daemon"),
            asyncio.create_task(self._watch(), name="watchdog"),
        ]
        self._wanted.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            asyncio.get_running_loop().remove_reader(self._notified)
            self._notified.close()
            self._log.close()

    @property
    def pid(self) -> int:
        """Process ID; 0 if no process runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def failed(self) -> bool:
        """Whether the process ended with a code after which it is not restarted."""
        return not self.pid and not self._wanted.is_set()

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def note(self, line: str) -> None:
        """Write a line into the program's log."""
        self._log.write(f"== {line}\n".encode())
        self._log.flush()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def start(self) -> None:
        """Start the program as `systemctl start` does, even after a failure."""
        self._wanted.set()

    async def stop(self) -> None:
        """Stop the program as `systemctl stop` does: with SIGTERM, and with SIGKILL after `STOP_S`."""
        self._wanted.clear()
        self._stopping = True
        try:
            if not self.pid:
                return
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S):
                    await self._stopped.wait()
            except TimeoutError:
                self.slow_stops += 1
                self.send(signal.SIGKILL)
                await self._stopped.wait()
        finally:
            self._stopping = False

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            await self.may_start.wait()
            self._stopped.clear()
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._cwd,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
            resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (0, 0))  # LimitCORE= of the unit
            self._fed_s = asyncio.get_running_loop().time()
            code = await self._process.wait()
            self.exits.append(code)
            self.note(f"the process ended with {code}")
            self._stopped.set()
            if self._stopping or code in NO_RESTART:
                self._wanted.clear()
            else:
                await asyncio.sleep(RESTART_S)

    async def _watch(self) -> None:
        """Send SIGABRT to a process that has not fed the watchdog, and SIGCONT, as systemd does, to deliver it."""
        while True:
            await asyncio.sleep(0.5)
            if self.pid and asyncio.get_running_loop().time() - self._fed_s > WATCHDOG_S:
                self.starved += 1
                self.note("the watchdog was not fed")
                self.send(signal.SIGABRT)
                self.send(signal.SIGCONT)
                await self._stopped.wait()

    def _on_notification(self) -> None:
        while True:
            try:
                text = self._notified.recv(4096)
            except BlockingIOError:
                return
            if b"WATCHDOG=1" in text or b"READY=1" in text:
                self._fed_s = asyncio.get_running_loop().time()


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def resident_kib(pid: int) -> int:
    """Return RssAnon plus RssShmem, the program's own memory. File pages depend on the machine's memory pressure."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem"))


@asynccontextmanager
async def stopped(daemon: Supervised) -> AsyncIterator[None]:
    """Stop the process with SIGSTOP within the context."""
    pid = daemon.pid
    daemon.send(signal.SIGSTOP)
    try:
        yield
    finally:
        if daemon.pid == pid and pid:
            os.kill(pid, signal.SIGCONT)
