"""The running service compared with the contract in dbus/."""

import configparser
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from coldvoxd import __version__
from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, ENGINE, MICROPHONE, interface_xml
from coldvoxd.bus.library import Variant
from coldvoxd.core.capabilities import CAPABILITIES
from coldvoxd.core.fallback import RunningEngine
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.values import EngineStatus, ProviderChoice
from tests.support.bus.library import introspection as library
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus, RunningService, running_service

BODY: dict[str, object] = {"a{sv}": {}, "h": 0, "s": "cpu", "u": 7}
"""A value for each type of argument; the value of a descriptor is its index."""
MEMBERS = ("method", "signal", "property")
MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def members(xml: str) -> dict[tuple[str, str, str], list[tuple[str | None, ...]]]:
    """Return each member by interface, kind and name: arguments' names, types and directions, or type and access."""
    found = {}
    for interface in ET.fromstring(xml).iter("interface"):
        for member in interface:
            assert member.tag in MEMBERS
            shape: list[tuple[str | None, ...]] = [
                (arg.get("name"), arg.get("type"), arg.get("direction", "out")) for arg in member.iter("arg")
            ]
            if member.tag == "property":
                shape = [(member.get("type"), member.get("access"))]
            found[interface.attrib["name"], member.tag, member.attrib["name"]] = shape
    return found


async def introspect(client: BusClient, path: str = "/org/coldvox/Daemon1") -> str:
    return str(await client.call("Introspect", interface="org.freedesktop.DBus.Introspectable", path=path))


async def test_the_running_service_introspects_as_the_contract_says_names_included(client: BusClient) -> None:
    served = members(await introspect(client))
    ours = {key: shape for key, shape in served.items() if key[0].startswith("org.coldvox.")}
    assert ours == members(interface_xml())
    assert {key[0] for key in served} - {key[0] for key in ours} == {
        "org.freedesktop.DBus.Introspectable",
        "org.freedesktop.DBus.Peer",
        "org.freedesktop.DBus.Properties",
    }


def test_what_the_library_dispatches_is_what_the_contract_says(running: RunningService) -> None:
    contract = {key: shape for key, shape in members(interface_xml()).items() if key[1] != "signal"}
    dispatched: dict[tuple[str, str, str], list[tuple[str | None, ...]]] = {}
    for exported in running.service._interfaces:
        interface = exported.introspect()
        assert isinstance(interface, library.Interface)
        for method in interface.methods:
            ins, outs = [str(arg.signature) for arg in method.in_args], [str(arg.signature) for arg in method.out_args]
            shape: list[tuple[str | None, ...]] = [(arg, "in") for arg in ins]
            dispatched[interface.name, "method", method.name] = shape + [(arg, "out") for arg in outs]
        assert interface.signals == []  # the announcer sends them, see below
        for prop in interface.properties:
            dispatched[interface.name, "property", prop.name] = [(prop.signature, prop.access.value)]
    nameless = {key: args if key[1] == "property" else [arg[1:] for arg in args] for key, args in contract.items()}
    assert dispatched == nameless


async def test_every_method_of_the_contract_is_served(client: BusClient) -> None:
    for (interface, kind, name), shape in members(interface_xml()).items():
        if kind != "method":
            continue
        signature = "".join(str(arg[1]) for arg in shape if arg[2] == "in")
        body = [BODY[str(arg[1])] for arg in shape if arg[2] == "in"]
        try:
            with tempfile.TemporaryFile() as file:
                await client.call(name, signature, *body, interface=interface, descriptors=[file.fileno()])
        except BusError as error:
            assert error.name.startswith("org.coldvox.Error."), name  # noqa: PT017 - either outcome is an answer


async def test_properties_have_the_types_of_the_contract_and_no_others_exist(
    running: RunningService, client: BusClient
) -> None:
    running.control.engine = EngineStatus(
        "m",
        "fp32",
        "CUDAExecutionProvider",
        ("P", "Q"),
        ("Q",),
        "model-missing",
        0.5,
        "a sentence",
        languages=("de", "en"),
        choice=ProviderChoice("a GPU", "auto uses it."),
        running=RunningEngine("parakeet"),
    )
    contract = members(interface_xml())
    for interface in (DICTATION, MICROPHONE, ENGINE):
        values = await client.call("GetAll", "s", interface, interface="org.freedesktop.DBus.Properties")
        wanted = {key[2]: shape[0][0] for key, shape in contract.items() if key[:2] == (interface, "property")}
        assert {name: value.signature for name, value in values.items()} == wanted
    engine = {name: value.value for name, value in values.items()}
    assert engine == {
        "Engine": "parakeet",
        "Model": "m",
        "Precision": "fp32",
        "ExecutionProvider": "CUDAExecutionProvider",
        "Provider": "cuda",
        "ProviderDevice": "a GPU",
        "ProviderNote": "auto uses it.",
        "AvailableProviders": ["P", "Q"],
        "UsableProviders": ["Q"],
        "Problems": ["model-missing"],
        "Degraded": "model-missing",
        "Capabilities": sorted(CAPABILITIES),
        "Languages": ["de", "en"],
        "Language": "auto",
        "Progress": 0.5,
        "LastError": "a sentence",
        "AwaitingRestart": [],
        "Version": __version__,
    }


async def test_signals_carry_the_signatures_of_the_contract(running: RunningService, client: BusClient) -> None:
    session = await client.call("StartDictation")
    running.control.say("x")
    running.announcer.speech_started(session)
    running.announcer.speech_ended(session)
    running.announcer.partial_transcribed(session, 1, "x", "y", None)
    running.announcer.sentence_closed(session, 1, None)
    running.announcer.level(-3.0)
    running.announcer.file_progress(1, 0.5, client.name)
    running.announcer.file_transcribed(1, FileTranscript("x", (), 1.0, 1.0), with_words=True, to=client.name)
    running.announcer.provider_changed("A", "B", "requested")
    await client.call("StopDictation")
    await client.settle()
    sent = {signal.member: signal.signature for signal in client.signals if signal.interface in (DICTATION, ENGINE)}
    wanted = {
        key[2]: "".join(str(arg[1]) for arg in shape)
        for key, shape in members(interface_xml()).items()
        if key[0] in (DICTATION, ENGINE) and key[1] == "signal"
    }
    assert sent == wanted


async def test_properties_are_read_only(client: BusClient) -> None:
    with pytest.raises(BusError, match="PropertyReadOnly"):
        await client.call("Set", "ssv", ENGINE, "Model", Variant("s", "x"), interface="org.freedesktop.DBus.Properties")


HAS_MACHINE_ID = any(Path(file).is_file() for file in MACHINE_IDS)


@pytest.mark.skipif(not HAS_MACHINE_ID, reason="needs a machine ID: there is neither file")
async def test_the_machine_id_can_be_asked_for_twice(client: BusClient) -> None:
    answers = {await client.call("GetMachineId", interface="org.freedesktop.DBus.Peer") for _ in range(2)}
    assert len(answers) == 1
    assert re.fullmatch("[0-9a-f]{32}", answers.pop())


class BusWithoutMachineId(PrivateBus):
    """A bus on a machine without an ID, as in many containers."""

    if HAS_MACHINE_ID:  # run it in a mount namespace that hides the ID
        prefix = (
            *("unshare", "--mount", "--propagation", "private", "sh", "-ec"),
            f'for file in {" ".join(MACHINE_IDS)}; do [ ! -e $file ] || mount --bind /dev/null $file; done; exec "$@"',
            "bus",
        )


def can_hide_machine_id() -> bool:
    """Return whether there is no machine ID, or whether a mount can hide it, which is impossible in a chroot."""
    return (
        not HAS_MACHINE_ID
        or not subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode
    )


@pytest.mark.heavy  # not because it is slow: the CI lane runs it outside a chroot
@pytest.mark.skipif(not can_hide_machine_id(), reason="needs root, outside a chroot: a mount hides the machine ID")
async def test_a_machine_without_an_id_is_answered_with_an_error() -> None:
    with BusWithoutMachineId() as bus:
        async with running_service(bus), BusClient(bus.address) as client:
            with pytest.raises(BusError, match="machine"):
                await client.call("GetMachineId", interface="org.freedesktop.DBus.Peer")


def test_every_member_and_argument_of_the_contract_has_prose() -> None:
    """The reference page is made from gtk-doc comments: `Name:`, a line `@arg: ...` per argument, then sentences."""
    builder = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    root = ET.fromstring(interface_xml(), parser=builder)
    comment: object = ET.Comment
    documented = 0
    for parent in root.iter():
        if parent.tag not in ("node", "interface"):
            continue
        children = list(parent)
        for before, element in zip([None, *children], children, strict=False):
            if element.tag == comment:
                continue
            name = element.attrib["name"]
            assert before is not None, f"no prose before {name}"
            assert comment == before.tag, f"no prose before {name}"
            lines = [line.strip() for line in str(before.text).strip().splitlines()]
            assert lines[0] == f"{name}:"
            arguments = [line.split(":")[0].removeprefix("@") for line in lines[1:] if line.startswith("@")]
            assert arguments == [arg.get("name") for arg in element.iter("arg")] or element.tag == "interface"
            prose = [line for line in lines[1:] if line and not line.startswith("@")]
            assert prose, f"no sentence on {name}"
            documented += 1
    assert documented == len(members(interface_xml())) + 3


def test_the_activation_file_names_the_unit() -> None:
    file = configparser.ConfigParser()
    file.optionxform = str  # type: ignore[assignment,method-assign]  # keys are case-sensitive
    file.read_string((Path(__file__).parents[3] / "dbus" / f"{BUS_NAME}.service").read_text())
    assert dict(file["D-BUS Service"]) == {
        "Name": BUS_NAME,
        "Exec": "/bin/false",
        "SystemdService": "coldvoxd.service",
    }
