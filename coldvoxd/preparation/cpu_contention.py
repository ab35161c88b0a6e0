"""Share of the CPU time that other programs use during a measurement."""

import os
import time
from pathlib import Path


class CpuContention:
    """Share of total CPU time used by other processes since construction; the higher, the less reliable a measurement."""

    def __init__(self) -> None:
        self._began = _busy_s(), _ours_s(), time.monotonic()

    @property
    def share(self) -> float:
        """Share of all processors, 0 to 1. Exited child processes count as this process."""
        busy_s, ours_s, began_s = self._began
        others_s = _busy_s() - busy_s - (_ours_s() - ours_s)
        return max(0.0, round(others_s / (time.monotonic() - began_s) / (os.cpu_count() or 1), 2))


def _busy_s() -> float:
    """Busy time of all processors since boot in seconds, proc_stat(5): all but idle and I/O wait."""
    times = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(times) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK")


def _ours_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
