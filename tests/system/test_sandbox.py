"""The sandbox of each unit: what a program inside it can reach, and units on machines that deny user namespaces."""

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.user_manager import ROOT, UserManager, install_daemon, user_manager, wait_until_active

DAEMON, TYPING, KEYS = "coldvoxd.service", "coldvox-type.service", "coldvoxd-keys.service"
FETCH, PREPARE = "coldvoxd-model.service", "coldvoxd-prepare.service"
UNITS = (DAEMON, TYPING, KEYS, FETCH, PREPARE)
EXPOSURE = {DAEMON: 2.0, TYPING: 2.0, KEYS: 2.0, FETCH: 3.0, PREPARE: 2.0}
"""Greatest overall exposure by systemd-analyze(1); a unit without sandboxing has 9.8."""
RELAXED = "no-namespaces.conf"
SETTINGS = '[model]\nname = "mini"\nprovider = "cpu"\n[microphone]\ndevice = "virtual:{runtime}/coldvoxd/mic"\n'

PROBE = """
import ctypes, errno, mmap, os, pathlib, signal, socket, tempfile

def attempt(what, *arguments, **named):
    try:
        what(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"

def call(number, *arguments):
    return "allowed" if libc.syscall(number, *arguments) >= 0 else errno.errorcode[ctypes.get_errno()]

def by_family(family, *kind):
    return attempt(socket.socket, family, *kind)

libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
runtime, home = pathlib.Path(os.environ["XDG_RUNTIME_DIR"]), pathlib.Path.home()
bus = socket.socket(socket.AF_UNIX)
abstract = socket.socket(socket.AF_UNIX)
found = {
    "internet": by_family(socket.AF_INET),
    "netlink": by_family(socket.AF_NETLINK, socket.SOCK_RAW),
    "abstract": attempt(abstract.connect, "\\0" + os.environ["ABSTRACT"]),
    "bus": attempt(bus.connect, str(runtime / "bus")),
    "interfaces": ",".join(line.split(":")[0].strip() for line in open("/proc/self/net/dev") if ":" in line),
    "home": attempt((home / "x").write_text, ""),
    "state": attempt((home / ".local/state/coldvoxd/x").write_text, ""),
    "models": attempt((home / ".cache/coldvoxd/x").write_text, ""),
    "cache": attempt((home / ".cache/coldvoxd/accelerator/x").write_text, ""),
    "runtime": attempt((runtime / "x").write_text, ""),
    "own": attempt((runtime / os.environ["OWN"] / "x").write_text, ""),
    "tmp": "seen" if os.path.exists(os.environ["SEEN_BY_ALL"]) else "private",
    "tmp_write": attempt(tempfile.TemporaryFile, dir="/tmp"),
    "usr": attempt(pathlib.Path("/usr/share/x").write_text, ""),
    "devices": "seen" if os.path.exists("/dev/nvidia0") else "hidden",
    "vulkan": "seen" if os.path.exists("/dev/dri/renderD128") and os.path.isdir("/usr/share") else "hidden",
    "privileges": status["NoNewPrivs"].strip(),
    "bounding": status["CapBnd"].strip().strip("0"),
    "effective": status["CapEff"].strip().strip("0"),
    "filter": status["Seccomp"].strip(),
    "namespace": attempt(os.unshare, os.CLONE_NEWUSER) if hasattr(os, "unshare") else (
        "allowed" if libc.unshare(0x10000000) == 0 else errno.errorcode[ctypes.get_errno()]
    ),
    "hostname": attempt(socket.sethostname, "other"),
    "chown": attempt(os.chown, runtime / os.environ["OWN"], os.getuid(), os.getgid()),
    "nice": attempt(os.setpriority, os.PRIO_PROCESS, 0, 5),
    "executable": attempt(mmap.mmap, -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
}
for name, value in found.items():
    print(f"PROBE {name}={value}")
"""

NOWHERE = {
    "internet": "EAFNOSUPPORT",
    "netlink": "EAFNOSUPPORT",
    "privileges": "1",
    "effective": "",
    "filter": "2",
    "namespace": "EPERM",
    "hostname": "EPERM",
}
"""What no unit may do, with user namespaces or without."""
CONFINED = NOWHERE | {
    "abstract": "ECONNREFUSED",
    "bus": "allowed",
    "home": "EROFS",
    "runtime": "EROFS",
    "usr": "EROFS",
    "bounding": "",
    "chown": "EPERM",
    "interfaces": "lo",
}
"""What none of the daemon, the typing client and the keys may do where the kernel allows user namespaces."""
DESKTOP = {"devices": "hidden", "vulkan": "hidden", "executable": "EPERM", "nice": "EPERM"}
INSIDE = {
    DAEMON: CONFINED
    | {"own": "allowed", "state": "EROFS", "tmp": "private", "devices": "seen", "executable": "allowed"}
    | {"vulkan": "seen", "cache": "allowed", "models": "EROFS"},
    TYPING: CONFINED | DESKTOP | {"own": "allowed", "state": "allowed", "tmp": "seen", "tmp_write": "allowed"},
    KEYS: CONFINED | DESKTOP | {"state": "EROFS", "tmp": "private"},
}


class Sandboxed(UserManager):
    """A login with all units installed, in which programs can be tried inside a unit."""

    def install(self) -> None:
        install_daemon(self, SETTINGS.format(runtime=self.runtime))

    def probe(self, unit: str) -> dict[str, str]:
        """Run PROBE in place of the unit's program; return what it found."""
        script = self.write("probe.py", PROBE)
        public = self.run("mktemp", "/tmp/seen-by-all-XXXXXX").stdout.strip()
        name = f"coldvox-probe-{self.home.name}-{unit}"
        listening = ("python3", "-c", LISTENER, name)
        own = {TYPING: "coldvox-type"}.get(unit, "coldvoxd")
        drop_in = self.write(
            f".config/systemd/user/{unit}.d/zz-probe.conf",
            f"[Service]\nType=oneshot\nRestart=no\nEnvironment=SEEN_BY_ALL={public} ABSTRACT={name} OWN={own}\n"
            f"ExecStart=\nExecStart={sys.executable} {script}\n",
        )
        self.systemctl("daemon-reload")
        with self.running(*listening) as listener:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "listening\n"
            self.systemctl("start", unit, check=False)
        try:
            # The journal gets what the program printed by another way than systemd's own lines.
            eventually_blocking(lambda: "PROBE executable=" in self.journal(unit), what="the end of the probe")
        except AssertionError as error:
            raise AssertionError(self.journal(unit)) from error
        journal = self.journal(unit)
        self.run("rm", drop_in, public)
        self.systemctl("daemon-reload")
        return dict(line.split("PROBE ")[1].split("=", 1) for line in journal.splitlines() if "PROBE " in line)

    def relaxed(self) -> set[str]:
        """Return the units that do without user namespaces."""
        return {unit for unit in UNITS if RELAXED in self.show(unit, "DropInPaths")}


LISTENER = """
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0" + sys.argv[1])
listener.listen()
print("listening", flush=True)
time.sleep(600)
"""
"""A server outside the sandbox, at an abstract address, as an X server's."""


@pytest.fixture(scope="module")
def manager() -> Iterator[Sandboxed]:
    with user_manager(kind=Sandboxed) as running:
        running.install()
        for device in ("/dev/nvidia0", "/dev/dri/renderD128"):
            if not Path(device).exists():
                running.make_device(device)
        yield running


@pytest.mark.parametrize("unit", UNITS)
def test_the_exposure_is_small(manager: Sandboxed, unit: str) -> None:
    told = manager.run("systemd-analyze", "--user", "--no-pager", "security", unit, check=False).stdout
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert overall, told
    assert float(overall[1]) <= EXPOSURE[unit], told


@pytest.mark.parametrize("unit", INSIDE)
def test_a_program_inside_reaches_nothing_but_what_the_unit_needs(manager: Sandboxed, unit: str) -> None:
    found = manager.probe(unit)
    assert {name: found[name] for name in INSIDE[unit]} == INSIDE[unit], found


def test_nothing_is_relaxed_where_user_namespaces_work(manager: Sandboxed) -> None:
    assert manager.relaxed() == set()


@pytest.fixture(scope="module", params=["users", "capabilities"])
def denied(request: pytest.FixtureRequest) -> Iterator[Sandboxed]:
    """A login on a machine that denies user namespaces, or capabilities inside them, with the units installed."""
    if platform.machine() != "x86_64":
        pytest.skip("needs x86_64, whose system calls deny_namespaces.py filters")
    deny = ROOT / "tests/support/login/deny_namespaces.py"
    with user_manager(kind=Sandboxed, under=f"{sys.executable} {deny} {request.param}") as running:
        running.install()
        yield running


def test_the_units_start_where_user_namespaces_are_denied(denied: Sandboxed) -> None:
    assert denied.relaxed() == set(UNITS)
    denied.systemctl("start", DAEMON)
    wait_until_active(denied, DAEMON)
    assert denied.answer("StartDictation")
    denied.call("CancelDictation")
    denied.systemctl("stop", DAEMON)


@pytest.mark.parametrize("unit", [DAEMON, TYPING, KEYS])
def test_what_needs_no_namespace_holds_there(denied: Sandboxed, unit: str) -> None:
    found = denied.probe(unit)
    assert {name: found[name] for name in NOWHERE} == NOWHERE, found


def test_the_sandbox_returns_when_the_kernel_allows_it_again(manager: Sandboxed) -> None:
    for unit in UNITS:
        manager.write(f".config/systemd/user/{unit}.d/{RELAXED}", "[Service]\nPrivateUsers=no\n")
    manager.run(ROOT / "contrib/dev/install-units.sh")
    assert manager.relaxed() == set()


def test_without_the_drop_in_systemd_fails_there(denied: Sandboxed) -> None:
    """Pins the reason for the drop-in: if this fails, systemd does without by itself, and the drop-in can be removed."""
    denied.run("rm", f"{denied.home}/.config/systemd/user/{DAEMON}.d/{RELAXED}")
    denied.systemctl("daemon-reload")
    denied.systemctl("start", DAEMON, check=False)
    eventually_blocking(lambda: denied.show(DAEMON, "ActiveState") != "activating", what="the end of the start")
    assert denied.show(DAEMON, "ExecMainStatus") in {"217", "218"}, denied.journal(DAEMON)
    denied.systemctl("stop", DAEMON)
    denied.systemctl("reset-failed", DAEMON)
