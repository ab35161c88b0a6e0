"""The swap between two real execution providers; OpenVINO takes the place of the GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faults.second_provider import BURST, KILLED, OPENVINO

ROOT = Path(__file__).parents[3]
ENVIRONMENT = ROOT / ".work/openvino"
CPU = "CPUExecutionProvider"


@pytest.mark.heavy
@pytest.mark.skipif(
    not (ENVIRONMENT / "complete").exists(),
    reason="needs ONNX Runtime's build with OpenVINO: run contrib/test.sh --system",
)
def test_a_real_provider_that_is_killed_under_load_costs_no_word() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.faults.second_provider"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ENVIRONMENT}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["heard"] == told["wanted"]
    assert told["providers"][:KILLED] == [OPENVINO] * KILLED
    # If the machine was too busy to kill it inside that run, the next run finds it dead.
    assert CPU in told["providers"][KILLED : KILLED + 2]
    assert told["degraded"]
    assert told["providers"][BURST] == OPENVINO, "a probe brought it back"
