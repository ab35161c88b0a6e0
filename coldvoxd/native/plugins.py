"""Plugin execution providers: packages whose library ONNX Runtime loads, and the devices that it then offers.

`get_available_providers()` does not list them, and a session that names one in `providers` silently runs on the CPU: they are
added by device. A library is registered at the first use of its provider and stays so until the process ends, because
unregistering requires that no session is left, and an abandoned run may hold one.
"""

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.provider_names import PLUGINS, device_name, short_name
from coldvoxd.native.device_choice import choose_nvidia, choose_vulkan, nvidia_version
from coldvoxd.native.ort import FAILURES, VERSION, first_line, onnxruntime

log = logging.getLogger(__name__)

OPENVINO_ORDER = ("GPU", "CPU", "NPU")
"""Which of OpenVINO's devices is used where the settings name none. An NPU compiles for fixed lengths only: by name alone."""
SOFTWARE = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"
"""Environment variable by which the WebGPU plugin offers a device where the kernel lists no GPU: a software driver."""


ALLOWED_HERE = "_COLDVOXD_ALLOWS_SOFTWARE_GPU"
"""Set beside SOFTWARE where coldvoxd has set it: a process that replaces this one inherits both."""


@dataclass(frozen=True, slots=True)
class Package:
    """The Python package of a plugin provider."""

    module: str
    distribution: str
    extra: str
    """The extra of coldvoxd that installs it."""


PACKAGES: Mapping[str, Package] = MappingProxyType(
    {
        "webgpu": Package("onnxruntime_ep_webgpu", "onnxruntime-ep-webgpu", "vulkan"),
        "openvino": Package("onnxruntime_ep_openvino", "onnxruntime-ep-openvino", "openvino"),
        "tensorrt-rtx": Package(
            "onnxruntime_ep_nv_tensorrt_rtx", "onnxruntime-ep-nv-tensorrt-rtx-cu13", "tensorrt-rtx"
        ),
    }
)
"""By the provider's short name."""


@dataclass(frozen=True, slots=True)
class ChosenDevice:
    """The device of a plugin provider on which a session is to run."""

    handles: Sequence[Any]
    """ONNX Runtime's OrtEpDevice objects, as `SessionOptions.add_provider_for_devices` takes them."""
    name: str
    """For people; empty where nothing on this machine names it."""
    identity: str
    """What a measurement on it is bound to: device, driver and the plugin's version."""


BUILT_IN: tuple[str, ...] = tuple(onnxruntime.get_available_providers())
"""Full names of the providers that ONNX Runtime was built with, best first. Later it also lists registered plugins."""
_lock = threading.Lock()
_registered: set[str] = set()


def installed_plugins() -> tuple[str, ...]:
    """Short names of the plugin providers whose package is installed. Imports none of them."""
    return tuple(name for name, package in PACKAGES.items() if importlib.util.find_spec(package.module) is not None)


def is_plugin(provider: str) -> bool:
    """Whether a provider is a plugin of the installed ONNX Runtime. There are builds that include one of them."""
    short = short_name(provider)
    return short in PACKAGES and PLUGINS[short] not in BUILT_IN


def plugin_device(provider: str) -> ChosenDevice:
    """Register the plugin's library, and choose among the devices that it offers. Blocks while the library is loaded.

    `provider` is a name as in the settings. Raises ProviderUnavailable, with what is missing, where the package is not
    installed, its library cannot be loaded, or there is no such device.
    """
    name, wanted = short_name(provider), device_name(provider)
    if name == "webgpu":
        _allow_software()
        gpu = choose_vulkan(wanted)
        _register(name)
        # The plugin takes one device, which stands for whichever GPU Vulkan lists first.
        return ChosenDevice(_devices(name)[:1], gpu.name, f"{gpu.identity} {_version(name)}")
    if name == "openvino":
        _register(name)
        handle, described = _openvino_device(_devices(name), wanted)
        return ChosenDevice([handle], described, f"{described} {_hardware(handle)} {_version(name)}")
    described = choose_nvidia(wanted)
    _register(name)
    return ChosenDevice(_devices(name)[:1], described, f"{described} {nvidia_version()} {_version(name)}")


def wants_software() -> bool:
    """Return whether the user allows a software driver, so that `auto` may try it. A name in the settings allows it for itself."""
    return os.environ.get(SOFTWARE) == "1" and ALLOWED_HERE not in os.environ


def _allow_software() -> None:
    if SOFTWARE not in os.environ:
        os.environ[SOFTWARE] = os.environ[ALLOWED_HERE] = "1"


def _register(name: str) -> None:
    package = PACKAGES[name]
    failures: tuple[type[Exception], ...] = (*FAILURES, ImportError, OSError)
    with _lock:
        if name in _registered:
            return
        if importlib.util.find_spec(package.module) is None:
            raise ProviderUnavailable(
                f"the package {package.distribution} is not installed: install the extra `{package.extra}` "
                f"(./contrib/install.sh --{package.extra}, or pipx inject coldvoxd {package.distribution})"
            )
        try:
            library = importlib.import_module(package.module).get_library_path()
            onnxruntime.register_execution_provider_library(PLUGINS[name], library)
        except failures as error:
            raise ProviderUnavailable(
                f"the library of {package.distribution} cannot be used by ONNX Runtime {VERSION}: {first_line(error)}"
            ) from error
        _registered.add(name)
        log.debug("registered %s from %s", name, library)


def _devices(name: str) -> list[Any]:
    every = list(onnxruntime.get_ep_devices())
    found = [each for each in every if each.ep_name == PLUGINS[name]]
    if not found:
        hardware = ", ".join(dict.fromkeys(_hardware(each) for each in every)) or "none"
        raise ProviderUnavailable(
            f"the library of {PACKAGES[name].distribution} offers no device on this machine; ONNX Runtime sees: {hardware}"
        )
    return found


def _version(name: str) -> str:
    return importlib.metadata.version(PACKAGES[name].distribution)


def _openvino_device(found: Sequence[Any], wanted: str) -> tuple[Any, str]:
    """OpenVINO's device of this name, and its name for people. Raises ProviderUnavailable."""
    by_name: dict[str, Any] = {}
    for each in found:
        by_name.setdefault(_openvino_name(each), each)
    order = (wanted.upper(),) if wanted else OPENVINO_ORDER
    for name in order:
        # With several GPUs OpenVINO numbers them: `GPU` is the first one, `GPU.1` the second.
        if match := next((key for key in by_name if key == name or key.partition(".")[0] == name), None):
            return by_name[match], f"OpenVINO {match}"
    raise ProviderUnavailable(f"OpenVINO has no device {wanted!r}; it offers {', '.join(by_name)}")


def _openvino_name(device: Any) -> str:
    declared = dict(device.ep_metadata).get("ov_device")
    return str(declared or device.device.type.name).upper()


def _hardware(device: Any) -> str:
    """A device of ONNX Runtime's own list: its kind, vendor and PCI numbers."""
    seen = device.device
    return f"{seen.type.name} {seen.vendor or f'{seen.vendor_id:04x}'}:{seen.device_id:04x}"
