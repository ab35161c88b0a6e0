"""A key that is held in sway dictates until it is released, or until another key is pressed."""

import json
import subprocess

import pytest

from tests.support.daemon.process import ROOT
from tests.support.desktop.sway_keys import command
from tests.support.desktop.windows import SWAY_PROGRAMS

LIMIT_S = 240.0


@pytest.mark.programs(*SWAY_PROGRAMS, "flock")
def test_a_held_key_stops_whatever_else_is_pressed() -> None:
    done = subprocess.run(command(), cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    print(done.stderr)
    assert [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")] == [
        ["alone", 1, False],
        ["another key meanwhile", 1, True],
        ["modifiers released first", 1, True],
        ["tapped", 1, False],
        ["sway stalls", 1, True],
        ["refused", "No model is present."],
        ["sway has ended"],
    ]
