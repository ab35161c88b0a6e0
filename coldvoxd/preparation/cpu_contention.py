"""How much of the processors other programs take while something is measured."""

import os
import time
from pathlib import Path


class CpuContention:
    """Notes what share of all processors everything else took since its making: what was measured is worth less the higher it is."""

    def __init__(self) -> None:
        self._began = _busy_s(), _ours_s(), time.monotonic()

    @property
    def share(self) -> float:
        """Of all processors since the beginning, 0 to 1. Counts our children as ours once they have ended."""
        busy_s, ours_s, began_s = self._began
        others_s = _busy_s() - busy_s - (_ours_s() - ours_s)
        return max(0.0, round(others_s / (time.monotonic() - began_s) / (os.cpu_count() or 1), 2))


def _busy_s() -> float:
    """Of all processors together since the machine's start, proc_stat(5): all but idle and waiting for disks."""
    times = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(times) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK")


def _ours_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
