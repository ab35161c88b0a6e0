"""Signals of other services, accepted only from the owners of their names.

Any client of a bus can send signals that imitate those of another service; the bus guarantees only the sender's unique
name. So the owner of each name is tracked, as reported by the bus itself, and signals from other senders are dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from coldvoxd.bus.header import Fields
from coldvoxd.bus.library import DBusError, Message, MessageType
from coldvoxd.core.errors import BusUnavailable

log = logging.getLogger(__name__)

BUS = "org.freedesktop.DBus"

FORMER = 4
"""Number of earlier owners of a name that are remembered."""

Handler = Callable[[Message], None]
OwnerChanged = Callable[[str, str], None]
"""Called with the unique names of the previous and the new owner; a name is empty if there is none."""


@dataclass(frozen=True, slots=True)
class Source:
    """A filter of signals to receive. An empty field matches anything."""

    name: str
    """Bus name of the sender, well-known or unique."""
    interface: str = ""
    member: str = ""
    path: str = ""
    below: str = ""
    """Path of the object, or of an object above it."""
    signature: str = ""
    """Signature of the values; a signal with another signature is dropped."""

    @property
    def rule(self) -> str:
        """The match rule."""
        parts = {
            "sender": self.name,
            "interface": self.interface,
            "member": self.member,
            "path": self.path,
            "path_namespace": self.below,
        }
        return "type='signal'" + "".join(f",{key}='{value}'" for key, value in parts.items() if value)

    def fits(self, fields: Fields) -> bool:
        """Return whether a signal matches, regardless of its sender."""
        return (
            self.interface in ("", fields.interface)
            and self.member in ("", fields.member)
            and self.path in ("", fields.path)
            and self.signature in ("", fields.signature)
            and (not self.below or f"{fields.path}/".startswith(f"{self.below}/"))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Subscription:
    """A subscription, for `unsubscribe`."""

    source: Source
    handler: Handler
    broadcast: bool


@dataclass(slots=True)
class _Followed:
    """A name whose owner is tracked."""

    known: "asyncio.Future[None]"
    """Resolved once the owner is known."""
    owner: str = ""
    former: deque[str] = field(default_factory=lambda: deque(maxlen=FORMER))
    """Earlier owners, which may still reply to calls that were sent to them."""
    users: int = 0
    changed: list[OwnerChanged] = field(default_factory=list)


class Calling(Protocol):
    """Methods of a connection that Signals needs."""

    def ask_then(self, call: Message, then: Callable[[Message | None], None]) -> None:
        """Send a call. `then` receives the reply, in order with other messages, or None if the connection is lost."""

    async def ask_bus(self, member: str, signature: str = "", *body: object) -> object:
        """Call the bus itself and return the first value of its reply. Raises DBusError or BusUnavailable."""

    def send_to_bus(self, member: str, signature: str = "", *body: object) -> None:
        """Call the bus itself without waiting for a reply."""


class Signals:
    """The subscriptions of a connection. Event loop only."""

    def __init__(self, connection: Calling) -> None:
        self._connection = connection
        self._followed: dict[str, _Followed] = {}
        self._subscriptions: list[Subscription] = []

    def owner(self, name: str) -> str:
        """Return the unique name of the current owner of a tracked name; empty if it has none."""
        return BUS if name == BUS else self._followed[name].owner if name in self._followed else ""

    async def follow(self, name: str, changed: OwnerChanged | None = None) -> str:
        """Track the owner of a name until `unfollow`, and return the current owner. Starts no service.

        `changed` is called at each change from then on. Raises DBusError and BusUnavailable.
        """
        followed = self.begin_to_follow(name, changed)
        try:
            await asyncio.shield(followed)
        except BaseException:
            self.unfollow(name, changed)
            raise
        return self.owner(name)

    def begin_to_follow(self, name: str, changed: OwnerChanged | None = None) -> "asyncio.Future[None]":
        """`follow` without waiting. The owner is known before the reply to any message that is sent later."""
        followed = self._followed.get(name)
        if followed is None:
            followed = self._followed[name] = _Followed(asyncio.get_running_loop().create_future())
            self._begin(name, followed)
        followed.users += 1
        if changed is not None:
            followed.changed.append(changed)
        return followed.known

    def unfollow(self, name: str, changed: OwnerChanged | None = None) -> None:
        """Undo one `follow` with the same arguments."""
        followed = self._followed.get(name)
        if followed is None:
            return
        if changed in followed.changed:
            followed.changed.remove(changed)
        followed.users -= 1
        if not followed.users:
            del self._followed[name]
            self._connection.send_to_bus("RemoveMatch", "s", _owner_rule(name))

    async def subscribe(self, source: Source, handler: Handler, *, broadcast: bool = True) -> Subscription:
        """Pass signals of the source's owner to `handler` from now on.

        If `broadcast` is false, only those addressed to this connection. Raises DBusError and BusUnavailable.
        """
        subscription = Subscription(source, handler, broadcast)
        if source.name != BUS:
            await self.follow(source.name)
        self._subscriptions.append(subscription)
        if broadcast:
            try:
                await self._connection.ask_bus("AddMatch", "s", source.rule)
            except BaseException:
                self._remove(subscription)
                raise
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Undo `subscribe`."""
        self._remove(subscription)
        if subscription.broadcast:
            self._connection.send_to_bus("RemoveMatch", "s", subscription.source.rule)

    def may_answer(self, sender: str, name: str) -> bool:
        """Return whether the client `sender` may reply to a call to `name`."""
        if sender in {BUS, name}:  # the bus replies for a name without an owner, and to calls to itself
            return True
        followed = self._followed.get(name)
        return followed is not None and (sender == followed.owner or sender in followed.former)

    def wants(self, fields: Fields) -> bool:
        """Return whether a signal is subscribed to and comes from the owner of the subscribed name."""
        if self._followed and _is_owner_change(fields):
            return True
        return any(self._accepts(one, fields) for one in self._subscriptions)

    def deliver(self, fields: Fields, message: Message) -> None:
        """Pass a signal to its handlers. Exceptions that they raise are logged."""
        if _is_owner_change(fields):
            self._note_owner(*message.body)
        for subscription in tuple(self._subscriptions):
            if self._accepts(subscription, fields):
                _run(subscription.handler, message)

    def _accepts(self, subscription: Subscription, fields: Fields) -> bool:
        source = subscription.source
        return source.fits(fields) and bool(fields.sender) and fields.sender == self.owner(source.name)

    def _remove(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)
        if subscription.source.name != BUS:
            self.unfollow(subscription.source.name)

    def _begin(self, name: str, followed: _Followed) -> None:
        """Add the match rule before asking for the owner, so that no change between the two is missed."""
        known = followed.known
        known.add_done_callback(_retrieve)

        def ruled(reply: Message | None) -> None:
            if reply is None or reply.message_type is MessageType.ERROR:
                self._followed.pop(name, None)
                _fail(known, reply)

        def owned(reply: Message | None) -> None:
            if reply is not None and reply.message_type is MessageType.METHOD_RETURN:
                followed.owner = str(reply.body[0])
            elif reply is not None and str(reply.error_name).endswith(".NameHasNoOwner"):
                followed.owner = ""
            else:
                self._followed.pop(name, None)
                _fail(known, reply)
            if not known.done():
                known.set_result(None)

        self._connection.ask_then(_call("AddMatch", _owner_rule(name)), ruled)
        self._connection.ask_then(_call("GetNameOwner", name), owned)

    def _note_owner(self, name: str, _: str, after: str) -> None:
        followed = self._followed.get(name)
        if followed is None or followed.owner == after:
            return
        before, followed.owner = followed.owner, after
        if before:
            followed.former.append(before)
        if followed.known.done():
            for changed in tuple(followed.changed):
                _run(changed, before, after)


def _is_owner_change(fields: Fields) -> bool:
    return fields.sender == BUS and (fields.interface, fields.member, fields.signature) == (
        BUS,
        "NameOwnerChanged",
        "sss",
    )


def _owner_rule(name: str) -> str:
    return f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{name}'"


def _call(member: str, argument: str) -> Message:
    return Message(
        destination=BUS, path="/org/freedesktop/DBus", interface=BUS, member=member, signature="s", body=[argument]
    )


def _fail(known: "asyncio.Future[None]", reply: Message | None) -> None:
    if known.done():
        return
    if reply is None:
        known.set_exception(BusUnavailable("The connection to the bus was lost."))
    else:
        known.set_exception(DBusError(reply.error_name, str(reply.body[0]) if reply.body else "", reply))


def _retrieve(known: "asyncio.Future[None]") -> None:
    """Mark the exception as retrieved: it is raised in the coroutines that wait for the owner."""
    if not known.cancelled():
        known.exception()


def _run(handler: Callable[..., None], *arguments: object) -> None:
    try:
        handler(*arguments)
    except Exception:
        log.exception("a signal handler failed")
