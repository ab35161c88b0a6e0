"""Names of providers in the settings, on the bus and in ONNX Runtime."""

import pytest

from coldvoxd.core.provider_names import PLUGINS, device_name, short_name, with_device


@pytest.mark.parametrize(
    ("name", "short", "device"),
    [
        ("CUDAExecutionProvider", "cuda", ""),
        ("TensorrtExecutionProvider", "tensorrt", ""),
        ("NvTensorRTRTXExecutionProvider", "tensorrt-rtx", ""),
        ("WebGpuExecutionProvider", "webgpu", ""),
        ("openvino:NPU", "openvino", "NPU"),
        ("cuda:RTX 4090", "cuda", "RTX 4090"),
        ("webgpu: Radeon ", "webgpu", "Radeon"),
        ("virtual:/run/user/1000/Gpu:1", "virtual", "/run/user/1000/Gpu:1"),
        ("", "", ""),
    ],
)
def test_a_name_is_a_provider_and_perhaps_a_device(name: str, short: str, device: str) -> None:
    assert (short_name(name), device_name(name)) == (short, device)


def test_plugins_are_known_by_both_names() -> None:
    for short, full in PLUGINS.items():
        assert short_name(full) == short_name(short) == short


def test_a_device_is_put_back() -> None:
    assert with_device("openvino", "NPU") == "openvino:NPU"
    assert with_device("cuda", "") == "cuda"
