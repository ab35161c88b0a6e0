"""Engine1's properties name what is loaded, not what the settings want."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE, PROPERTIES
from coldvoxd.models.directories import bundled_directory
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import daemon, default_settings

LOADED = ("Model", "Precision", "ExecutionProvider", "Provider")


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


async def test_what_is_loaded_is_empty_until_then_and_changes_with_a_signal(bus: PrivateBus, tmp_path: Path) -> None:
    place = tmp_path / "own"
    settings = default_settings(bus.directory / "mic").replace('"mini"', f'"{place}"\nprecision = "int8"')
    async with daemon(bus, tmp_path, settings, until="unavailable") as running, running.client() as client:
        await client.subscribe("PropertiesChanged")
        assert [await client.get(ENGINE, name) for name in LOADED] == ["", "", "", ""]
        async with client.expect_signal("PropertiesChanged", lambda body: "Model" in body[1]) as changed:
            shutil.copytree(bundled_directory(), tmp_path / "copy")
            (tmp_path / "copy").rename(place)
        published = {name: value.value for name, value in changed.body[1].items()}
        expected = {"Model": str(place), "Precision": "int8", "ExecutionProvider": "CPUExecutionProvider"}
        assert published.items() >= expected.items() | {("Provider", "cpu")}
        everything = await client.call("GetAll", "s", ENGINE, interface=PROPERTIES)
        assert everything["Provider"].value in everything["AvailableProviders"].value


async def test_the_provider_is_named_as_set_provider_takes_it(bus: PrivateBus, tmp_path: Path) -> None:
    async with daemon(bus, tmp_path) as running, running.client() as client:
        provider = await client.get(ENGINE, "Provider")
        assert provider == "cpu"
        await client.call("SetProvider", "s", provider, interface=ENGINE)
        assert await client.get(ENGINE, "Provider") == provider
