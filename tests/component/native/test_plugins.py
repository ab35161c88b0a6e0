"""Plugin providers run on a real device, or fail with what is missing; never silently on the CPU."""

import importlib.util
import os
from pathlib import Path

import onnxruntime
import pytest

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.provider_names import PLUGINS
from coldvoxd.native import device_choice, plugins
from coldvoxd.native.plugins import PACKAGES, installed_plugins
from coldvoxd.native.providers import available_providers, full_name, likely_accelerators, remedy
from tests.support import vulkan

SESSION = "tests.support.faults.webgpu_session"


def test_each_plugin_has_a_package_and_an_extra() -> None:
    assert set(PACKAGES) == set(PLUGINS)


def test_installed_plugins_are_available_and_not_built_in() -> None:
    assert "webgpu" in installed_plugins(), "the test group installs it"
    available = available_providers()
    assert available[-1] == "cpu"
    assert len(set(available)) == len(available)
    assert set(installed_plugins()) <= set(available)
    assert full_name("webgpu:Radeon") == "WebGpuExecutionProvider"


@pytest.mark.parametrize("provider", sorted(PACKAGES))
def test_a_plugin_without_its_package_names_the_extra(provider: str) -> None:
    package = PACKAGES[provider]
    if importlib.util.find_spec(package.module) is not None:
        assert full_name(provider) == PLUGINS[provider]
        return
    with pytest.raises(ProviderUnavailable, match=f"needs the package {package.distribution}.*--{package.extra}"):
        full_name(provider)


def test_without_a_vulkan_driver_the_message_says_what_to_install() -> None:
    [outcome] = vulkan.run(SESSION, "webgpu", driver=vulkan.NO_DRIVER)
    assert outcome["kind"] == "ProviderUnavailable"
    assert "libvulkan1 mesa-vulkan-drivers" in outcome["error"]


@pytest.mark.programs("chromium")
def test_webgpu_computes_what_the_cpu_does_and_names_its_device() -> None:
    twice = vulkan.run(SESSION, "webgpu", "webgpu", driver=vulkan.SWIFTSHADER)
    for outcome in twice:
        assert (outcome["provider"], outcome["equal"]) == ("WebGpuExecutionProvider", True)
        assert "SwiftShader" in outcome["device"]


@pytest.mark.programs("chromium")
def test_a_gpu_is_chosen_by_a_part_of_its_name() -> None:
    [outcome] = vulkan.run(SESSION, "webgpu:swiftshader", driver=vulkan.SWIFTSHADER)
    assert "SwiftShader" in outcome["device"]


@pytest.mark.programs("chromium")
def test_a_name_that_no_gpu_has_is_refused_with_those_there_are() -> None:
    [outcome] = vulkan.run(SESSION, "webgpu:Radeon", driver=vulkan.SWIFTSHADER)
    assert outcome["kind"] == "ProviderUnavailable"
    assert "no Vulkan device is called 'Radeon'; there are: SwiftShader" in outcome["error"]


@pytest.mark.programs("chromium")
def test_another_gpu_than_that_in_use_needs_a_restart() -> None:
    _, outcome = vulkan.run(SESSION, "webgpu", "webgpu:swift", driver=vulkan.SWIFTSHADER)
    assert outcome["kind"] == "ProviderUnavailable"
    assert "restart the service" in outcome["error"]


def test_auto_tries_what_the_hardware_suggests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", raising=False)
    none, gpus = tmp_path / "none", tmp_path / "drm"
    assert likely_accelerators((str(none),), none, none) == ()
    (gpus / "card0/device").mkdir(parents=True)
    (gpus / "card0/device/vendor").write_text("0x1002\n")
    assert likely_accelerators((str(none),), gpus, none) == ("webgpu",)
    nvidia = likely_accelerators((str(tmp_path),), gpus, none)
    assert nvidia == tuple(name for name in ("tensorrt-rtx", "cuda", "webgpu") if name in available_providers())


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """NVIDIA's folder in /proc with two GPUs, and a process that has chosen none."""
    monkeypatch.setattr(device_choice, "_chosen", {})
    for variable in ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(variable, "")
    for address, model in (("0000:01:00.0", "NVIDIA GeForce RTX 4090"), ("0000:02:00.0", "NVIDIA RTX A2000 12GB")):
        (tmp_path / address).mkdir()
        (tmp_path / address / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 120\n")
    return tmp_path


def test_an_nvidia_gpu_is_chosen_by_name_and_bus_order(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_choice.choose_nvidia("a2000", driver) == "NVIDIA RTX A2000 12GB"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    with pytest.raises(ProviderUnavailable, match="uses the GPU 'a2000' already"):
        device_choice.choose_nvidia("4090", driver)
    monkeypatch.setattr(device_choice, "_chosen", {})
    with pytest.raises(
        ProviderUnavailable, match=r"no NVIDIA GPU is called '3080'; there are: NVIDIA GeForce RTX 4090"
    ):
        device_choice.choose_nvidia("3080", driver)


def test_a_gpu_that_does_not_exist_is_not_in_use(driver: Path) -> None:
    assert device_choice.choose_nvidia("", driver / "absent") == ""
    with pytest.raises(ProviderUnavailable, match="no NVIDIA GPU is called '4090'; the NVIDIA driver lists none"):
        device_choice.choose_nvidia("4090", driver / "absent")
    assert device_choice.choose_nvidia("", driver)
    with pytest.raises(ProviderUnavailable, match="no NVIDIA GPU is called '3080'"):
        device_choice.choose_nvidia("3080", driver)


@pytest.mark.parametrize("provider", ["cpu:0", "cpu:foo", "CPUExecutionProvider:0"])
def test_the_cpu_has_no_devices_to_choose_from(provider: str) -> None:
    with pytest.raises(ProviderUnavailable, match="has no devices to choose from"):
        full_name(provider)


def test_a_gpu_that_was_named_once_does_not_change_what_auto_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable that allows a software driver for `webgpu` stays set, also in a process that replaces this one."""
    for variable in (plugins.SOFTWARE, plugins.ALLOWED_HERE):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "none.json"))  # no driver, so the loader lists no device
    with pytest.raises(ProviderUnavailable):
        plugins.plugin_device("webgpu")
    assert os.environ[plugins.SOFTWARE] == "1"
    assert not plugins.wants_software()
    assert likely_accelerators((str(tmp_path / "none"),), tmp_path, tmp_path) == ()
    monkeypatch.delenv(plugins.ALLOWED_HERE)
    assert plugins.wants_software()


def test_without_a_name_the_first_nvidia_gpu_is_used_and_nothing_set(driver: Path) -> None:
    assert device_choice.choose_nvidia("", driver) == "NVIDIA GeForce RTX 4090"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert device_choice.choose_nvidia("", driver / "absent") == ""


def test_openvinos_devices_are_chosen_by_its_names_for_them() -> None:
    """ONNX Runtime's own list of devices stands for OpenVINO's: both have a CPU."""
    devices = list(onnxruntime.get_ep_devices())
    handle, described = plugins._openvino_device(devices, "cpu")
    assert (handle.device.type.name, described) == ("CPU", "OpenVINO CPU")
    assert plugins._openvino_device(devices, "") == (handle, described)
    with pytest.raises(ProviderUnavailable, match=r"OpenVINO has no device 'NPU'; it offers CPU"):
        plugins._openvino_device(devices, "NPU")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", *PACKAGES, "rocm"])
def test_every_remedy_ends_with_the_cpu(provider: str) -> None:
    assert remedy(provider).endswith('or set `provider = "cpu"` under [model]')
