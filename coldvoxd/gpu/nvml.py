"""Adapter of nvidia-ml-py: reads one GPU through NVML, NVIDIA's management library."""

import ctypes
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from coldvoxd.gpu.health import Sight, Trouble

log = logging.getLogger(__name__)

T = TypeVar("T")

LIBRARY = "libnvidia-ml.so.1"
XID = 8
"""nvmlEventTypeXidCriticalError."""
HARDWARE_THERMAL = 0x40
SOFTWARE_THERMAL = 0x20
"""nvmlClocksEventReasonHwThermalSlowdown and ...SwThermalSlowdown. Power limits are excluded: on laptops they are
normal."""
_TROUBLES: Mapping[int, Trouble] = {
    9: Trouble.NO_DRIVER,
    15: Trouble.LOST,
    16: Trouble.RESET,
    18: Trouble.MISMATCH,
    28: Trouble.LOST,  # NVML_ERROR_GPU_NOT_FOUND
    999: Trouble.LOST,
}
"""By NVML's return code."""


class NoLibrary(Exception):
    """There is no management library, so no GPU can be monitored."""


class Gpu:
    """The GPU that recognition uses. Blocks, and may hang; one thread at a time except for `wait_for_xid`.

    The first look loads the library and imports nvidia-ml-py. `close` releases the driver, so that the GPU can enter a
    low-power state; the next look opens it again.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._nvml: Any = None
        self._gpu: Any = None
        self._events: Any = None
        self._without: set[str] = set()
        """Names of the values that this GPU or driver does not report."""
        self._slowdown_c: int | None = None
        self._file: tuple[Path, int] | None = None
        """The loaded library's path and inode."""

    def look(self) -> Sight:
        """All values that are reported. Raises NoLibrary."""
        nvml = self._loaded()
        try:
            if self._gpu is None:
                self._open()
            return self._sight(self._gpu)
        except nvml.NVMLError as error:
            log.debug("the GPU: %s", error)
            return Sight(trouble=_TROUBLES.get(error.value, Trouble.NO_DRIVER if self._gpu is None else None))

    @property
    def reports_xids(self) -> bool:
        """Whether `wait_for_xid` can wait."""
        return self._events is not None

    def wait_for_xid(self, limit_ms: int) -> int | None:
        """The next Xid, None if there was none within the limit. Only between a successful look and `close`."""
        nvml, events = self._nvml, self._events
        try:
            event = nvml.nvmlEventSetWait_v2(events, limit_ms)
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_TIMEOUT:
                log.debug("the GPU's events: %s", error)
                self._events = None  # the next look reports the cause
            return None
        return int(event.eventData) if event.eventType == XID else None

    def close(self) -> None:
        """Release the GPU and the driver. Never raises."""
        nvml, opened = self._nvml, self._gpu is not None
        events, self._events, self._gpu = self._events, None, None
        if nvml is None or not opened:
            return
        try:
            if events is not None:
                nvml.nvmlEventSetFree(events)
            nvml.nvmlShutdown()
        except nvml.NVMLError as error:
            log.debug("releasing the GPU driver: %s", error)

    def _loaded(self) -> Any:
        if self._nvml is None:
            try:
                ctypes.CDLL(LIBRARY)  # nvidia-ml-py is large: import it only if there is a library
                import pynvml
            except (OSError, ImportError) as error:
                raise NoLibrary(str(error)) from error
            self._nvml = pynvml
        return self._nvml

    def _open(self) -> None:
        nvml = self._nvml
        nvml.nvmlInit()
        try:
            self._gpu = self._chosen()
        except nvml.NVMLError:
            nvml.nvmlShutdown()
            raise
        self._without.clear()
        self._file = _mapped(LIBRARY)
        self._slowdown_c = self._optional(
            "slowdown",
            lambda: nvml.nvmlDeviceGetTemperatureThreshold(self._gpu, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
        )
        self._events = self._optional("events", self._listen)

    def _chosen(self) -> Any:
        """The GPU that CUDA uses first, as far as the environment defines it; the driver orders GPUs by bus address."""
        nvml = self._nvml
        first = self._environment.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
        if first.startswith("GPU-"):
            return nvml.nvmlDeviceGetHandleByUUID(first)
        index = int(first) if first.isdigit() and int(first) < nvml.nvmlDeviceGetCount() else 0
        return nvml.nvmlDeviceGetHandleByIndex(index)

    def _listen(self) -> Any:
        nvml = self._nvml
        if not nvml.nvmlDeviceGetSupportedEventTypes(self._gpu) & XID:
            return None
        events = nvml.nvmlEventSetCreate()
        nvml.nvmlDeviceRegisterEvents(self._gpu, XID, events)
        return events

    def _sight(self, gpu: Any) -> Sight:
        nvml = self._nvml
        memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
        reasons = self._optional("reasons", lambda: self._clock_reasons(gpu)) or 0
        return Sight(
            total_bytes=int(memory.total),
            free_bytes=int(memory.free),
            own_bytes=self._optional("processes", lambda: self._own_bytes(gpu)),
            temperature_c=self._optional(
                "temperature", lambda: int(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))
            ),
            slowdown_c=self._slowdown_c,
            braked=bool(reasons & HARDWARE_THERMAL),
            slowed=bool(reasons & SOFTWARE_THERMAL),
            uncorrected=self._optional("uncorrected", lambda: self._uncorrected(gpu)),
            library_replaced=self._file is not None and _inode(self._file[0]) != self._file[1],
        )

    def _clock_reasons(self, gpu: Any) -> int:
        nvml = self._nvml
        try:
            return int(nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu))
        except nvml.NVMLError_FunctionNotFound:
            return int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu))  # drivers before version 535

    def _own_bytes(self, gpu: Any) -> int:
        running = self._nvml.nvmlDeviceGetComputeRunningProcesses_v3(
            gpu
        )  # the plain name means this one, and otherwise fails
        return sum(int(process.usedGpuMemory or 0) for process in running if process.pid == os.getpid())

    def _uncorrected(self, gpu: Any) -> int:
        nvml = self._nvml
        kind, since = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        return int(nvml.nvmlDeviceGetTotalEccErrors(gpu, kind, since))

    def _optional(self, what: str, ask: Callable[[], T]) -> T | None:
        """None for a value that this GPU or driver does not report; it is then not requested again."""
        if what in self._without:
            return None
        nvml = self._nvml
        try:
            return ask()
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NoPermission) as error:
            log.debug("the GPU does not report its %s: %s", what, error)
            self._without.add(what)
            return None


def _mapped(library: str, maps: Path = Path("/proc/self/maps")) -> tuple[Path, int] | None:
    """The file of a library that this process has mapped, and its inode; proc_pid_maps(5)."""
    stem = library.removesuffix(".1")
    for line in maps.read_text(errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and Path(fields[5]).name.startswith(stem):
            return Path(fields[5].removesuffix(" (deleted)")), int(fields[4])
    return None


def _inode(path: Path) -> int:
    """The inode; 0 if the file does not exist any more."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
