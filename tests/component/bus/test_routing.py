"""Calls without an interface, with wrong arguments, and to other paths."""

import tempfile
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from coldvoxd.bus.interface_xml import (
    DICTATION,
    ENGINE,
    INTROSPECTABLE,
    MICROPHONE,
    OBJECT_PATH,
    PEER,
    PROPERTIES,
    Method,
    interface_xml,
    methods,
)
from coldvoxd.bus.library import Variant
from coldvoxd.bus.routing import Routes, Unroutable
from coldvoxd.core.values import EngineStatus
from tests.support.bus.private_bus import BusClient, BusError, RunningService

STANDARD_ERROR = "org.freedesktop.DBus.Error."
ABOVE = ["/", "/org", "/org/coldvox"]
ELSEWHERE = ["/org/cold", "/org/coldvox/Daemon", "/org/coldvox/Daemon1/x", "/o", "/org/coldvoxx", "/com"]


async def error_of(client: BusClient, member: str, signature: str = "", *body: object, **to: str | None) -> BusError:
    """Return the error that a call must cause."""
    with pytest.raises(BusError) as raised:
        await client.call(member, signature, *body, **to)  # type: ignore[arg-type]  # paths and interfaces only
    return raised.value


async def nodes_at(client: BusClient, path: str) -> list[str | None]:
    xml = str(await client.call("Introspect", interface=INTROSPECTABLE, path=path))
    return [node.get("name") for node in ET.fromstring(xml).findall("node")]


async def test_each_method_is_called_without_its_interface(client: BusClient) -> None:
    assert await client.call("StartDictation", interface=None) == 1
    assert await client.get(DICTATION, "State") == "listening"
    assert await client.call("StopDictation", interface=None) == ""
    assert await client.call("ToggleDictation", interface=None) is True
    await client.call("CancelDictation", interface=None)
    assert await client.call("StartDictationWithOptions", "a{sv}", {"words": Variant("b", True)}, interface=None) == 3
    await client.call("CancelDictation", interface=None)
    await client.call("SelectDevice", "s", "Built-in Audio", interface=None)
    assert await client.get(MICROPHONE, "Device") == "Built-in Audio"
    assert "uptime" in await client.call("GetMetrics", interface=None)
    with tempfile.TemporaryFile() as file:
        assert await client.call("TranscribeFile", "ha{sv}", 0, {}, interface=None, descriptors=[file.fileno()]) > 0


async def test_standard_methods_are_called_without_their_interface(client: BusClient) -> None:
    await client.call("Ping", interface=None)
    xml = await client.call("Introspect", interface=None)
    assert xml == await client.call("Introspect", interface=INTROSPECTABLE)
    assert (await client.call("Get", "ss", DICTATION, "State", interface=None)).value == "idle"
    assert set(await client.call("GetAll", "s", MICROPHONE, interface=None)) >= {"Device", "Open"}
    error = await error_of(client, "Set", "ssv", ENGINE, "Model", Variant("s", "x"), interface=None)
    assert error.name == STANDARD_ERROR + "PropertyReadOnly"


async def test_no_member_is_in_two_interfaces() -> None:
    """A call without an interface, or a property asked for without one, would be ambiguous."""
    names = Counter(member.attrib["name"] for kind in ("method", "property") for member in contract().iter(kind))
    names.update(method.name for method in methods() if method.interface in (INTROSPECTABLE, PEER, PROPERTIES))
    assert names.most_common(1)[0][1] == 1


def contract() -> ET.Element:
    return ET.fromstring(interface_xml())


@pytest.mark.parametrize("interface", [None, DICTATION])
@pytest.mark.parametrize(
    ("member", "signature", "body", "wanted"),
    [
        ("StartDictation", "s", ["x"], "''"),
        ("StartDictationWithOptions", "", [], "'a{sv}'"),
        ("StartDictationWithOptions", "a{ss}", [{}], "'a{sv}'"),
        ("CancelFile", "i", [1], "'u'"),
        ("CancelFile", "uu", [1, 2], "'u'"),
    ],
)
async def test_wrong_arguments_are_answered_with_the_wanted_signature(
    running: RunningService,
    client: BusClient,
    interface: str | None,
    member: str,
    signature: str,
    body: list[object],
    wanted: str,
) -> None:
    error = await error_of(client, member, signature, *body, interface=interface)
    assert error.name == STANDARD_ERROR + "InvalidArgs"
    assert wanted in error.message
    assert f"{DICTATION}.{member}" in error.message
    assert running.control.started == []


@pytest.mark.parametrize(
    ("interface", "member", "signature", "body", "wanted"),
    [
        (PROPERTIES, "Get", "s", [DICTATION], "'ss'"),
        (PROPERTIES, "GetAll", "", [], "'s'"),
        (INTROSPECTABLE, "Introspect", "s", ["x"], "''"),
        (PEER, "Ping", "u", [1], "''"),
        (None, "Get", "sss", ["", "", ""], "'ss'"),
    ],
)
async def test_wrong_arguments_of_standard_methods_too(
    client: BusClient, interface: str | None, member: str, signature: str, body: list[object], wanted: str
) -> None:
    error = await error_of(client, member, signature, *body, interface=interface)
    assert error.name == STANDARD_ERROR + "InvalidArgs"
    assert wanted in error.message


async def test_unknown_members_and_interfaces_are_told_apart(client: BusClient) -> None:
    assert (await error_of(client, "Nope", interface=None)).name == STANDARD_ERROR + "UnknownMethod"
    assert (await error_of(client, "Nope")).name == STANDARD_ERROR + "UnknownMethod"
    assert (await error_of(client, "Reload", interface=DICTATION)).name == STANDARD_ERROR + "UnknownMethod"
    error = await error_of(client, "GetManagedObjects", interface="org.freedesktop.DBus.ObjectManager")
    assert error.name == STANDARD_ERROR + "UnknownInterface"


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_a_path_without_an_object_is_unknown(client: BusClient, path: str) -> None:
    for member, interface in [("StartDictation", DICTATION), ("Introspect", INTROSPECTABLE), ("StartDictation", None)]:
        error = await error_of(client, member, interface=interface, path=path)
        assert error.name == STANDARD_ERROR + "UnknownObject"
        assert path in error.message
    error = await error_of(client, "Get", "ss", DICTATION, "State", interface=PROPERTIES, path=path)
    assert error.name == STANDARD_ERROR + "UnknownObject"


@pytest.mark.parametrize("path", [*ABOVE, *ELSEWHERE, OBJECT_PATH])
@pytest.mark.parametrize("interface", [PEER, None])
async def test_every_path_answers_ping(client: BusClient, path: str, interface: str | None) -> None:
    await client.call("Ping", interface=interface, path=path)


async def test_the_paths_above_lead_to_the_object(client: BusClient) -> None:
    assert [await nodes_at(client, path) for path in [*ABOVE, OBJECT_PATH]] == [["org"], ["coldvox"], ["Daemon1"], []]
    for path in ABOVE:
        assert (await error_of(client, "StartDictation", path=path)).name == STANDARD_ERROR + "UnknownInterface"


async def test_an_empty_interface_stands_for_all_of_them(running: RunningService, client: BusClient) -> None:
    running.control.engine = EngineStatus("m", "fp32", "P")
    for interface in (DICTATION, ENGINE, MICROPHONE):
        for name, value in (await client.call("GetAll", "s", interface, interface=PROPERTIES)).items():
            assert await client.call("Get", "ss", "", name, interface=PROPERTIES) == value
    everything = await client.call("GetAll", "s", "", interface=PROPERTIES)
    assert set(everything) == {prop.attrib["name"] for prop in contract().iter("property")}
    assert everything["Model"] == Variant("s", "m")
    error = await error_of(client, "Get", "ss", "", "Nope", interface=PROPERTIES)
    assert error.name == STANDARD_ERROR + "UnknownProperty"
    error = await error_of(client, "Set", "ssv", "", "Model", Variant("s", "x"), interface=PROPERTIES)
    assert error.name == STANDARD_ERROR + "PropertyReadOnly"


def test_a_member_of_two_interfaces_is_found_by_its_signature_only() -> None:
    routes = Routes([Method("a.A", "Do", "s"), Method("a.B", "Do", "u"), Method("a.C", "Do", "u")])
    assert routes.find(None, "Do", "s").interface == "a.A"
    assert routes.find("a.C", "Do", "u").interface == "a.C"
    for signature in ("u", "b"):
        with pytest.raises(Unroutable, match="Name the interface") as raised:
            routes.find(None, "Do", signature)
        assert raised.value.name == "InvalidArgs"
