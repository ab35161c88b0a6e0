"""What recognizing costs in memory: a process that does nothing else, and prints its peak RSS in MiB."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx_asr
import onnxruntime


def main(model: str, quantization: str) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    recognizer = onnx_asr.load_model(
        "nemo-conformer-tdt",
        path=model,
        quantization=None if quantization == "fp32" else quantization,
        sess_options=options,
        providers=["CPUExecutionProvider"],
    )
    for seconds in (1, 3, 10):
        recognizer.recognize(np.random.default_rng(0).normal(0, 0.05, seconds * 16_000).astype(np.float32))
    # ru_maxrss would count the parent that this process was forked from.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    print(int(status["VmHWM"].split()[0]) / 1024)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
