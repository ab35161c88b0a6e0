"""install.sh, on home directories made for it, without a package index (contrib/nspawn-check.sh has the rest)."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coldvoxd.native.plugins import PACKAGES

ROOT = Path(__file__).parents[2]
BY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
"""install.sh refuses to run as root; in this namespace root has another number."""


NO_OTHER_USER = bool(subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode)


def changes_user(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs a namespace of users, which a chroot, such as that of the plain lane in CI, does not have."""
    needs_namespace = pytest.mark.skipif(NO_OTHER_USER, reason="needs a namespace of users, outside a chroot")
    marked: Callable[..., None] = pytest.mark.heavy(needs_namespace(test))
    return marked


def begin(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start install.sh, which ends when pip, which has no index, fails."""
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PIP_NO_INDEX": "1",
        "XDG_RUNTIME_DIR": str(home / "run"),
    }
    command = [*(BY_USER if os.geteuid() == 0 else ()), str(ROOT / "contrib/install.sh"), *arguments]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def install(home: Path, *arguments: str) -> str:
    """Run install.sh until pip fails; return what it wrote to standard error."""
    with begin(home, *arguments) as process:
        return process.communicate(timeout=120)[1]


def shell(text: str) -> "subprocess.CompletedProcess[str]":
    """Run a piece of shell with the functions of the scripts."""
    script = f"set -euo pipefail; source {ROOT}/contrib/dev/setup.sh; find_python; {text}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)


def upgrade_python(environment: Path) -> None:
    """Leave the environment as an upgrade of the distribution does: made for a Python older than the one it links to."""
    major, minor = sys.version_info[:2]
    (environment / f"lib/python{major}.{minor}").rename(environment / f"lib/python{major}.{minor - 1}")
    description = environment / "pyvenv.cfg"
    older = re.sub(r"(?m)^version = .*", f"version = {major}.{minor - 1}.2", description.read_text())
    description.write_text(older)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with an installation's environment, in which nothing but pip is installed."""
    home = tmp_path_factory.mktemp("home")
    made = shell(f"renew_environment '{environment_of(home)}'")
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    return home


def environment_of(home: Path) -> Path:
    return home / ".local/share/coldvoxd/venv"


def is_usable(environment: Path) -> bool:
    return shell(f"usable '{environment}'").returncode == 0


def test_an_environment_that_can_be_used_is_kept(home: Path) -> None:
    environment = environment_of(home)
    assert is_usable(environment)
    (environment / "mark").touch()
    done = shell(f"renew_environment '{environment}'")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (environment / "mark").exists()


def test_an_environment_links_to_the_interpreter_with_its_version(home: Path) -> None:
    link = (environment_of(home) / "bin/python").readlink()
    assert link.name == "python{}.{}".format(*sys.version_info[:2])


@pytest.mark.parametrize("part", ["bin/pip", "pyvenv.cfg", "bin/python", "lib"])
def test_an_incomplete_environment_is_not_usable(home: Path, part: str) -> None:
    lost = environment_of(home) / part
    aside = lost.rename(lost.with_name("aside"))
    try:
        assert not is_usable(environment_of(home))
        if part == "bin/python":
            lost.symlink_to("/nonexistent/python3")  # its interpreter was removed
            assert not is_usable(environment_of(home))
    finally:
        aside.rename(lost)
    assert is_usable(environment_of(home))


def test_an_environment_at_another_path_is_not_usable(home: Path) -> None:
    moved = environment_of(home).rename(home / "moved")
    try:
        assert not is_usable(moved)
    finally:
        moved.rename(environment_of(home))


def said_by(command: str, home: Path) -> str:
    """Run a command as install.sh's user with an empty home directory on a file system of its own; return its output."""
    user = " ".join(BY_USER)
    script = f"mount -t tmpfs -o noexec none {home} && exec {user} {command}"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode, done.stdout
    return done.stdout


@changes_user
def test_a_home_directory_without_exec_is_reported(tmp_path: Path) -> None:
    said = said_by(f"{ROOT}/contrib/install.sh --cpu --no-start", tmp_path)
    assert "its file system is mounted without exec" in said
    assert len(said.splitlines()) == 1
    setup = f"{sys.executable} -m coldvoxd.cli.main setup --no-start --bin ~"
    said = said_by(f"sh -c 'touch ~/coldvoxd && chmod +x ~/coldvoxd && {setup}'", tmp_path)
    assert "is on a file system mounted without exec: install coldvoxd elsewhere" in said
    assert "Traceback" not in said


@changes_user
def test_a_home_directory_that_cannot_be_written_to_is_reported(tmp_path: Path) -> None:
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    (programs / "coldvoxd").write_text("#!/bin/sh\n")
    (programs / "coldvoxd").chmod(0o755)
    home.chmod(0o555)
    with begin(home, "--cpu", "--no-start") as installer:
        said = installer.communicate(timeout=120)[1]
    assert installer.returncode == 69
    assert f"cannot create the directory {home}/.local" in said
    setup = ("setup", "--no-start", "--bin", str(programs))
    command = [*(BY_USER if os.geteuid() == 0 else ()), sys.executable, "-m", "coldvoxd.cli.main", *setup]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "cannot be written: Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


@changes_user
def test_a_second_installer_waits_for_the_first_and_goes_on(home: Path) -> None:
    """The first deletes its logs at its end, among which the lock was."""
    place = home / ".local/share/coldvoxd"
    (place / "install").mkdir(exist_ok=True)
    with (place / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with begin(home, "--cpu", "--no-start") as second:
            assert second.stderr is not None
            assert "waiting for another" in second.stderr.readline()
            shutil.rmtree(place / "install")
            fcntl.flock(lock, fcntl.LOCK_UN)
            _, said = second.communicate(timeout=120)
    assert f"its output is in {place}/install/pip.log" in said, "pip has no index in this test"
    assert (place / "install/pip.log").is_file()


@changes_user
def test_pyav_is_kept_by_later_runs(home: Path) -> None:
    chosen = "including PyAV"
    assert chosen not in install(home, "--cpu", "--no-start")
    assert chosen in install(home, "--cpu", "--no-start", "--media")
    major, minor = sys.version_info[:2]
    (environment_of(home) / f"lib/python{major}.{minor}/site-packages/av-18.1.0.dist-info").mkdir()
    assert chosen in install(home, "--cpu", "--no-start")


@changes_user
def test_an_environment_is_created_again_after_an_upgrade_of_python(home: Path) -> None:
    environment = environment_of(home)
    kept = (home / ".local/share/coldvoxd/models/own/vocab.txt", home / ".config/coldvoxd/coldvoxd.toml")
    for file in kept:
        file.parent.mkdir(parents=True)
        file.write_text("kept")
    upgrade_python(environment)
    assert not is_usable(environment)
    said = install(home, "--cpu", "--no-start")
    assert "No module named pip" not in said
    assert f"{environment} cannot be used" in said
    assert is_usable(environment)
    assert [file.read_text() for file in kept] == ["kept", "kept"]


@pytest.mark.parametrize("arguments", [("--model",), ("--model", "--cpu"), ("--model", ""), ("--bogus",)])
def test_an_option_that_lacks_its_value_is_a_usage_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    command = [str(ROOT / "contrib/install.sh"), *arguments]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("usage: contrib/install.sh")
    assert done.returncode == 64
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["install.sh", "desktop/gnome-shell/install.sh", "desktop/plasma/install.sh"])
def test_the_help_of_an_installer_lists_the_exit_code_of_a_usage_error(script: str) -> None:
    path = ROOT / "contrib" / script
    assert "64 usage error" in subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout
    assert subprocess.run([path, "--bogus"], capture_output=True, check=False).returncode == 64


@pytest.mark.parametrize("extra", ["--vulkan", "--openvino", "--tensorrt-rtx"])
def test_a_gpus_provider_and_the_sandbox_without_gpus_exclude_each_other(extra: str) -> None:
    command = [str(ROOT / "contrib/install.sh"), "--cpu", extra]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 64
    assert done.stderr.startswith("usage: contrib/install.sh")


def test_each_plugins_extra_has_an_option_and_a_module_that_later_runs_recognize() -> None:
    script = (ROOT / "contrib/install.sh").read_text()
    for package in PACKAGES.values():
        assert f"--{package.extra}" in script
        assert f"{package.extra}:{package.module.removeprefix('onnxruntime_ep_')}" in script
