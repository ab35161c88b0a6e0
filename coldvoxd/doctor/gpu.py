"""Checks the NVIDIA driver and the CUDA libraries if there is NVIDIA hardware; otherwise yields a single finding."""

import ctypes
import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldvoxd.doctor.finding import Doing, Finding, fail, ok

NVIDIA = "0x10de"
DISPLAY = "0x03"
"""PCI class of display controllers, including 3D accelerators."""
DRIVER = "libcuda.so.1"
NO_DEVICE = 100
INSTALL_DRIVER = (
    "install NVIDIA's driver (Debian: sudo apt-get install nvidia-driver) and restart; the CPU is used until then"
)


@dataclass(frozen=True, slots=True)
class Library:
    name: str
    files: tuple[str, ...]
    version: str
    """The library's function that returns its version; empty if it has none."""


LIBRARIES = (
    Library("CUDA runtime", ("libcudart.so.13", "libcudart.so.12"), "cudaRuntimeGetVersion"),
    Library("cuBLAS", ("libcublasLt.so.13", "libcublasLt.so.12"), ""),
    Library("cuFFT", ("libcufft.so.12", "libcufft.so.11"), ""),
    Library("cuDNN", ("libcudnn.so.9",), "cudnnGetVersion"),
)


def check(sysfs: Path = Path("/sys"), load: Callable[[str], Any] = ctypes.CDLL) -> Iterator[Finding | Doing]:
    """Check the hardware, driver and libraries. `load` opens a shared library by name, or raises OSError."""
    gpus = hardware(sysfs)
    if not gpus:
        yield ok("gpu", "no NVIDIA GPU")
        return
    yield ok("gpu", f"NVIDIA hardware at {', '.join(gpus)}")
    yield from _driver(sysfs, load)
    yield from _libraries(load)


def hardware(sysfs: Path) -> list[str]:
    """PCI addresses of NVIDIA's display controllers."""
    return sorted(
        device.name
        for device in (sysfs / "bus/pci/devices").glob("*")
        if _word(device / "vendor") == NVIDIA and _word(device / "class").startswith(DISPLAY)
    )


def _driver(sysfs: Path, load: Callable[[str], Any]) -> Iterator[Finding | Doing]:
    module = _word(sysfs / "module/nvidia/version")
    if not module:
        yield fail("driver", "the kernel module nvidia is not loaded", INSTALL_DRIVER)
        return
    yield Doing("driver", "asking the driver for its devices", "restart the machine: the driver hangs")
    try:
        library = load(DRIVER)
    except OSError as error:
        yield fail("driver", f"kernel module {module}, but {DRIVER} cannot be loaded: {error}", INSTALL_DRIVER)
        return
    if failed := library.cuInit(0):
        what = "it finds no device" if failed == NO_DEVICE else f"it fails with error {failed}"
        remedy = "restart the machine: after an update, the kernel module and the library do not match until then"
        yield fail("driver", f"kernel module {module}; {what}", remedy)
        return
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    yield ok("driver", f"{module}, up to CUDA {_dotted(version.value)}")


def _libraries(load: Callable[[str], Any]) -> Iterator[Finding | Doing]:
    installed = _nvidia_packages()
    found, missing = [], []
    for library in LIBRARIES:
        yield Doing("cuda", f"loading {library.name}", "reinstall NVIDIA's libraries")
        for file in library.files:
            try:
                handle = load(file)
            except OSError:
                continue
            found.append(f"{library.name} {_version(handle, library.version) or file}")
            break
        else:
            missing.append(library)
    if found:
        yield ok("cuda", ", ".join(found))
    if missing:
        names = ", ".join(f"{library.name} ({library.files[0]})" for library in missing)
        if installed:
            yield ok("cuda", f"as Python packages: {', '.join(installed)}")
        else:
            yield fail(
                "cuda",
                f"missing: {names}",
                "install them from NVIDIA, or as Python packages: ./contrib/install.sh --cuda",
            )


def _version(handle: Any, function: str) -> str:
    if function == "cudnnGetVersion":
        number = int(handle.cudnnGetVersion())
        return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
    if function:
        version = ctypes.c_int()
        if getattr(handle, function)(ctypes.byref(version)) == 0:
            return _dotted(version.value)
    return ""


def _dotted(version: int) -> str:
    """CUDA's version number as text: 13010 -> 13.1."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _nvidia_packages() -> list[str]:
    """Installed Python packages with CUDA libraries; nvidia-ml-py is always installed and is not one."""
    return sorted(
        f"{name} {distribution.version}"
        for distribution in importlib.metadata.distributions()
        if (name := str(distribution.metadata["Name"])).startswith("nvidia-") and name != "nvidia-ml-py"
    )


def _word(path: Path) -> str:
    """The content of a sysfs file; empty if it does not exist."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
