"""A login's machine that can sleep: a real logind on its system bus, with everything except the sleep itself.

The kernel's interface (/sys/power) and the executor of the sleep (systemd as process 1) are faked in the login's
private namespaces; logind's own work is real: it calls, waits for inhibitors and sends signals.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.bus.logind import PYTHON
from tests.support.eventually import eventually_blocking
from tests.support.login.user_manager import UserManager, as_root

PROGRAM = "systemd-logind"
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
MANAGER = f"{SYSTEMD[0]}.Manager"
LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
MOCK = "org.freedesktop.DBus.Mock"
JOB = f"{SYSTEMD[1]}/job/1"
TARGET = "suspend.target"


class SleepingMachine:
    """Controls the machine."""

    def __init__(self, login: UserManager) -> None:
        self._login = login

    def inhibitors(self) -> list[list[str]]:
        """Return what, who, why and mode of each inhibitor in logind."""
        answer = self.as_root("busctl", "--system", "--json=short", "call", *LOGIND, "ListInhibitors")
        return [one[:4] for one in json.loads(answer)["data"][0]]

    def suspend(self) -> None:
        """Suspend as a closed lid does; return once the machine sleeps."""
        before = self._jobs()
        self.as_root("busctl", "--system", "call", *LOGIND, "Suspend", "b", "false")
        eventually_blocking(lambda: self._jobs() > before, what="the sleep")

    def wake(self) -> None:
        """End the sleep."""
        removed = ("4", "u", "1", "o", JOB, "s", TARGET, "s", "done")
        call = ("EmitSignal", "sssav", MANAGER, "JobRemoved", "uoss", *removed)
        self.as_root("busctl", "--system", "call", *SYSTEMD, MOCK, *call)

    def as_root(self, *command: str) -> str:
        """Run a command in the login's namespaces; return its output."""
        done = subprocess.run(
            as_root(*self._login._enter, *command), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def _jobs(self) -> int:
        """Return how often the sleep itself was requested."""
        calls = self.as_root(
            "busctl", "--system", "--json=short", "call", *SYSTEMD, MOCK, "GetMethodCalls", "s", "StartUnit"
        )
        return sum(TARGET in str(call) for call in json.loads(calls)["data"][0])


@contextlib.contextmanager
def sleeping_machine(login: UserManager) -> Iterator[SleepingMachine]:
    """Run the machine within the context."""
    machine = SleepingMachine(login)
    machine.as_root("mount", "-t", "tmpfs", "tmpfs", "/sys/power")
    machine.as_root("sh", "-c", "echo freeze mem >/sys/power/state; echo s2idle [deep] >/sys/power/mem_sleep")
    programs = [place for place in ("/usr/lib/systemd", "/lib/systemd") if Path(place, PROGRAM).exists()]
    with (
        _running(login, PYTHON, "-m", "dbusmock", "--system", *SYSTEMD, MANAGER),
        contextlib.ExitStack() as stack,
    ):
        _until_owned(machine, SYSTEMD[0])
        method = ("AddMethod", "sssss", MANAGER, "StartUnit", "ss", "o", f"ret = dbus.ObjectPath('{JOB}')")
        machine.as_root("busctl", "--system", "call", *SYSTEMD, MOCK, *method)
        unit = (f"{SYSTEMD[1]}/unit/suspend_2etarget", f"{SYSTEMD[0]}.Unit", "1", "LoadState", "s", "loaded", "0")
        machine.as_root("busctl", "--system", "call", *SYSTEMD, MOCK, "AddObject", "ssa{sv}a(ssss)", *unit)
        stack.enter_context(_running(login, f"{programs[0]}/{PROGRAM}"))
        _until_owned(machine, LOGIND[0])
        yield machine
    machine.as_root("umount", "/sys/power")


@contextlib.contextmanager
def _running(login: UserManager, *command: str) -> Iterator[None]:
    with subprocess.Popen(
        as_root(*login._enter, *command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield
        finally:
            login.end(process)


def _until_owned(machine: SleepingMachine, name: str) -> None:
    def owned() -> bool:
        return name in machine.as_root("busctl", "--system", "list", "--acquired", "--no-legend").split()

    eventually_blocking(owned, what=f"an owner of {name}")
