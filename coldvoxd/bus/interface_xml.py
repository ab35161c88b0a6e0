"""The public contract on the bus: its names, and the interface XML that the service implements."""

import xml.etree.ElementTree as ET  # parses only the project's own file
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

BUS_NAME = "org.coldvox.Daemon1"
OBJECT_PATH = "/org/coldvox/Daemon1"
DICTATION = "org.coldvox.Dictation1"
ENGINE = "org.coldvox.Engine1"
MICROPHONE = "org.coldvox.Microphone1"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"

XML_NAME = "org.coldvox.Daemon1.xml"

_STANDARD_INTERFACES = """
<node>
  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect"><arg name="xml_data" type="s" direction="out"/></method>
  </interface>
  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
    <method name="GetMachineId"><arg name="machine_uuid" type="s" direction="out"/></method>
  </interface>
  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="out"/>
    </method>
    <method name="GetAll">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="properties" type="a{sv}" direction="out"/>
    </method>
    <method name="Set">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="in"/>
    </method>
    <signal name="PropertiesChanged">
      <arg name="interface_name" type="s"/>
      <arg name="changed_properties" type="a{sv}"/>
      <arg name="invalidated_properties" type="as"/>
    </signal>
  </interface>
</node>
"""


_DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '  "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the object."""

    interface: str
    name: str
    signature: str
    """D-Bus signature of the arguments that it takes."""


def interface_xml() -> str:
    """Return the contract's XML with its documentation, from the installed package or from `dbus/` of a checkout."""
    packaged = resources.files("coldvoxd").joinpath("data", "dbus", XML_NAME)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "dbus" / XML_NAME).read_text(encoding="utf-8")


@cache
def introspection() -> str:
    """Return the object's reply to Introspect: the contract without documentation, and the standard interfaces."""
    return _document(_served())


def introspection_of_parent(children: Sequence[str]) -> str:
    """Return the reply to Introspect at a path that only leads to objects, whose next parts are `children`."""
    root = ET.Element("node")
    standard = ET.fromstring(_STANDARD_INTERFACES)
    root.extend(interface for interface in standard if interface.attrib["name"] in {INTROSPECTABLE, PEER})
    root.extend(ET.Element("node", name=child) for child in children)
    return _document(root)


def _document(root: ET.Element) -> str:
    ET.indent(root)
    return _DOCTYPE + ET.tostring(root, encoding="unicode")


@cache
def methods() -> Sequence[Method]:
    """Return the object's methods, those of the standard interfaces included."""
    return tuple(
        Method(
            interface.attrib["name"],
            method.attrib["name"],
            "".join(arg.attrib["type"] for arg in method.iter("arg") if arg.get("direction") != "out"),
        )
        for interface in _served().iter("interface")
        for method in interface.iter("method")
    )


@cache
def interfaces_of_properties() -> Mapping[str, str]:
    """Return the interface of each property by its name. No two interfaces have a property of the same name."""
    return {
        prop.attrib["name"]: interface.attrib["name"]
        for interface in _served().iter("interface")
        for prop in interface.iter("property")
    }


def signature_of(interface: str, member: str) -> str:
    """Return the D-Bus signature of a signal's arguments or of a property. Raises KeyError for an unknown member."""
    return _signatures()[interface, member]


@cache
def _signatures() -> Mapping[tuple[str, str], str]:
    found = {}
    for interface in _served().iter("interface"):
        for signal in interface.iter("signal"):
            found[interface.attrib["name"], signal.attrib["name"]] = "".join(
                arg.attrib["type"] for arg in signal.iter("arg")
            )
        for prop in interface.iter("property"):
            found[interface.attrib["name"], prop.attrib["name"]] = prop.attrib["type"]
    return found


def _served() -> ET.Element:
    """Return the contract and the standard interfaces."""
    root = ET.fromstring(interface_xml())
    root.extend(ET.fromstring(_STANDARD_INTERFACES))
    return root
