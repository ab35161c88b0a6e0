"""The unit files, as installed by a user."""

import sys
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.user_manager import ROOT, UserManager, install_daemon, user_manager, wait_until_active

UNIT = "coldvoxd.service"
FETCH = "coldvoxd-model.service"
PREPARE = "coldvoxd-prepare.service"
TYPING = "coldvox-type.service"
KEYS = "coldvoxd-keys.service"

PROBE = """
import ctypes, errno, os, pathlib, resource, socket

def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"

runtime = pathlib.Path(os.environ["XDG_RUNTIME_DIR"])
libc = ctypes.CDLL(None, use_errno=True)
found = {
    "network": attempt(socket.socket, socket.AF_INET),
    "home": attempt((pathlib.Path.home() / "x").write_text, ""),
    "runtime": attempt((runtime / "x").write_text, ""),
    "own": attempt((runtime / "coldvoxd" / "x").write_text, ""),
    "tmp": "seen" if os.path.exists(os.environ["SEEN_BY_ALL"]) else "private",
    "privileges": "none to gain" if "NoNewPrivs:\\t1" in pathlib.Path("/proc/self/status").read_text() else "some",
    "namespace": "made" if libc.unshare(0x10000000) == 0 else errno.errorcode[ctypes.get_errno()],
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
}
for name, value in found.items():
    print(f"PROBE {name}={value}")
"""


@pytest.fixture(scope="module")
def manager() -> Iterator[UserManager]:
    with user_manager(kind=UserManager) as running:
        install_daemon(running)
        yield running


def test_systemd_finds_nothing_wrong_with_the_unit(manager: UserManager) -> None:
    manager.run(ROOT / "contrib/dev/install-units.sh", "--cpu")
    for unit in (UNIT, FETCH, PREPARE):
        said = manager.run("systemd-analyze", "--user", "verify", f"{manager.home}/.config/systemd/user/{unit}")
        assert (said.stdout + said.stderr).strip() == ""
    assert "cpu.conf" in manager.show(UNIT, "DropInPaths")
    manager.run("rm", f"{manager.home}/.config/systemd/user/{UNIT}.d/cpu.conf")
    manager.systemctl("daemon-reload")


@pytest.mark.parametrize("unit", [TYPING, KEYS])
def test_a_client_that_always_fails_is_given_up(manager: UserManager, unit: str) -> None:
    """With RestartSec= of seconds, systemd's default of five starts in 10 s is never reached."""
    manager.run(ROOT / "contrib/dev/install-units.sh")
    manager.write(f".config/systemd/user/{unit}.d/fails.conf", "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit 9'\n")
    manager.systemctl("daemon-reload")
    manager.systemctl("start", unit, check=False)
    eventually_blocking(lambda: manager.show(unit, "ActiveState") == "failed", patience_s=300, what="the last failure")
    assert manager.show(unit, "Result") == "exit-code"
    assert 1 <= int(manager.show(unit, "NRestarts")) <= 8
    manager.run("rm", "-r", f"{manager.home}/.config/systemd/user/{unit}.d")
    manager.systemctl("daemon-reload")


def is_failed(manager: UserManager, unit: str) -> bool:
    return manager.show(unit, "ActiveState") == "failed"


def test_setup_starts_a_service_that_has_reached_its_start_limit(manager: UserManager) -> None:
    """Pins that failed starts of the version before do not count: `install.sh` ends with `coldvoxctl setup`."""
    for unit in (UNIT, TYPING):
        drop_in = f".config/systemd/user/{unit}.d/fails.conf"
        manager.write(drop_in, "[Service]\nRestartSec=0\nExecStart=\nExecStart=/bin/sh -c 'exit 9'\n")
    manager.systemctl("daemon-reload")
    for unit in (UNIT, TYPING):
        manager.systemctl("start", unit, check=False)
        eventually_blocking(partial(is_failed, manager, unit), what="the last failure")
        manager.systemctl("start", unit, check=False)
        assert "Start request repeated too quickly" in manager.journal(unit).splitlines()[-3]
        manager.run("rm", "-r", f"{manager.home}/.config/systemd/user/{unit}.d")
    try:
        said = manager.run(manager.home / ".local/bin/coldvoxctl", "setup", "--typing")
        assert "The service is running" in said.stdout
        for unit in (UNIT, TYPING):
            wait_until_active(manager, unit)
    finally:
        for unit in (UNIT, TYPING, FETCH):
            manager.systemctl("disable", "--now", unit, check=False)


def test_the_unit_is_wanted_by_every_login_and_waits_for_no_desktop(manager: UserManager) -> None:
    """A dependency on graphical-session.target would start half a desktop in a login over ssh."""
    manager.systemctl("enable", UNIT)
    assert manager.show(UNIT, "WantedBy") == "default.target"
    related = " ".join(manager.show(UNIT, how) for how in ("After", "Wants", "Requires", "BindsTo", "PartOf"))
    assert "graphical" not in related
    for server in ("pipewire.service", "pipewire-pulse.service", "wireplumber.service", "pulseaudio.service"):
        assert server in related
    manager.systemctl("disable", UNIT)


def test_the_bus_knows_the_service_from_its_installation_on(manager: UserManager) -> None:
    """The bus reads a new activation file only after a reload, which install-units.sh requests."""
    names = manager.run("busctl", "--user", "list", "--activatable", "--no-legend").stdout
    assert "org.coldvox.Daemon1" in names


def test_a_folder_with_a_space_and_a_percent_sign_is_understood(manager: UserManager) -> None:
    odd = manager.home / "my %h programs"
    manager.write(odd / "coldvoxd", "#!/bin/sh\n", executable=True)
    manager.run(ROOT / "contrib/dev/install-units.sh", odd)
    assert f"path={odd}/coldvoxd ;" in manager.show(UNIT, "ExecStart")
    fetch = manager.show(FETCH, "ExecStart")
    assert f"path={odd}/coldvoxctl ;" in fetch
    assert f"model pull --tries 1000 --progress-file {manager.runtime}/coldvoxd-model/progress.json ;" in fetch
    manager.run(ROOT / "contrib/dev/install-units.sh")


def test_installing_from_a_folder_without_the_daemon_changes_nothing(manager: UserManager) -> None:
    refused = manager.run(ROOT / "contrib/dev/install-units.sh", "/usr/games", check=False)
    assert refused.returncode == 66
    assert "there is no coldvoxd in /usr/games" in refused.stderr


def probed(manager: UserManager, unit: str) -> tuple[dict[str, str], str]:
    """Start a unit whose program is a probe; return what it found, and the journal since then.

    Not that of the unit: the journal may not know the unit of a process that has ended before it looks at its lines.
    """
    before = len(manager.journal())
    manager.systemctl("start", unit, check=False)
    journal = manager.journal()[before:]
    return dict(line.split("PROBE ", 1)[1].split("=", 1) for line in journal.splitlines() if "PROBE " in line), journal


def test_the_sandbox_is_really_in_force(manager: UserManager) -> None:
    """In user units systemd silently ignores several of these directives, so their effects are tested."""
    script = manager.write("probe.py", PROBE)
    public = manager.run("mktemp", "/tmp/seen-by-all-XXXXXX").stdout.strip()
    drop_in = manager.write(
        f".config/systemd/user/{UNIT}.d/probe.conf",
        f"[Service]\nType=oneshot\nEnvironment=SEEN_BY_ALL={public}\nExecStart=\nExecStart={sys.executable} {script}\n",
    )
    manager.systemctl("daemon-reload")
    found, journal = probed(manager, UNIT)
    manager.run("rm", drop_in, public)
    manager.systemctl("daemon-reload")
    assert found == {
        "network": "EAFNOSUPPORT",
        "home": "EROFS",
        "runtime": "EROFS",
        "own": "written",
        "tmp": "private",
        "privileges": "none to gain",
        "namespace": "EPERM",
        "core": "0",
    }, journal


FETCH_PROBE = """
import errno, os, pathlib, socket

def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"

runtime = pathlib.Path(os.environ["XDG_RUNTIME_DIR"])
found = {
    "network": attempt(socket.socket, socket.AF_INET),
    "bus": attempt(socket.socket(socket.AF_UNIX).connect, str(runtime / "bus")),
    "packets": attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW),
    "home": attempt((pathlib.Path.home() / "x").write_text, ""),
    "cache": attempt((pathlib.Path.home() / ".cache/coldvoxd/x").write_text, ""),
    "runtime": attempt((runtime / "x").write_text, ""),
    "own": attempt((runtime / "coldvoxd-model" / "x").write_text, ""),
    "privileges": "none to gain" if "NoNewPrivs:\\t1" in pathlib.Path("/proc/self/status").read_text() else "some",
    "nice": os.nice(0),
}
for name, value in found.items():
    print(f"PROBE {name}={value}")
"""


def test_the_unit_that_fetches_may_use_the_network_and_write_its_cache_and_nothing_else(manager: UserManager) -> None:
    script = manager.write("probe.py", FETCH_PROBE)
    drop_in = manager.write(
        f".config/systemd/user/{FETCH}.d/probe.conf", f"[Service]\nExecStart=\nExecStart={sys.executable} {script}\n"
    )
    manager.systemctl("daemon-reload")
    found, journal = probed(manager, FETCH)
    manager.run("rm", drop_in)
    manager.systemctl("daemon-reload")
    assert found == {
        "network": "allowed",
        "bus": "EACCES",
        "packets": "EAFNOSUPPORT",
        "home": "EROFS",
        "cache": "allowed",
        "runtime": "EROFS",
        "own": "allowed",
        "privileges": "none to gain",
        "nice": "10",
    }, journal
