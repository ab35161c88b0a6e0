"""No data leaves the machine: ONNX Runtime sends telemetry unless that is disabled before it is loaded."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

from onnxruntime.capi import onnxruntime_pybind11_state as native

ROOT = Path(__file__).parents[3]
SILERO = ROOT / "coldvoxd/data/silero/silero_vad_16k_op15.onnx"


def test_a_session_leaves_no_trace_of_telemetry(tmp_path: Path) -> None:
    """With telemetry enabled it leaves a machine ID and a queue of reports below ~/.cache/Microsoft."""
    program = (
        f"import pathlib, coldvoxd.native.opening; coldvoxd.native.opening.open_session(pathlib.Path({str(SILERO)!r}))"
    )
    unwanted = ("ORT_", "XDG_", "COLDVOXD_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    subprocess.run([sys.executable, "-c", program], env=environment | {"HOME": str(tmp_path)}, cwd=ROOT, check=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == []


def test_the_library_still_knows_the_variable_that_stops_it() -> None:
    with Path(native.__file__).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as library:
        assert library.find(b"ORT_DISABLE_TELEMETRY\0") > 0
