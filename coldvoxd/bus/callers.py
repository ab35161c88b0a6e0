"""The caller of the method being served, and callers that are watched until they leave the bus."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import DBusError, Message


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that called a method, and when."""

    name: str
    """Unique bus name, such as `:1.42`."""
    called_s: float
    """`time.monotonic()` when the call arrived."""


_caller: ContextVar[Caller] = ContextVar("caller")


def current_caller() -> Caller:
    """Return the caller of the method being served; correct even if asynchronous methods interleave."""
    return _caller.get()


class Callers:
    """Records the caller of each call, and reports when a watched caller leaves the bus. Event loop only."""

    def __init__(self, connection: Connection, left: Callable[[str], None]) -> None:
        """`left` is called once with the name of each watched caller that leaves."""
        self._connection = connection
        self._left = left
        self._watches: dict[str, int] = {}
        connection.objects.add_handler(self._note_caller)

    async def watch(self, name: str) -> bool:
        """Watch a caller. Return False, and do not watch it, if it has already left the bus."""
        self._watches[name] = self._watches.get(name, 0) + 1
        try:
            owner = await self._connection.signals.follow(name, self._changed)
        except DBusError:
            self._forget_one(name)
            return False
        except BaseException:
            self._forget_one(name)
            raise
        if not owner:
            self.unwatch(name)
        return name in self._watches

    def unwatch(self, name: str) -> None:
        """Undo one `watch`. Has no effect if the caller has left."""
        if self._forget_one(name):
            self._connection.signals.unfollow(name, self._changed)

    def _forget_one(self, name: str) -> bool:
        """Remove one watch and return whether there was one."""
        count = self._watches.pop(name, 0)
        if count > 1:
            self._watches[name] = count - 1
        return count > 0

    def _changed(self, name: str, _after: str) -> None:
        """The caller has left: a unique name loses its owner once and is never assigned again."""
        if count := self._watches.pop(name, 0):
            for _ in range(count):
                self._connection.signals.unfollow(name, self._changed)
            self._left(name)

    def _note_caller(self, call: Message) -> None:
        _caller.set(Caller(call.sender, self._connection.arrived_s))
