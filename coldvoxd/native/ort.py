"""ONNX Runtime, loaded with its telemetry and its own logging off.

Every other module takes `onnxruntime` from here, so that no import can load it before both are off.
"""

import contextlib
import os
import platform
from pathlib import Path

# From 1.31 on ONNX Runtime assigns the machine an identifier below ~/.cache/Microsoft and reports to its vendor, unless
# this is set before it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as bindings

from coldvoxd.native.malloc import share_one_heap

__all__ = ["FAILURES", "FATAL", "VERSION", "bound_to", "cpu_features", "first_line", "onnxruntime"]

VERSION: str = onnxruntime.__version__
FATAL = 4
"""Log severity, also of each session: everything less severe arrives as an exception and is logged by its handler."""

onnxruntime.set_default_logger_severity(FATAL)
share_one_heap()

FAILURES: tuple[type[Exception], ...] = (
    MemoryError,
    # pybind11 derives these from no common class.
    *(
        error
        for error in vars(bindings).values()
        if isinstance(error, type) and issubclass(error, Exception) and error.__module__ == bindings.__name__
    ),
    RuntimeError,
    ValueError,
)
"""What ONNX Runtime raises when a graph can't be loaded or run."""


def bound_to() -> str:
    """What a prepared graph is bound to: this build of ONNX Runtime and the features of this CPU."""
    return f"{onnxruntime.__version__} {onnxruntime.get_build_info()} {platform.machine()} {cpu_features()}"


def cpu_features() -> str:
    """Names of this CPU's instruction sets, sorted, from the kernel; empty where it does not list them."""
    features = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return " ".join(sorted(features.partition(":")[2].split()))


def first_line(error: Exception) -> str:
    """The first line of ONNX Runtime's message; its exceptions have many."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
