"""A real GPU, if available: `./contrib/test.sh -m gpu`. Writes .work/gpu-report.md; please send it to the project.

No durations are asserted: they depend on the GPU and the machine, and go into the report. The examination runs in a
separate process, so that it leaves nothing on the GPU. COLDVOX_LANE_MODEL names a model other than `mini`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.native.providers import CUDA, likely_accelerators
from tests.support.environment import OWN_HOME
from tests.support.gpu.lane import Examination, report

ROOT = Path(__file__).parents[2]
REPORT = ROOT / ".work/gpu-report.md"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(CUDA not in likely_accelerators(), reason="needs an NVIDIA GPU and its driver"),
]


@pytest.fixture(scope="module")
def found() -> Examination:
    model = os.environ.get("COLDVOX_LANE_MODEL", "mini")
    command = [sys.executable, "-m", "tests.support.gpu.lane", "cuda", model]
    owners = os.environ | {"HOME": os.environ[OWN_HOME]}  # with the downloaded models
    done = subprocess.run(command, cwd=ROOT, env=owners, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    examination = Examination(**json.loads(done.stdout.splitlines()[-1]))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report(examination))
    print(f"please send {REPORT}")
    return examination


def test_the_session_runs_on_the_card(found: Examination) -> None:
    assert found.active == "CUDAExecutionProvider"


def test_the_card_hears_what_the_cpu_hears(found: Examination) -> None:
    assert found.golden


def test_a_session_with_hardly_any_memory_is_told_so(found: Examination) -> None:
    assert found.small_memory.startswith(f"{FaultClass.TRANSIENT}, {Reason.GPU_OUT_OF_MEMORY}"), found.small_memory


def test_a_hidden_card_is_no_card(found: Examination) -> None:
    assert found.hidden != "opened"


def test_the_report_is_written(found: Examination) -> None:
    assert found.latency_s["3"]["p95"] > 0
    assert "3 |" in REPORT.read_text()
