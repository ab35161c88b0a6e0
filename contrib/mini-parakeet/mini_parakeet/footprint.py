"""What recognizing costs in memory: a process that does nothing else, and prints its peak RSS in MiB."""

from __future__ import annotations

import resource
import sys

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
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
