"""Who calls: the caller of the method being served, and callers that are watched until they leave the bus."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from dbus_next import DBusError, Message, MessageType

from coldvoxd.bus.connection import BUS, Connection


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called a method, and when."""

    name: str
    """Unique bus name, such as `:1.42`."""
    called_s: float
    """`time.monotonic()` when the call arrived."""


_caller: ContextVar[Caller] = ContextVar("caller")


def current_caller() -> Caller:
    """The caller of the method that is being served: right in synchronous and in interleaved asynchronous methods."""
    return _caller.get()


class Callers:
    """Notes the caller of each call, and tells when a watched one leaves. Event loop only."""

    def __init__(self, connection: Connection, left: Callable[[str], None]) -> None:
        """`left` is called once with the name of each watched caller that leaves."""
        self._connection = connection
        self._left = left
        self._watches: dict[str, int] = {}
        connection.add_message_handler(self._handle)

    async def watch(self, name: str) -> bool:
        """Watch this caller; false where it has left already, and then it isn't watched."""
        self._watches[name] = self._watches.get(name, 0) + 1
        try:
            # First the watch, then the question: whoever is still there to be asked can't leave unseen.
            await self._connection.ask_bus("AddMatch", "s", _leaving_rule(name))
            await self._connection.ask_bus("GetConnectionCredentials", "s", name)
        except DBusError:
            self.unwatch(name)
            return False
        except BaseException:
            self.unwatch(name)
            raise
        return name in self._watches

    def unwatch(self, name: str) -> None:
        """Undo one `watch`; nothing where the caller has left."""
        count = self._watches.pop(name, 0)
        if count == 0:
            return
        if count > 1:
            self._watches[name] = count - 1
        self._connection.tell_bus("RemoveMatch", "s", _leaving_rule(name))

    def _handle(self, message: Message) -> None:
        if message.message_type is MessageType.METHOD_CALL:
            _caller.set(Caller(message.sender, time.monotonic()))
        elif message.member == "NameOwnerChanged" and message.sender == BUS and message.signature == "sss":
            name, _, new_owner = message.body
            if not new_owner and (count := self._watches.pop(name, 0)):
                for _ in range(count):
                    self._connection.tell_bus("RemoveMatch", "s", _leaving_rule(name))
                self._left(name)


def _leaving_rule(name: str) -> str:
    return f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{name}'"
