"""coldvox-type as installed by `coldvoxctl setup`."""

import os
import subprocess
from pathlib import Path

import pytest

from coldvoxd.cli.install_ledger import with_programs

ROOT = Path(__file__).parents[3]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit of a user whose programs have a space in their path."""
    programs = tmp_path / "my programs"
    programs.mkdir()
    (programs / "coldvox-type").write_text("#!/bin/sh\n")
    (programs / "coldvox-type").chmod(0o755)
    unit = tmp_path / "coldvox-type.service"
    unit.write_text(with_programs((ROOT / "systemd" / unit.name).read_text("utf-8"), programs))
    return unit


@pytest.mark.programs("systemd-analyze")
def test_the_unit_is_one_that_systemd_takes(unit: Path) -> None:
    checked = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", unit],
        env={
            **os.environ,
            "HOME": str(unit.parent),
            "XDG_RUNTIME_DIR": str(unit.parent),
            "SYSTEMD_UNIT_PATH": f"{unit.parent}:",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in checked.stderr.splitlines() if "coldvox-type" in line]
    assert ours == []
