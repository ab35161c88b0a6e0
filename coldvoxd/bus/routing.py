"""Finds the method that a call means, from its path, interface, member and signature.

A call need not name the interface: it is optional in
https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol-types-method, and dbus-python, qdbus and
others leave it out.
"""

from collections.abc import Collection, Iterable
from functools import cache

from coldvoxd.bus.interface_xml import INTROSPECTABLE, PEER, Method, methods
from coldvoxd.core.errors import shown


class Unroutable(Exception):
    """There is no such method. `str` of it is a sentence for the caller."""

    def __init__(self, name: str, text: str) -> None:
        """`name` is the last part of a standard error name, such as UnknownMethod."""
        super().__init__(text)
        self.name = name


class Routes:
    """The methods at one object path."""

    def __init__(self, offered: Iterable[Method]) -> None:
        self._by_member: dict[str, list[Method]] = {}
        for method in offered:
            self._by_member.setdefault(method.name, []).append(method)
        self._interfaces = {method.interface for same in self._by_member.values() for method in same}

    def has(self, member: str) -> bool:
        """Return whether an interface has this member."""
        return member in self._by_member

    def find(self, interface: str | None, member: str, signature: str) -> Method:
        """Return the method of a call, whose interface may be None. Raises Unroutable.

        If several interfaces have the member and the call names none, its signature decides.
        """
        if interface is not None and interface not in self._interfaces:
            raise Unroutable("UnknownInterface", f"There is no interface {shown(interface)} here.")
        found = [one for one in self._by_member.get(member, ()) if interface in (None, one.interface)]
        if not found:
            name = shown(member if interface is None else f"{interface}.{member}")
            raise Unroutable("UnknownMethod", f"There is no method {name}.")
        fitting = [one for one in found if one.signature == signature]
        if len(fitting) == 1:
            return fitting[0]
        if len(found) > 1:
            names = " or ".join(f"{one.interface}.{member}('{one.signature}')" for one in found)
            raise Unroutable("InvalidArgs", f"Name the interface: the method may be {names}.")
        wanted = found[0].signature
        takes = f"arguments of signature '{wanted}'" if wanted else "no arguments (signature '')"
        raise Unroutable("InvalidArgs", f"{found[0].interface}.{member} takes {takes}, not '{shown(signature)}'.")


def resolve(path: str, interface: str | None, member: str, signature: str, exported: Collection[str]) -> Method:
    """Return the method of a call to `path`; `exported` are the paths of objects. Raises Unroutable.

    Peer's methods are found at every path, because the specification of Ping says that any path will do.
    """
    if path in exported:
        routes = _of_object()
    elif is_parent(path, exported):
        routes = _of_parent()
    elif interface == PEER or (interface is None and _of_peer().has(member)):
        routes = _of_peer()
    else:
        raise Unroutable("UnknownObject", f"There is no object {shown(path)}.")
    return routes.find(interface, member, signature)


def is_parent(path: str, exported: Collection[str]) -> bool:
    """Return whether an exported object lies below this path."""
    return any(other.startswith(path.rstrip("/") + "/") for other in exported if other != path)


def children_of(path: str, exported: Collection[str]) -> list[str]:
    """Return the names of the nodes directly below a path that lead to exported objects."""
    prefix = path.rstrip("/") + "/"
    return sorted({other.removeprefix(prefix).split("/")[0] for other in exported if other.startswith(prefix)})


@cache
def _of_object() -> Routes:
    return Routes(methods())


@cache
def _of_parent() -> Routes:
    return Routes(method for method in methods() if method.interface in {INTROSPECTABLE, PEER})


@cache
def _of_peer() -> Routes:
    return Routes(method for method in methods() if method.interface == PEER)
