"""contrib/coldvox-type/install.sh, in a home made for it, where no service manager is in reach."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.typing_client import PACKAGE


def install(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"HOME": str(home), "PATH": os.defpath, "XDG_RUNTIME_DIR": str(home / "run")}  # no coldvoxd of ours
    return subprocess.run(
        [PACKAGE / "install.sh", *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of somebody who has installed coldvoxd."""
    environment = tmp_path / ".local/share/coldvoxd/venv/bin"
    environment.mkdir(parents=True)
    (environment / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (environment / "coldvoxd").write_text("#!/bin/sh\n")
    for program in environment.iterdir():
        program.chmod(0o755)
    (tmp_path / ".local/bin").mkdir()
    (tmp_path / ".local/bin/coldvoxd").symlink_to(environment / "coldvoxd")
    return tmp_path


def everything(home: Path) -> set[Path]:
    return {path for path in home.rglob("*") if not path.is_dir()}


def test_it_puts_a_program_and_its_unit_in_place_and_takes_them_away(home: Path) -> None:
    before = everything(home)
    for _ in range(2):
        done = install(home)
        assert done.returncode == 0, done.stderr
    program = home / ".local/bin/coldvox-type"
    usage = subprocess.run([program, "--help"], cwd=PACKAGE.parents[1], capture_output=True, text=True, check=True)
    assert "--last" in usage.stdout
    wanted = home / ".config/systemd/user/coldvoxd.service.wants/coldvox-type.service"
    assert wanted.resolve() == home / ".config/systemd/user/coldvox-type.service"
    done = install(home, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert everything(home) == before


def test_without_coldvoxd_it_says_what_to_do_first(tmp_path: Path) -> None:
    done = install(tmp_path)
    assert done.returncode == 69
    assert "run contrib/install.sh first" in done.stderr
    assert everything(tmp_path) == set()


def test_the_unit_is_one_that_systemd_takes(home: Path) -> None:
    install(home)
    unit = home / ".config/systemd/user/coldvox-type.service"
    checked = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", unit],
        env={**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "SYSTEMD_UNIT_PATH": f"{unit.parent}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in checked.stderr.splitlines() if "coldvox-type" in line]
    assert ours == []
