"""The largest memory use of this process, measured from a chosen moment on."""

import contextlib
from pathlib import Path

from coldvoxd.native.malloc import give_back

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_RESET_PEAK = "5"
"""Linux resets VmHWM when this is written: proc(5)."""


def reset_peak() -> None:
    """Return free memory to the system, and measure the peak from now on. Without effect where the kernel refuses."""
    give_back()
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK)


def peak_mib() -> int:
    """Return the largest resident size since the reset, in MiB, with Python and everything else in this process.

    0 if the kernel does not report it.
    """
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024)
    return 0
