"""Execution providers: their names, which are available, and what to do where one does not work."""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.provider_names import PLUGINS, SUFFIX, device_name, short_name
from coldvoxd.native.ort import VERSION, onnxruntime
from coldvoxd.native.plugins import BUILT_IN, PACKAGES, installed_plugins, is_plugin, wants_software

log = logging.getLogger(__name__)

CPU = "cpu"
CUDA = "cuda"
AUTO = "auto"
"""In settings: the accelerator that this machine is likely to have, otherwise the CPU."""
NVIDIA_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")
"""Device nodes of NVIDIA's driver, and the one through which a GPU is reached in WSL."""
CPU_PROVIDER = f"CPU{SUFFIX}"
CUDA_PROVIDER = f"CUDA{SUFFIX}"
TENSORRT = "tensorrt"
TENSORRT_PROVIDER = f"Tensorrt{SUFFIX}"
OPENVINO = "openvino"
TENSORRT_RTX = "tensorrt-rtx"
WEBGPU = "webgpu"
GPU_CLASSES = Path("/sys/class/drm")
NPU_CLASSES = Path("/sys/class/accel")
"""Where the kernel lists GPUs, and neural processors: ONNX Runtime looks in the same places."""
INTEL = "0x8086"


def available_providers() -> tuple[str, ...]:
    """Short names of the providers that the installed ONNX Runtime can load, best first: `cuda`, `webgpu`, `cpu`, ...

    They were built into it, or the package of a plugin is installed. Only `open_session` finds out whether one works on this
    machine.
    """
    built_in = [short_name(name) for name in BUILT_IN]
    return (*(name for name in built_in if name != CPU), *installed_plugins(), CPU)


def full_name(provider: str) -> str:
    """`cuda` -> `CUDAExecutionProvider`, whichever device is named with it; a full name is returned as it is.

    Raises ProviderUnavailable where ONNX Runtime was built without it, the package of a plugin is not installed, or a device
    is named and the provider has only one.
    """
    short = short_name(provider)
    if (device := device_name(provider)) and short not in {CUDA, TENSORRT, *PACKAGES}:
        raise ProviderUnavailable(
            f"the execution provider {short!r} has no devices to choose from: leave out {device!r}"
        )
    for name in BUILT_IN:
        if short == short_name(name):
            return str(name)
    if short in installed_plugins():
        return PLUGINS[short]
    if is_plugin(provider):
        package = PACKAGES[short]
        raise ProviderUnavailable(
            f"the execution provider {short!r} needs the package {package.distribution}: install the extra "
            f"`{package.extra}` (./contrib/install.sh --{package.extra}, or pipx inject coldvoxd {package.distribution})"
        )
    raise ProviderUnavailable(
        f"ONNX Runtime {VERSION} has no execution provider {provider!r}; it offers "
        f"{', '.join(available_providers())}: set `provider` under [model] to one of these"
    )


def likely_accelerators(
    driver_nodes: Sequence[str] = NVIDIA_NODES, gpus: Path = GPU_CLASSES, npus: Path = NPU_CLASSES
) -> tuple[str, ...]:
    """The accelerators worth trying on this machine, in the order in which `auto` tries them.

    ONNX Runtime lists a provider wherever it was built with it or its package is installed, so the hardware decides. Only
    `open_session` finds out whether one works.
    """
    available = available_providers()
    nvidia = any(Path(node).exists() for node in driver_nodes)
    vendors = {_text(vendor) for vendor in gpus.glob("*/device/vendor")}
    intel = INTEL in vendors or any(npus.glob("accel*"))
    worthwhile = {TENSORRT_RTX: nvidia, CUDA: nvidia, OPENVINO: intel, WEBGPU: bool(vendors) or wants_software()}
    return tuple(name for name, holds in worthwhile.items() if holds and name in available)


def likely_accelerator(driver_nodes: Sequence[str] = NVIDIA_NODES) -> str | None:
    """The first of `likely_accelerators`; None where there is none."""
    return next(iter(likely_accelerators(driver_nodes)), None)


def preload_cuda() -> None:
    """Load the libraries of the extra `cuda` where they are installed; otherwise the system's are found later."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    for line in printed.getvalue().splitlines():
        log.debug("CUDA libraries: %s", line)


def remedy(provider: str) -> str:
    """What a user can do where this provider, by either name, does not work: the end of a sentence."""
    return f'{_CHECKS.get(short_name(provider), _OTHER)}, or set `provider = "cpu"` under [model]'


_NVIDIA_CHECK = "check that `nvidia-smi` sees the GPU and that the CUDA and cuDNN libraries which this ONNX Runtime needs are installed"
_OTHER = "check the provider's driver and libraries"
_CHECKS = {
    CUDA: _NVIDIA_CHECK,
    TENSORRT: f"{_NVIDIA_CHECK}, and TensorRT's",
    TENSORRT_RTX: "check that `nvidia-smi` sees the GPU and that its driver is recent enough for the plugin",
    WEBGPU: "check that `vulkaninfo --summary` lists the GPU (Debian: packages libvulkan1 and mesa-vulkan-drivers)",
    OPENVINO: "check the driver of the Intel device (Debian: package intel-opencl-icd for its GPUs)",
}


def _text(path: Path) -> str:
    """The content of a file of the kernel; empty if it cannot be read."""
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""
