"""A real `systemd --user` of a temporary ordinary user, for the duration of a test (user_manager.sh does the work)."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tests.support.eventually import eventually_blocking

SCRIPT = Path(__file__).with_name("user_manager.sh")
ROOT = Path(__file__).parents[3]

NAME, OBJECT, DICTATION = "org.coldvox.Daemon1", "/org/coldvox/Daemon1", "org.coldvox.Dictation1"


def as_root(*argv: str) -> list[str]:
    return [*argv] if os.geteuid() == 0 else ["sudo", "-n", *argv]


@cache
def why_not() -> str:
    """Return why there can be no user manager on this machine; empty if there can."""
    for program in ("unshare", "nsenter", "setpriv", "busctl", "systemctl"):
        if not shutil.which(program):
            return f"needs systemd and util-linux: there is no {program}"
    if not any(Path(place, "systemd/systemd").exists() for place in ("/usr/lib", "/lib")):
        return "needs systemd: there is no systemd/systemd"
    if not any(Path(place, "systemd/user/dbus.socket").exists() for place in ("/usr/lib", "/lib", "/etc")):
        return "needs a session bus for systemd --user: the package dbus-user-session isn't installed"
    if os.geteuid() != 0 and not shutil.which("sudo"):
        return "needs root, or sudo"
    tried = subprocess.run(
        as_root("unshare", "--mount", "--pid", "--ipc", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if tried.returncode:
        return f"needs root, or sudo without a password: {tried.stderr.strip()}"
    unprivileged = ["setpriv", "--reuid=65534", "--clear-groups", "unshare", "--user", "true"]
    tried = subprocess.run(as_root(*unprivileged), capture_output=True, text=True, timeout=30, check=False)
    if tried.returncode:
        return f"needs user namespaces, which chroots and some kernels refuse: {tried.stderr.strip()}"
    return ""


class UserManager:
    """Actions of a person at a terminal of that user's login."""

    def __init__(self, process: "subprocess.Popen[str]", work: Path, ready: Sequence[str]) -> None:
        self._process = process
        self._work = work
        _, pid, uid, home = ready
        # --root too: the tests may run in a chroot, whose mount namespace has a different root.
        self._enter = ["nsenter", f"--target={pid}", "--mount", "--pid", "--ipc", "--root", "--wd=/"]
        self.uid = int(uid)
        self.home = Path(home)
        """Visible only to that user's processes; use `write` for files in it."""
        self.runtime = Path(f"/run/user/{uid}")

    def argv(self, *command: str | Path, environment: Mapping[str, str] | None = None) -> list[str]:
        """Return the command line that runs `command` as that user, inside."""
        variables = {
            "HOME": str(self.home),
            "USER": "coldvox-test",
            "LOGNAME": "coldvox-test",
            "SHELL": "/bin/bash",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.runtime),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime}/bus",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        }
        identity = [f"--reuid={self.uid}", f"--regid={self.uid}", "--init-groups", "--inh-caps=-all"]
        settings = [f"{key}={value}" for key, value in variables.items()]
        return as_root(*self._enter, "setpriv", *identity, "env", "-i", *settings, *map(str, command))

    def run(
        self,
        *command: str | Path,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        check: bool = True,
        patience_s: float = 60,
    ) -> "subprocess.CompletedProcess[str]":
        """Run to the end. With `check`, a failure shows the output and the journal."""
        done = subprocess.run(
            self.argv(*command, environment=environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}"
            )
        return done

    @contextlib.contextmanager
    def running(
        self, *command: str | Path, environment: Mapping[str, str] | None = None
    ) -> "Iterator[subprocess.Popen[str]]":
        """Run a process with pipes beside the test, until the context ends."""
        with subprocess.Popen(
            self.argv(*command, environment=environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                # nsenter waits for its child in another PID namespace; the child ends when its parent's pipe does, or
                # here.
                self.end(process)

    def end(self, process: "subprocess.Popen[str]") -> None:
        """Send SIGTERM to the process inside, below nsenter (and sudo); SIGKILL if it doesn't end."""
        try:
            self._signal_descendants(process, "TERM")
            process.wait(10)
        except subprocess.TimeoutExpired:
            self._signal_descendants(process, "KILL")
        finally:
            with contextlib.suppress(PermissionError):  # sudo's own process; its child has ended
                process.kill()

    def _signal_descendants(self, process: "subprocess.Popen[str]", name: str) -> None:
        for child in _descendants(process.pid):
            subprocess.run(as_root("kill", f"-{name}", str(child)), check=False, capture_output=True)

    def systemctl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("systemctl", "--user", *arguments, check=check)

    def show(self, unit: str, what: str) -> str:
        """Return one property of a unit."""
        return self.systemctl("show", "--value", f"--property={what}", unit).stdout.strip()

    def call(
        self, method: str, *arguments: str, interface: str = DICTATION, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run `busctl call` as in the README, with its answer in JSON."""
        return self.run(
            "busctl", "--user", "--json=short", "call", NAME, OBJECT, interface, method, *arguments, check=check
        )

    def answer(self, method: str, *arguments: str, interface: str = DICTATION) -> Any:
        """Return the first value that the method returns."""
        return json.loads(self.call(method, *arguments, interface=interface).stdout)["data"][0]

    def property(self, name: str, interface: str = DICTATION) -> Any:
        """Read a property of the running daemon. Does not start it, as `busctl get-property` would."""
        done = self.run(
            *("busctl", "--user", "--json=short", "--auto-start=no", "call", NAME, OBJECT),
            *("org.freedesktop.DBus.Properties", "Get", "ss", interface, name),
        )
        return json.loads(done.stdout)["data"][0]["data"]

    def write(self, path: Path | str, content: str, *, executable: bool = False) -> Path:
        """Write a file as that user, below its home if the path is relative."""
        target = self.home / path
        self.run("mkdir", "-p", target.parent)
        self.run("tee", target, stdin=content)
        if executable:
            self.run("chmod", "+x", target)
        return target

    def journal(self, unit: str = "") -> str:
        """Return the user's journal, as journalctl shows it."""
        selection = ["--user-unit", unit] if unit else []
        # Include the most recent entries.
        subprocess.run(as_root(*self._enter, "journalctl", "--sync"), check=False, capture_output=True)
        done = self.run("journalctl", "--user", "--no-pager", "-o", "short-precise", *selection, check=False)
        return done.stdout + done.stderr

    def logs(self) -> str:
        """Return the errors of the manager and the journal themselves."""
        return "".join(f"--- {log.name}\n{log.read_text(errors='replace')}" for log in sorted(self._work.glob("*.log")))

    def make_device(self, path: str) -> None:
        """Create a device node that reads like /dev/null, only in this user's /dev."""
        for command in (("mkdir", "-p", str(Path(path).parent)), ("mknod", "--mode=666", path, "c", "1", "3")):
            subprocess.run(as_root(*self._enter, *command), check=True, capture_output=True)


def needed_paths() -> list[Path]:
    """Return the paths outside /usr that a Python with this checkout reads."""
    paths = {path.resolve() for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix))}
    return sorted(path for path in paths if not path.is_relative_to("/usr"))


Kind = TypeVar("Kind", bound="UserManager")


@contextlib.contextmanager
def user_manager(*readable: Path, kind: type[Kind], under: str = "") -> Iterator[Kind]:
    """Run a user manager within the context; all its processes end with it. `readable` are more paths for that user.

    This checkout and the Python that runs the tests are always readable. `under` is a command, with arguments, that starts
    the manager as root.
    """
    paths = sorted({str(path) for path in [*needed_paths(), *(path.resolve() for path in readable)]})
    with tempfile.TemporaryDirectory(prefix="coldvox-um-", ignore_cleanup_errors=True) as work:
        process = subprocess.Popen(
            as_root("env", f"UM_UNDER={under}", str(SCRIPT), work, *paths),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready = process.stdout.readline().split()
            if not ready:
                raise AssertionError(f"user_manager.sh ended with {process.wait(30)}; its words are above")
            yield kind(process, Path(work), ready)
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait(30)
            process.stdout.close()


def _descendants(pid: int) -> list[int]:
    """Return all descendants, deepest first, with process IDs of this machine."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*(deeper for child in children for deeper in _descendants(child)), *children]


def install_daemon(manager: UserManager, settings: str = "") -> None:
    """Install the service, its bus activation and its settings, as in the README."""
    program = manager.home / ".local/bin/coldvoxd"
    modules = {
        "coldvoxd": "coldvoxd.__main__",
        "coldvoxctl": "coldvoxd.cli.main",
        "coldvox-type": "coldvoxd.typist.__main__",
    }
    for name, module in modules.items():
        # Not the environment's console script, which may belong to another checkout.
        start = f"import sys; from {module} import main; sys.exit(main())"
        manager.write(
            program.with_name(name),
            f"#!/bin/sh\nexport PYTHONPATH='{ROOT}' PYTHONDONTWRITEBYTECODE=1\nexec '{sys.executable}' -c \"{start}\" \"$@\"\n",
            executable=True,
        )
    let_units_see_checkout(manager)
    if settings:
        manager.write(".config/coldvoxd/coldvoxd.toml", settings)
    manager.run(ROOT / "contrib/dev/install-units.sh")


def let_units_see_checkout(manager: UserManager) -> None:
    """Show a checkout below /tmp to the units, which have a private /tmp; a user's checkout is elsewhere."""
    hidden = [str(path) for path in needed_paths() if path.is_relative_to("/tmp") or path.is_relative_to("/var/tmp")]
    drop_in = "[Service]\n" + "".join(f"BindReadOnlyPaths={path}\n" for path in hidden)
    for unit in ("coldvoxd", "coldvoxd-model", "coldvoxd-prepare", "coldvoxd-keys") if hidden else ():
        manager.write(manager.runtime / f"systemd/user/{unit}.service.d/checkout.conf", drop_in)


def wait_until_active(manager: UserManager, unit: str) -> None:
    eventually_blocking(lambda: manager.show(unit, "ActiveState") == "active", what=f"{unit} active")
