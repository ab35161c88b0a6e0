"""What the doctor proposes for the hardware that it finds in sysfs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from coldvoxd.doctor.accelerators import proposals


def proposed(sysfs: Path, devices: Sequence[tuple[str, str]], installed: Sequence[str] = ()) -> list[str]:
    for number, (vendor, kind) in enumerate(devices):
        device = sysfs / f"bus/pci/devices/0000:0{number}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    return [finding.text for finding in proposals(sysfs, installed)]


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (("0x1002", "0x030000"), ["AMD GPU at 0000:00:00.0", "`webgpu`", "--vulkan"]),
        (("0x8086", "0x030000"), ["Intel GPU", "`webgpu` or `openvino`", "--vulkan or", "--openvino"]),
        (("0x8086", "0x120000"), ["Intel neural processor", "`openvino`", "--openvino"]),
    ],
)
def test_idle_hardware_gets_the_extra_that_uses_it(tmp_path: Path, device: tuple[str, str], words: list[str]) -> None:
    [text] = proposed(tmp_path, [device])
    assert [word for word in words if word not in text] == []


def test_hardware_that_a_plugin_uses_is_not_mentioned(tmp_path: Path) -> None:
    assert proposed(tmp_path, [("0x1002", "0x030000")], ["webgpu"]) == []


def test_what_no_plugin_can_use_is_not_mentioned(tmp_path: Path) -> None:
    virtio, nvidia, amd_sound = ("0x1af4", "0x038000"), ("0x10de", "0x030000"), ("0x1002", "0x040300")
    assert proposed(tmp_path, [virtio, nvidia, amd_sound]) == []
