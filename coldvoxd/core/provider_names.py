"""Names of execution providers: ONNX Runtime's, and the short ones of the settings and the bus.

In a setting a device may follow the provider's name after a colon: `openvino:NPU`, or `cuda:` and a part of a GPU's name.
"""

from collections.abc import Mapping
from types import MappingProxyType

SUFFIX = "ExecutionProvider"
DEVICE = ":"
PLUGINS: Mapping[str, str] = MappingProxyType(
    {
        "webgpu": f"WebGpu{SUFFIX}",
        "openvino": f"OpenVINO{SUFFIX}",
        "tensorrt-rtx": f"NvTensorRTRTX{SUFFIX}",
    }
)
"""Plugin providers, short name to ONNX Runtime's. ONNX Runtime does not list them before their library is registered."""
_SHORT = {full.removesuffix(SUFFIX).lower(): short for short, full in PLUGINS.items()}


def short_name(provider: str) -> str:
    """Return the short name of a provider, without a device: `cuda` for `CUDAExecutionProvider` and for `cuda:4090`."""
    name = provider.partition(DEVICE)[0].removesuffix(SUFFIX).lower()
    return _SHORT.get(name, name)


def device_name(provider: str) -> str:
    """Return the device that a setting names, `NPU` for `openvino:NPU`; empty if it names none."""
    return provider.partition(DEVICE)[2].strip()


def with_device(provider: str, device: str) -> str:
    """Return the setting that names this device of a provider, `openvino:NPU`; the provider alone without a device."""
    return f"{provider}{DEVICE}{device}" if device else provider
