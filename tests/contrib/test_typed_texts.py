"""The trial of typed texts, in a short form."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.desktop.windows import SWAY_PROGRAMS, X11_PROGRAMS

TRIAL = Path(__file__).parents[2] / "contrib" / "trials" / "typed_texts.py"


@pytest.mark.heavy
@pytest.mark.programs(*X11_PROGRAMS, *SWAY_PROGRAMS)
@pytest.mark.parametrize("desktop", ["sway", "x11"])
def test_a_sentence_in_each_of_five_languages_arrives_in_each_window(desktop: str) -> None:
    """Chromium and GTK are left out if they are missing; the trial says so."""
    done = subprocess.run(
        [sys.executable, str(TRIAL), "--desktop", desktop, "--sentences", "1"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=170,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0
    assert done.stdout.count(f"| {desktop} |") >= 1
