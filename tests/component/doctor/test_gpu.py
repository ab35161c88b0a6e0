"""Findings about NVIDIA hardware, from sysfs and from the libraries that this machine has."""

from pathlib import Path

import pytest

from coldvoxd.doctor.finding import Finding, Verdict
from coldvoxd.doctor.gpu import check, hardware


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A sysfs with an NVIDIA sound device, its display controller, and one of another vendor."""
    devices = {"01.1": ("0x10de", "0x040300"), "01.0": ("0x10de", "0x030200"), "00.2": ("0x8086", "0x030000")}
    for address, (vendor, kind) in devices.items():
        device = tmp_path / "bus/pci/devices" / f"0000:00:{address}"
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    return tmp_path


def findings(sysfs: Path) -> dict[str, Finding]:
    return {finding.part: finding for finding in check(sysfs) if isinstance(finding, Finding)}


def test_a_machine_without_nvidia_hardware_gets_one_quiet_line(tmp_path: Path) -> None:
    [finding] = check(tmp_path)
    assert isinstance(finding, Finding)
    assert (finding.verdict, finding.remedy) == (Verdict.OK, "")


def test_only_display_controllers_count(sysfs: Path) -> None:
    assert hardware(sysfs) == ["0000:00:01.0"]


def test_hardware_without_a_driver_is_told(sysfs: Path) -> None:
    driver = findings(sysfs)["driver"]
    assert driver.verdict is Verdict.FAIL
    assert "kernel module nvidia is not loaded" in driver.text
    assert "nvidia-driver" in driver.remedy


def test_libraries_that_are_missing_are_named(sysfs: Path) -> None:
    def load(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    (sysfs / "module/nvidia").mkdir(parents=True)
    (sysfs / "module/nvidia/version").write_text("580.95.05\n")
    said = {finding.part: finding for finding in check(sysfs, load) if isinstance(finding, Finding)}
    assert said["driver"].verdict is Verdict.FAIL
    assert "580.95.05" in said["driver"].text
    assert "libcuda.so.1" in said["driver"].text
    assert "libcudnn.so.9" in said["cuda"].text
