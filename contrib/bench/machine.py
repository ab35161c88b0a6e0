"""Facts from /proc about this machine (without any names) and a process, and control of the page cache."""

import os
import platform
from pathlib import Path

MIB_KIB = 1024


def describe() -> dict[str, object]:
    """Return the kind of the machine, and the versions of the measured packages."""
    return {"processor": _processor(), "cores": os.cpu_count(), "memory_gib": _memory_gib()} | _versions()


def memory_mib(pid: str | int = "self") -> dict[str, float]:
    """Return resident, anonymous and peak memory in MiB, from proc_pid_status(5)."""
    text = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    names = {"rss": "VmRSS", "anonymous": "RssAnon", "peak": "VmHWM"}
    return {ours: int(fields[theirs].split()[0]) / MIB_KIB for ours, theirs in names.items()}


def cpu_s(pid: int) -> float:
    """Return user and system time of all threads so far, from proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_files(directory: Path) -> None:
    """Make the kernel drop these files from the page cache; pages that a process has mapped stay."""
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def remember_files(directory: Path) -> None:
    """Read these files, so that the kernel holds them in the page cache."""
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        with file.open("rb") as opened:
            while opened.read(1 << 24):
                pass


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _versions() -> dict[str, object]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, object] = {"python": platform.python_version()}
    for name in ("onnxruntime-gpu", "onnxruntime", "onnx-asr", "sherpa-onnx", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
