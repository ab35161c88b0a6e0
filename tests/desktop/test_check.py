"""contrib/desktop-check.sh for the desktops that run here: key, daemon, coldvox-type, and the words in a window."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.desktop.windows import SWAY_PROGRAMS, X11_PROGRAMS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "desktop",
    [
        pytest.param("x11", marks=pytest.mark.programs(*X11_PROGRAMS)),
        pytest.param("sway", marks=pytest.mark.programs(*SWAY_PROGRAMS)),
    ],
)
def test_what_is_said_stands_in_a_window_after_a_key(desktop: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "contrib/trials/desktop/typed.py", desktop, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 3
    for answer in found:
        assert answer["desktop"] == desktop
        assert answer["right"]


def test_an_unknown_desktop_is_wrong_usage() -> None:
    done = subprocess.run([ROOT / "contrib/desktop-check.sh", "cde"], capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "usage: contrib/desktop-check.sh" in done.stderr
