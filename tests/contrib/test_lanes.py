"""The test lanes (contrib/docs/contributing.md): which tests run, what is recorded, and which runs are retried."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import time
import pytest

def test_plain(): pass
def test_wrong(): assert False
@pytest.mark.skipif(True, reason="needs a machine ID")
def test_lacking(): pass
@pytest.mark.skipif(True, reason="needs an NVIDIA GPU and its driver")
def test_gpu(): pass
@pytest.mark.heavy
def test_heavy(request): assert request.node.get_closest_marker("timeout").args == (900,)
@pytest.mark.programs("sh")
def test_with_a_program(): pass
@pytest.mark.programs("sh", "no-such-program")
def test_without_its_program(): pass
@pytest.mark.pipewire
@pytest.mark.timeout(1)
def test_endless(): time.sleep(60)
"""
MARKERS = ("heavy", "system", "pipewire", "programs(name, ...)", "timeout(seconds)")

STUCK = """
import signal, time
import pytest

@pytest.mark.timeout(1)
def test_stuck():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # as native code that never returns
    time.sleep(100)
def test_next(): pass
"""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the tests with these options of pytest, and return the record."""
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n" + "".join(f"  {marker}\n" for marker in MARKERS))
    file = tmp_path / "record.json"

    def run(*options: str) -> dict[str, Any]:
        subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.support.lanes", "--record", file, *options],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
        record: dict[str, Any] = json.loads(file.read_text())
        return record

    return run


def lanes(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command, *rest = arguments
    return subprocess.run(
        [sys.executable, ROOT / "contrib/dev/lanes.py", command, tmp_path / "record.json", *rest],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_plain_lane_leaves_the_others_to_ci_and_says_so_in_three_lines(
    run: Run, tmp_path: Path, workers: str
) -> None:
    record = run("--lane", "plain", "--numprocesses", workers)
    assert (record["passed"], record["failed"]) == (1, ["test_some.py::test_wrong"])
    assert record["for_ci"] == {"heavy": 1, "programs": 2, "pipewire": 1}
    printed = lanes(tmp_path, "left-out", "shellcheck is not installed")
    assert printed.returncode == 1
    head, *lines = printed.stdout.splitlines()
    assert head == "left out:"
    assert [line.split()[0] for line in lines] == ["4", "1", "this"]
    assert "needs a machine ID (1); shellcheck is not installed" in lines[2]


def test_the_ci_lane_runs_what_is_left_and_a_test_that_hangs_ends(run: Run, tmp_path: Path) -> None:
    record = run("--lane", "ci")
    assert (record["passed"], record["failed"]) == (2, ["test_some.py::test_endless"])
    (reason,) = record["left_out"]
    assert "no-such-program" in reason
    assert lanes(tmp_path, "left-out").returncode == 1
    record = run("--lane", "ci", "-k", "heavy")
    assert lanes(tmp_path, "left-out").stdout == "nothing was left out\n"
    assert lanes(tmp_path, "left-out").returncode == 0


def test_the_ci_lane_begins_with_the_longest_files(run: Run, tmp_path: Path) -> None:
    of_ci = "import pytest\npytestmark = [pytest.mark.heavy{}]\n" + "def test_{}(): assert False\n"
    (tmp_path / "test_a_few.py").write_text(of_ci.format("", "one"))
    (tmp_path / "test_many.py").write_text(of_ci.format("", "one") + "def test_two(): assert False\n")
    (tmp_path / "test_soak.py").write_text(of_ci.format(", pytest.mark.timeout(1500)", "long"))
    failed = run("--lane", "ci", "-k", "not endless")["failed"]
    assert [name.split("::")[0] for name in failed] == ["test_soak.py", "test_many.py", "test_many.py", "test_a_few.py"]


def test_a_test_that_blocks_in_native_code_ends_its_worker_and_the_others_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(STUCK)
    record = run("--numprocesses", "1")
    assert (record["passed"], record["failed"]) == (1, ["test_some.py::test_stuck"])


def test_a_second_try_is_for_few_tests_of_a_run_that_came_to_its_end(run: Run, tmp_path: Path) -> None:
    run()
    few = lanes(tmp_path, "failed", "2")
    assert (few.returncode, few.stdout.splitlines()) == (0, ["test_some.py::test_wrong", "test_some.py::test_endless"])
    assert lanes(tmp_path, "failed", "1").returncode == 1
    run("-k", "plain")
    assert lanes(tmp_path, "failed", "2").returncode == 1
    (tmp_path / "test_other.py").write_text("import nothing_that_is_there\n")
    run()
    assert lanes(tmp_path, "failed", "2").returncode == 1, "tests that could not be collected did not fail"
