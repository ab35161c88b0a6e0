"""The memory that this process may still take."""

from collections.abc import Iterator
from pathlib import Path


def available_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that can be allocated before the system, or the service's limit, runs short; None if that is unknown.

    The smaller one of MemAvailable in proc_meminfo(5) and of memory.max of the control groups of this process (version 2) and
    those above them. What the groups already use is not subtracted, because it includes file cache. Swap does not count:
    weights are read in every run.
    """
    found = [*_of_system(root), *_of_groups(root)]
    return min(found) if found else None


def _of_system(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return
    yield from (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _of_groups(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::/"):
            group = Path(line.removeprefix("0::/"))
            for directory in (group, *group.parents):
                yield from _limit(root / "sys/fs/cgroup" / directory / "memory.max")


def _limit(file: Path) -> Iterator[int]:
    try:
        text = file.read_text().strip()
    except OSError:  # the root group has no limit, and a container may not show those above it
        return
    if text.isdigit():
        yield int(text)
