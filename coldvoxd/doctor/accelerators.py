"""Checks the plugin execution providers, and names the extra that would use hardware which now stands idle."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.doctor.finding import Doing, Finding, ok, warn

AMD, INTEL, NVIDIA = "0x1002", "0x8086", "0x10de"
DISPLAY, PROCESSING = "0x03", "0x12"
"""PCI classes: display controllers, and processing accelerators, among which are neural processors."""
_VENDORS = {AMD: "AMD", INTEL: "Intel", NVIDIA: "NVIDIA"}
USE_CPU = 'set `provider = "cpu"` under [model]'


def check(sysfs: Path = Path("/sys")) -> Iterator[Finding | Doing]:
    """Check each installed plugin's device, and propose a plugin for each device that none can use."""
    try:
        from coldvoxd.native import plugins
    except (ImportError, OSError):
        return  # the check of the engine reports it
    installed = plugins.installed_plugins()
    for name in installed:
        yield Doing("accelerator", f"looking for a device of {name}", USE_CPU)
        try:
            device = plugins.plugin_device(name)
        except ProviderUnavailable as error:
            yield warn("accelerator", f"{name}: {error}", "fix what it names, or uninstall the plugin")
        else:
            yield ok("accelerator", f"{name} would run on {device.name or 'a device without a name'}")
    yield from proposals(sysfs, installed)


def proposals(sysfs: Path, installed: Sequence[str]) -> Iterator[Finding]:
    """Name the extra for each GPU or neural processor that no installed plugin uses. NVIDIA's has the check of the GPU."""
    for vendor, kind, address in hardware(sysfs):
        extras = extras_for(vendor, kind)
        if not extras or set(extras.values()) & set(installed):
            continue
        what = "neural processor" if kind == PROCESSING else "GPU"
        commands = " or ".join(f"./contrib/install.sh --{extra}" for extra in extras)
        names = " or ".join(f"`{provider}`" for provider in extras.values())
        yield ok(
            "accelerator",
            f"{_VENDORS[vendor]} {what} at {address}: recognition could use it with the provider {names} ({commands}); "
            "`auto` then tries whether it is faster than the CPU",
        )


def extras_for(vendor: str, kind: str) -> dict[str, str]:
    """The extras that can use a device of this PCI vendor and class, each with the provider that it installs."""
    if kind == PROCESSING:
        return {"openvino": "openvino"} if vendor == INTEL else {}
    return {AMD: {"vulkan": "webgpu"}, INTEL: {"vulkan": "webgpu", "openvino": "openvino"}}.get(vendor, {})


def hardware(sysfs: Path) -> list[tuple[str, str, str]]:
    """PCI vendor, class (its first byte) and address of each GPU and accelerator of a known vendor, by address."""
    found = []
    for device in sorted((sysfs / "bus/pci/devices").glob("*")):
        vendor, kind = _word(device / "vendor"), _word(device / "class")[:4]
        if vendor in _VENDORS and kind in {DISPLAY, PROCESSING}:
            found.append((vendor, kind, device.name))
    return found


def _word(path: Path) -> str:
    """The content of a sysfs file; empty if it does not exist."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
