"""Chooses one GPU among several by its name, before a library looks for GPUs: neither CUDA nor WebGPU takes a name.

CUDA reads CUDA_VISIBLE_DEVICES, and WebGPU's library takes the first device that Vulkan lists, of which Mesa's layer
VK_LAYER_MESA_device_select leaves one. Both are read once, so a process can make the choice once.
"""

import os
import threading
from pathlib import Path

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.native.vulkan import INSTALL_LOADER, Kind, VulkanDevice, vulkan_devices

NVIDIA_DRIVER = Path("/proc/driver/nvidia/gpus")
"""One folder a GPU, named after its PCI address; `information` has its model."""
NVIDIA_VERSION = Path("/sys/module/nvidia/version")
SELECT = "MESA_VK_DEVICE_SELECT"
ONLY_SELECTED = "MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE"
_PREFERENCE = (Kind.DISCRETE, Kind.INTEGRATED, Kind.VIRTUAL, Kind.OTHER, Kind.SOFTWARE)

_lock = threading.Lock()
_chosen: dict[str, str] = {}
"""By family, `vulkan` or `nvidia`, the device that the settings named first."""


def choose_vulkan(wanted: str = "") -> VulkanDevice:
    """Choose the Vulkan device whose name contains `wanted`, any if empty, and return it. Blocks.

    Raises ProviderUnavailable where there is none, or where it cannot be chosen.
    """
    with _lock:
        devices = vulkan_devices()
        if not devices:
            raise ProviderUnavailable(f"the Vulkan loader lists no device: {INSTALL_LOADER}")
        usual = min(devices, key=lambda device: _PREFERENCE.index(device.kind))
        device = _named(devices, wanted) if wanted else usual
        _choose_once("vulkan", wanted)
        in_hardware = [each for each in devices if each.kind is not Kind.SOFTWARE]
        if len(devices) > 1 and (wanted or len(in_hardware) > 1):  # a software driver alone is never preferred to a GPU
            os.environ[SELECT] = f"{device.vendor:04x}:{device.device:04x}!"
            os.environ[ONLY_SELECTED] = "1"
            _check_selected(device, is_wanted=bool(wanted))
        _chosen["vulkan"] = wanted
        return device


def choose_nvidia(wanted: str = "", driver: Path = NVIDIA_DRIVER) -> str:
    """Choose the NVIDIA GPU whose name contains `wanted`, the first if empty, and return its whole name.

    Where the driver lists no GPUs (WSL) the name is empty. Raises ProviderUnavailable where there is none of that name.
    """
    with _lock:
        names = nvidia_names(driver)
        matching = [index for index, name in enumerate(names) if wanted.casefold() in name.casefold()]
        if wanted and not matching:
            there = f"there are: {', '.join(names)}" if names else "the NVIDIA driver lists none"
            raise ProviderUnavailable(f"no NVIDIA GPU is called {wanted!r}; {there}")
        if not names:
            return ""  # nothing was chosen, so a later choice is possible
        _choose_once("nvidia", wanted)
        if wanted:
            os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
            os.environ["CUDA_VISIBLE_DEVICES"] = str(matching[0])
        _chosen["nvidia"] = wanted
        return names[matching[0]]


def nvidia_names(driver: Path = NVIDIA_DRIVER) -> list[str]:
    """Names of the NVIDIA GPUs in the order of their PCI addresses, from the driver; empty without one."""
    names = []
    for gpu in sorted(driver.glob("*")):
        try:
            lines = (gpu / "information").read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "")
        names.append(model or "NVIDIA GPU")
    return names


def nvidia_version(path: Path = NVIDIA_VERSION) -> str:
    """Version of NVIDIA's kernel module; empty where it is not loaded."""
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def _choose_once(family: str, wanted: str) -> None:
    """Refuse another choice than that of an earlier session: the libraries would ignore it without a word."""
    if _chosen.get(family, wanted) != wanted:
        raise ProviderUnavailable(
            f"this process uses the GPU {_chosen[family] or 'that comes first'!r} already: name {wanted or 'another one'!r} in "
            "the settings and restart the service (systemctl --user restart coldvoxd)"
        )


def _named(devices: tuple[VulkanDevice, ...], wanted: str) -> VulkanDevice:
    for device in devices:
        if wanted.casefold() in device.name.casefold():
            return device
    names = ", ".join(device.name for device in devices)
    raise ProviderUnavailable(f"no Vulkan device is called {wanted!r}; there are: {names}")


def _check_selected(device: VulkanDevice, *, is_wanted: bool) -> None:
    """Check that the loader now lists this device alone."""
    left = vulkan_devices()
    if left == (device,):
        return
    del os.environ[SELECT], os.environ[ONLY_SELECTED]
    if is_wanted:
        raise ProviderUnavailable(
            f"{device.name} cannot be chosen: Mesa's layer VK_LAYER_MESA_device_select is missing "
            "(Debian: sudo apt-get install mesa-vulkan-drivers)"
        )
