"""The memory use of this process, now and at most since a chosen moment."""

import contextlib
from dataclasses import dataclass
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
    return _mib("VmHWM")


@dataclass(frozen=True, slots=True)
class Resident:
    """Memory that this process has now, in MiB; 0 if the kernel does not report it."""

    all_mib: int
    """With files that are mapped, which the kernel can reclaim."""
    own_mib: int
    """Without them."""


def resident() -> Resident:
    """Return the memory of this process."""
    return Resident(_mib("VmRSS"), _mib("RssAnon"))


def _mib(name: str) -> int:
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return round(int(line.split()[1]) / 1024)
    return 0
