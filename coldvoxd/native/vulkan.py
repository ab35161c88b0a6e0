"""The Vulkan devices of this machine, by the loader's own list: which GPU a program gets, and by what driver.

Structures and values are those of the Vulkan specification 1.3, https://registry.khronos.org/vulkan/specs/.
"""

import ctypes
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from coldvoxd.core.errors import ProviderUnavailable

LOADER = "libvulkan.so.1"
INSTALL_LOADER = (
    "install the Vulkan loader and the GPU's driver (Debian: sudo apt-get install libvulkan1 mesa-vulkan-drivers)"
)
MOST_DEVICES = 16
_PROPERTIES_BYTES = 2048
"""More than a VkPhysicalDeviceProperties has (824)."""
_INSTANCE_CREATE_INFO = 1
_INCOMPLETE = 5


class Kind(IntEnum):
    """VkPhysicalDeviceType."""

    OTHER = 0
    INTEGRATED = 1
    DISCRETE = 2
    VIRTUAL = 3
    SOFTWARE = 4


@dataclass(frozen=True, slots=True)
class VulkanDevice:
    name: str
    """As the driver gives it, such as `AMD Radeon RX 6800 (RADV NAVI21)`."""
    kind: Kind
    vendor: int
    """PCI vendor, or the Khronos vendor of a software driver."""
    device: int
    driver: int
    """The driver's version in the driver's own encoding."""

    @property
    def identity(self) -> str:
        """What a measurement on this device is bound to: the device and its driver."""
        return f"{self.name} {self.vendor:04x}:{self.device:04x} driver {self.driver:#x}"


class _InstanceCreateInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


class _Properties(ctypes.Structure):
    _fields_ = (
        ("api", ctypes.c_uint32),
        ("driver", ctypes.c_uint32),
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("kind", ctypes.c_int32),
        ("name", ctypes.c_char * 256),
        ("rest", ctypes.c_uint8 * (_PROPERTIES_BYTES - 276)),
    )


def vulkan_devices() -> tuple[VulkanDevice, ...]:
    """The Vulkan devices in the loader's order; empty where the loader has none. Loads the drivers, which may block.

    Raises ProviderUnavailable where the loader is missing or fails.
    """
    try:
        library = ctypes.CDLL(LOADER)
    except OSError as error:
        raise ProviderUnavailable(f"there is no Vulkan loader ({error}): {INSTALL_LOADER}") from error
    instance = ctypes.c_void_p()
    wanted = _InstanceCreateInfo(type=_INSTANCE_CREATE_INFO)
    if failed := library.vkCreateInstance(ctypes.byref(wanted), None, ctypes.byref(instance)):
        raise ProviderUnavailable(f"the Vulkan loader finds no usable driver (VkResult {failed}): {INSTALL_LOADER}")
    try:
        return _devices(library, instance)
    finally:
        library.vkDestroyInstance(instance, None)


def _devices(library: Any, instance: ctypes.c_void_p) -> tuple[VulkanDevice, ...]:
    count = ctypes.c_uint32(MOST_DEVICES)
    handles = (ctypes.c_void_p * MOST_DEVICES)()
    failed = library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
    if failed not in {0, _INCOMPLETE}:
        raise ProviderUnavailable(f"the Vulkan loader lists no devices (VkResult {failed}): {INSTALL_LOADER}")
    return tuple(_device(library, handle) for handle in handles[: count.value] if handle is not None)


def _device(library: Any, handle: int) -> VulkanDevice:
    found = _Properties()
    library.vkGetPhysicalDeviceProperties(ctypes.c_void_p(handle), ctypes.byref(found))
    kind = Kind(found.kind) if found.kind in set(Kind) else Kind.OTHER
    return VulkanDevice(found.name.decode("utf-8", "replace"), kind, found.vendor, found.device, found.driver)
