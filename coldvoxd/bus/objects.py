"""The objects of a connection: serves calls of their methods and of the standard interfaces."""

import asyncio
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from coldvoxd.bus.interface_xml import (
    INTROSPECTABLE,
    PEER,
    PROPERTIES,
    interfaces_of_properties,
    introspection,
    introspection_of_parent,
)
from coldvoxd.bus.library import (
    DBusError,
    Message,
    MessageType,
    ServiceInterface,
    Variant,
    methods_of,
    parsed_signature,
    properties_of,
)
from coldvoxd.bus.replies import Reply
from coldvoxd.bus.routing import children_of
from coldvoxd.bus.signals import BUS
from coldvoxd.core.errors import shown

STANDARD = frozenset({INTROSPECTABLE, PEER, PROPERTIES})
"""Interfaces of every object; they have no properties."""

CallHandler = Callable[[Message], Message | bool | None]
"""Sees a call before its method. It may reply by returning a message, or return True if it replies later."""


class Sending(Protocol):
    """Methods of a connection that Objects needs."""

    def send(self, message: Message) -> object:
        """Queue a message."""

    def ask_then(self, call: Message, then: Callable[[Message | None], None]) -> None:
        """Send a call. `then` receives the reply, or None if the connection is lost."""


@dataclass(frozen=True, slots=True)
class _Exported:
    """An interface of an object, with its members by name."""

    interface: ServiceInterface
    methods: Mapping[str, Any]
    properties: Mapping[str, Any]


class Objects:
    """Serves calls. Event loop only.

    - Introspect returns the contract's XML, which has the names of signal arguments and output arguments;
    - Get, Set and GetAll accept an empty interface, which stands for all of them; no property can be set;
    - an error raised by a method is returned with a name from `replies`;
    - there is no ObjectManager, whose signals would broadcast the object's properties.
    """

    def __init__(self, connection: Sending) -> None:
        self._connection = connection
        self._exported: dict[str, dict[str, _Exported]] = {}
        """By path and interface."""
        self._handlers: list[CallHandler] = []
        self._running: set[asyncio.Future[Any]] = set()
        """Asynchronous methods; the event loop has no strong references to them."""

    @property
    def paths(self) -> Collection[str]:
        """The paths of objects."""
        return self._exported.keys()

    def export(self, path: str, interface: ServiceInterface) -> None:
        """Offer an interface of the object at `path`."""
        one = _Exported(interface, methods_of(interface), properties_of(interface))
        self._exported.setdefault(path, {})[interface.name] = one

    def add_handler(self, handler: CallHandler) -> None:
        """Call `handler` with each call that is served from now on, after earlier handlers."""
        self._handlers.append(handler)

    def clear(self) -> None:
        """Offer nothing any more: the connection has ended."""
        self._exported.clear()
        self._handlers.clear()

    def serve(self, call: Message) -> None:
        """Serve a call whose interface is known. Its arguments have been decoded."""
        reply = Reply(self._connection.send, call)
        with reply:
            for handler in tuple(self._handlers):
                if answer := handler(call):
                    if isinstance(answer, Message):
                        reply(answer)
                    return
            if call.interface == INTROSPECTABLE:
                reply(Message.new_method_return(call, "s", [self._introspection(call.path)]))
            elif call.interface == PROPERTIES:
                reply(self._of_properties(call))
            elif call.interface == PEER:
                self._serve_peer(call, reply)
            else:
                self._call_method(call, reply)

    def _introspection(self, path: str) -> str:
        return introspection() if path in self._exported else introspection_of_parent(children_of(path, self.paths))

    def _serve_peer(self, call: Message, reply: Reply) -> None:
        if call.member == "Ping":
            reply(Message.new_method_return(call))
            return

        def answer(found: Message | None) -> None:
            """Forward the reply of the bus, errors included: not every machine has an ID."""
            if found is None:
                return  # the connection was lost
            if found.message_type is MessageType.METHOD_RETURN:
                reply(Message.new_method_return(call, "s", found.body))
            else:
                text = str(found.body[0]) if found.body else "The bus gave no machine ID."
                reply(Message.new_error(call, found.error_name, text))

        self._connection.ask_then(Message(BUS, "/org/freedesktop/DBus", PEER, "GetMachineId"), answer)

    def _call_method(self, call: Message, reply: Reply) -> None:
        exported = self._exported.get(call.path, {}).get(call.interface)
        if exported is None or call.member not in exported.methods:
            raise DBusError(f"{BUS}.Error.UnknownMethod", f"There is no method {shown(str(call.member))}.")
        method = exported.methods[call.member]

        def answer(result: object) -> None:
            values = list(result) if isinstance(result, tuple) else [result]
            body = values if method.out_signature else []
            reply(Message.new_method_return(call, method.out_signature, body))

        result = method.fn(exported.interface, *_arguments(call))
        if not inspect.iscoroutine(result):
            answer(result)
            return

        def finished(task: "asyncio.Future[Any]") -> None:
            self._running.discard(task)
            with reply:
                answer(task.result())

        task = asyncio.ensure_future(result)
        self._running.add(task)
        task.add_done_callback(finished)

    def _of_properties(self, call: Message) -> Message:
        """Return the reply to a call of Get, GetAll or Set. Raises DBusError."""
        interfaces = self._exported.get(call.path, {})
        interface = str(call.body[0])
        if call.member == "GetAll":
            chosen = [*interfaces.values()] if not interface else [self._interface(interfaces, interface)]
            values = {name: _value(one, name) for one in chosen if one is not None for name in one.properties}
            return Message.new_method_return(call, "a{sv}", [values])
        name = str(call.body[1])
        exported = self._interface(interfaces, interface or interfaces_of_properties().get(name, ""))
        if exported is None or name not in exported.properties:
            where = f"{shown(interface)} has no" if interface else "No interface has a"
            raise DBusError(f"{BUS}.Error.UnknownProperty", f"{where} property {shown(name)}.")
        if call.member == "Set":
            raise DBusError(f"{BUS}.Error.PropertyReadOnly", f"The property {name} cannot be set.")
        return Message.new_method_return(call, "v", [_value(exported, name)])

    def _interface(self, interfaces: Mapping[str, _Exported], name: str) -> _Exported | None:
        """Return an interface of an object; None if it has no properties. Raises DBusError if it is unknown."""
        if name and name not in interfaces and name not in STANDARD:
            raise DBusError(f"{BUS}.Error.UnknownInterface", f"There is no interface {shown(name)} here.")
        return interfaces.get(name)


def _value(exported: _Exported, name: str) -> Variant:
    prop = exported.properties[name]
    return Variant(prop.signature, prop.prop_getter(exported.interface))


def _arguments(call: Message) -> list[Any]:
    """Return the arguments, with file descriptors in place of their indices, or None if the call has no such one."""
    if not call.body:
        return []
    types = parsed_signature(call.signature).types
    return [
        _descriptor(call, value) if kind.signature == "h" else value
        for kind, value in zip(types, call.body, strict=True)
    ]


def _descriptor(call: Message, index: int) -> int | None:
    return call.unix_fds[index] if index < len(call.unix_fds) else None
