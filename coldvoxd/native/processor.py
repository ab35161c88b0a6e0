"""The processor on which ONNX Runtime computes."""

import os
from pathlib import Path


def physical_cores() -> int:
    """Physical cores that this process may run on; hyper-threads of one core count once."""
    cores = set()
    for cpu in os.sched_getaffinity(0):
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            core = (topology / "physical_package_id").read_text(), (topology / "core_id").read_text()
        except OSError:  # no such files in some containers and emulators: every CPU is taken for a core
            core = ("", str(cpu))
        cores.add(core)
    return len(cores)
