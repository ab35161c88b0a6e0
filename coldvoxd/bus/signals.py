"""Signals of other services, taken from the owners of their names alone.

Every client of a bus can send every other one a signal that looks like anybody's; the bus guarantees nothing but the
sender's unique name. So the owner of each name is followed, by what the bus itself says, and what others send is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from dbus_next import DBusError, Message, MessageType

from coldvoxd.bus.header import Fields
from coldvoxd.core.errors import BusUnavailable

log = logging.getLogger(__name__)

BUS = "org.freedesktop.DBus"

FORMER = 4
"""Earlier owners of a name that are remembered."""

Handler = Callable[[Message], None]
OwnerChanged = Callable[[str, str], None]
"""Called with the unique names of the owner before and of the new one; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which signals; what is empty may be anything."""

    name: str
    """Of the service on the bus, well-known or unique."""
    interface: str = ""
    member: str = ""
    path: str = ""
    below: str = ""
    """Path that the object's path is or begins with."""
    signature: str = ""
    """Of the values; what has another one is dropped."""

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
        """Whether it is such a signal, regardless of its sender."""
        return (
            self.interface in ("", fields.interface)
            and self.member in ("", fields.member)
            and self.path in ("", fields.path)
            and self.signature in ("", fields.signature)
            and (not self.below or f"{fields.path}/".startswith(f"{self.below}/"))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Subscription:
    """What `unsubscribe` takes."""

    source: Source
    handler: Handler
    broadcast: bool


@dataclass(slots=True)
class _Followed:
    """A name whose owner is followed."""

    known: "asyncio.Future[None]"
    """Done once the owner is known."""
    owner: str = ""
    former: deque[str] = field(default_factory=lambda: deque(maxlen=FORMER))
    """Its owners before: they may still answer calls that were made while they were."""
    users: int = 0
    changed: list[OwnerChanged] = field(default_factory=list)


class Calling(Protocol):
    """Of the connection."""

    def ask_then(self, call: Message, then: Callable[[Message | None], None]) -> None:
        """Send a call; `then` gets the answer in its place among the messages, None when the bus has gone."""

    async def ask_bus(self, member: str, signature: str = "", *body: object) -> object:
        """The first value of the bus's answer. Raises DBusError or BusUnavailable."""

    def tell_bus(self, member: str, signature: str = "", *body: object) -> None:
        """Call the bus without wanting an answer."""


class Signals:
    """The subscriptions of a connection. Event loop only."""

    def __init__(self, connection: Calling) -> None:
        self._connection = connection
        self._followed: dict[str, _Followed] = {}
        self._subscriptions: list[Subscription] = []

    def owner(self, name: str) -> str:
        """Unique name of the owner of a name that is followed; empty where there is none."""
        return BUS if name == BUS else self._followed[name].owner if name in self._followed else ""

    async def follow(self, name: str, changed: OwnerChanged | None = None) -> str:
        """Follow the owner of this name until `unfollow`; the one of now. Starts no service.

        `changed` is called with each change from then on. Raises DBusError and BusUnavailable.
        """
        followed = self.begin_to_follow(name, changed)
        try:
            await asyncio.shield(followed)
        except BaseException:
            self.unfollow(name, changed)
            raise
        return self.owner(name)

    def begin_to_follow(self, name: str, changed: OwnerChanged | None = None) -> "asyncio.Future[None]":
        """`follow` without waiting. The owner is known before the answer to whatever is sent after this."""
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
            self._connection.tell_bus("RemoveMatch", "s", _owner_rule(name))

    async def subscribe(self, source: Source, handler: Handler, *, broadcast: bool = True) -> Subscription:
        """Hand these signals of the source's owner to `handler` from now on.

        Without `broadcast` only those that are addressed to this connection. Raises DBusError and BusUnavailable.
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
            self._connection.tell_bus("RemoveMatch", "s", subscription.source.rule)

    def may_answer(self, sender: str, name: str) -> bool:
        """Whether an answer to a call to this name may come from this client."""
        if sender in {BUS, name}:  # the bus itself answers where there is nobody, and what is sent to it
            return True
        followed = self._followed.get(name)
        return followed is not None and (sender == followed.owner or sender in followed.former)

    def wants(self, fields: Fields) -> bool:
        """Whether a signal is subscribed to and comes from whom it should."""
        if self._followed and _tells_owner(fields):
            return True
        return any(self._accepts(one, fields) for one in self._subscriptions)

    def deliver(self, fields: Fields, message: Message) -> None:
        """Hand a signal to its handlers; what they raise is logged."""
        if _tells_owner(fields):
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
        """First the rule, then the question: no change between them is missed."""
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


def _tells_owner(fields: Fields) -> bool:
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
    """Those that wait for it get the exception."""
    if not known.cancelled():
        known.exception()


def _run(handler: Callable[..., None], *arguments: object) -> None:
    try:
        handler(*arguments)
    except Exception:
        log.exception("a signal handler failed")
