"""What contrib/bench.sh writes. Speeds depend on the machine and are not tested."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FIELDS = {"figure", "ours", "peer", "peer_name", "ratio", "goal", "unit", "times"}
ONLY_OF_FULL_SIZE = ("load-", "ready-", "rss-", "anonymous-", "peak-", "memory-")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of a quick run with the bundled model."""
    directory = tmp_path_factory.mktemp("bench")
    run = subprocess.run(
        [sys.executable, "-m", "contrib.bench", "--quick", "--json", "--out", str(directory)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (directory / "stdout").write_text(run.stdout)
    return directory


@pytest.mark.heavy
def test_a_quick_run_says_each_figure_in_the_agreed_shape(written: Path) -> None:
    figures = [json.loads(line) for line in (written / "stdout").read_text().splitlines()]
    for figure in figures:
        assert figure.keys() == FIELDS
        assert float(figure["ours"]) >= 0
        assert (figure["peer"] is None) == (figure["peer_name"] is None)
        if figure["ratio"] is not None:
            assert figure["ratio"] == pytest.approx(figure["ours"] / figure["peer"], rel=2e-3)
        if figure["figure"].startswith(ONLY_OF_FULL_SIZE):
            assert figure["goal"] is None
    assert {figure["peer_name"] for figure in figures} >= {None, "onnx-asr", "sherpa-onnx"}
    assert wanted(figures) == {
        ("recognize-3s-fp32-all", "onnx-asr"): 0.95,
        ("recognize-3s-fp32-all", "sherpa-onnx"): 0.95,
        ("decoder-1s-fp32-all", "onnx-asr"): 0.6,
        ("decoder-3s-fp32-all", "onnx-asr"): 0.6,
        ("other-texts-fp32-all-than-onnx-asr", None): 0.0,
        ("second-of-60s-fp32-all", "ours, 30 s"): 1.1,
        ("end-of-speech-to-text-3s-fp32", "ours, begun at the endpoint"): 0.7,
        ("endpoint-to-text-1s-fp32", "ours, begun at the endpoint"): 0.15,
        ("more-utterances-by-speculation-3s-fp32", None): 0.0,
        ("other-texts-by-speculation-3s-fp32", None): 0.0,
        ("idle-cpu", None): 0.01,
        ("idle-cpu-on-demand", None): 0.002,
    }
    assert {"load-warm-fp32", "load-cold-fp32", "first-text-cold-against-warm-fp32", "peak-at-30s-fp32"} <= {
        figure["figure"] for figure in figures
    }


@pytest.mark.heavy
def test_the_run_is_kept_with_its_command_its_table_and_a_drawing(written: Path) -> None:
    kept = json.loads((written / "mini.json").read_text())
    assert kept["figures"] == [json.loads(line) for line in (written / "stdout").read_text().splitlines()]
    assert kept["machine"]["cores"] == os.cpu_count()
    [command] = kept["commands"]
    assert command["command"].startswith("contrib/bench.sh --quick")
    assert str(written.parent) not in command["command"]
    assert 0 <= command["processor_share_of_others"] <= 1
    table = (written / "mini.md").read_text()
    assert table.count("\n| ") == len(kept["figures"]) + 1
    assert (written / "mini.svg").read_text().count(">0.") >= 1


@pytest.mark.heavy
def test_the_profiles_say_where_the_time_goes(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "contrib.bench", "--quick", "--profile", str(tmp_path / "profiles")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    nodes = (tmp_path / "profiles" / "nodes-fp32.txt").read_text()
    assert "Conv " in nodes
    assert "LSTM " in nodes
    stacks = tmp_path / "profiles" / "python-fp32.txt"
    if not stacks.exists():
        assert "ptrace_scope" in run.stderr
        return
    assert "recognize_samples" in stacks.read_text()


def wanted(figures: list[dict[str, Any]]) -> dict[tuple[str, str | None], float]:
    return {(f["figure"], f["peer_name"]): f["goal"] for f in figures if f["goal"] is not None}
