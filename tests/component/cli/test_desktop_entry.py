"""The desktop menu entry, checked with desktop-file-validate."""

import subprocess
from pathlib import Path

import pytest

from coldvoxd.cli.desktop_entry import ACTIONS, NAME, desktop_entry


@pytest.mark.programs("desktop-file-validate")
@pytest.mark.parametrize("directory", ["/usr/bin", "/home/me/100 % $mine/`bin`"])
def test_it_is_valid_and_each_action_is_there(tmp_path: Path, directory: str) -> None:
    file = tmp_path / NAME
    file.write_text(desktop_entry(Path(directory)))
    checked = subprocess.run(["desktop-file-validate", file], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert file.read_text().count("[Desktop Action ") == len(ACTIONS)
    assert file.read_text().count("Exec=") == len(ACTIONS) + 1
