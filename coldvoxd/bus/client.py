"""A client of the daemon: calls, properties and events over the session bus.

Imports nothing heavy, because each press of a shortcut key starts a process that uses this module.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from coldvoxd.bus.client_errors import translated
from coldvoxd.bus.client_events import EVENTS, PARTIAL, Event, alternatives_of, event_of
from coldvoxd.bus.client_options import Options, options_body
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, ENGINE, MICROPHONE, OBJECT_PATH, PROPERTIES
from coldvoxd.bus.library import DBusError, Message, MessageFlag, Variant
from coldvoxd.bus.peers.notifications import show
from coldvoxd.bus.signals import Source
from coldvoxd.bus.valid_text import check_text
from coldvoxd.core import errors

CALL_LIMIT_S = 25.0
"""Seconds to wait for a reply; StopDictation replies within 20 s."""
DOUBLES = 256
"""Number of latest texts that are remembered to drop duplicates; a session's backlog is far smaller."""
LISTENING = "listening"
"""Value of the property State while a session is listening."""


class DaemonClient:
    """A connection to the daemon. Event loop only.

    Methods raise the daemon's ColdvoxError, DaemonUnreachable if it is not running, or DaemonSilent if it does not reply.
    """

    def __init__(self, connection: Connection, limit_s: float) -> None:
        """Use `connected` to create a client."""
        self._connection = connection
        self._limit_s = limit_s
        self._daemon = ""
        """The daemon's unique name while events are received; empty while it is not running."""
        self._last_stopped = 0
        self._transcribed: deque[tuple[int, int]] = deque(maxlen=DOUBLES)
        """Session and utterance of the latest texts: after a crash of the daemon a text may be sent again."""
        self._events: deque[Event | errors.BusUnavailable] = deque()
        self._has_events = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def connected(cls, address: str | None = None, limit_s: float = CALL_LIMIT_S) -> AsyncIterator[Self]:
        """Connect to the bus at `address`, by default the session bus, and wait `limit_s` for a reply. Raises BusUnavailable."""
        client = cls(await Connection.open(address), limit_s)
        try:
            yield client
        finally:
            await client._close()

    async def start(self, options: Options | None = None) -> int:
        """Start a session with the contract's options and return its number.

        Activates the daemon if activation is set up. Raises AlreadyActive, with who can end the active session.
        """
        try:
            if not options:
                return int(await self._call("StartDictation"))
            return int(await self._call("StartDictationWithOptions", "a{sv}", options_body(options)))
        except errors.AlreadyActive as error:
            if session := await self._private_session():
                raise errors.AlreadyActive(
                    f"Session {session} is private to another program, and only that program can end it: end it there."
                ) from error
            raise

    async def stop(self) -> str:
        """Finish the session and return its text."""
        return str(await self._call("StopDictation", activate=False))

    async def begin_to_stop(self) -> None:
        """Finish the session without waiting for its text or an error."""
        call = _call_of("StopDictation", activate=False)
        call.flags |= MessageFlag.NO_REPLY_EXPECTED
        await self._connection.send(call)

    async def cancel(self) -> None:
        """Discard the session."""
        await self._call("CancelDictation", activate=False)

    async def toggle(self, options: Options | None = None) -> bool:
        """Start a session with the contract's options or stop it, and return whether one is listening now.

        Activates the daemon if activation is set up.
        """
        if not options:
            return bool(await self._call("ToggleDictation"))
        return bool(await self._call("ToggleDictationWithOptions", "a{sv}", options_body(options)))

    async def session_options(self, session: int) -> dict[str, Any]:
        """Return the options of the active session by the keys of the contract."""
        found = await self._call("GetSessionOptions", "u", session, activate=False)
        return {key: value.value for key, value in found.items()}

    async def listening(self) -> int:
        """Return the number of the listening session; 0 if there is none or the daemon is not running.

        Does not start the daemon.
        """
        if not await self._connection.ask_bus("NameHasOwner", "s", BUS_NAME):
            return 0
        dictation = await self._properties(DICTATION)
        return int(dictation["Session"]) if dictation["State"] == LISTENING else 0

    async def notify(self, title: str, body: str, replaces: int = 0) -> int:
        """Show a desktop notification and return its number; 0 if the desktop shows none."""
        return await show(self._connection, title, body, replaces)

    async def retry_last(self, options: Options | None = None) -> str:
        """Recognize the last utterance again, with the contract's options of a retry, and return its text."""
        if not options:
            return str(await self._call("RetryLast", activate=False))
        return str(await self._call("RetryLastWithOptions", "a{sv}", options_body(options), activate=False))

    async def retry_last_with_details(self, options: Options) -> tuple[str, dict[str, Any]]:
        """Do the same, and return the details too: `confidence`, `provider`, and `alternatives` if there are any.

        The options may have `alternatives`.
        """
        text, found = await self._call_for_all("RetryLastWithDetails", "a{sv}", options_body(options), activate=False)
        details = {key: value.value for key, value in found.items()}
        return str(text), details | {"alternatives": alternatives_of(details.get("alternatives", ()))}

    async def reload(self) -> None:
        """Reload the settings and the model."""
        await self._call("Reload", interface=ENGINE, activate=False)

    async def set_provider(self, provider: str) -> None:
        """Recognize on another execution provider."""
        await self._call("SetProvider", "s", provider, interface=ENGINE, activate=False)

    async def metrics(self) -> dict[str, Any]:
        """Return the result of GetMetrics as plain values, each stage with `count`, `p50`, `p95` and `p99`.

        Does not start the daemon.
        """
        found = await self._figures()
        keys = ("count", "p50", "p95", "p99")

        def named(stages: dict[str, list[float]]) -> dict[str, dict[str, float]]:
            return {stage: dict(zip(keys, figures, strict=True)) for stage, figures in stages.items()}

        by_provider = found.get("stages-by-provider", {})  # older daemons have none
        return found | {
            "stages": named(found["stages"]),
            "stages-by-provider": {provider: named(stages) for provider, stages in by_provider.items()},
        }

    async def counters(self, names: Iterable[str]) -> dict[str, int]:
        """Return counters of GetMetrics by their names, without those that an older daemon lacks."""
        found = await self._figures()
        return {name: found[name] for name in names if name in found}

    async def transcribe_file(self, descriptor: int, *, words: bool, channel: str = "auto", language: str = "") -> int:
        """Start to transcribe an open file and return the job's number. Activates the daemon.

        Call `subscribe` first to receive the job's events.
        """
        options = {"words": Variant("b", True)} if words else {}
        if channel != "auto":  # older daemons lack this option, so its default is omitted
            options["channel"] = Variant("s", channel)
        if language:
            options["language"] = Variant("s", language)
        return int(await self._call("TranscribeFile", "ha{sv}", 0, options, descriptors=(descriptor,)))

    async def cancel_file(self, job: int) -> None:
        """Cancel a file job."""
        await self._call("CancelFile", "u", job, activate=False)

    async def status(self) -> dict[str, Any]:
        """Return all properties of Dictation1 and Engine1 by their names in the contract. Does not start the daemon."""
        return await self._properties(DICTATION) | await self._properties(ENGINE)

    async def microphone(self) -> dict[str, Any]:
        """Return all properties of Microphone1 by their names in the contract. Does not start the daemon."""
        return await self._properties(MICROPHONE)

    async def select_device(self, name: str) -> None:
        """Use another microphone, and wait until it is in use. Does not start the daemon."""
        await self._call("SelectDevice", "s", name, interface=MICROPHONE, activate=False)

    async def subscribe(self, *, sessions: bool = True, partials: bool = False) -> bool:
        """Queue events for `next_event` from now on, and return whether the daemon is running.

        File events are those of this client's jobs. If `sessions` is false, only these are queued. `partial-transcribed` is
        queued only with `partials`.
        """
        self._watching = asyncio.ensure_future(self._watch_bus())
        signals = self._connection.signals
        self._daemon = await signals.follow(BUS_NAME, self._owner_changed)
        for member in (name for name in EVENTS if partials or name != PARTIAL):
            source = Source(BUS_NAME, DICTATION, member, OBJECT_PATH)
            await signals.subscribe(source, self._note, broadcast=sessions)
        return bool(self._daemon)

    async def next_event(self) -> Event:
        """Wait for the next event. Raises BusUnavailable when the connection to the bus is lost."""
        while not self._events:
            self._has_events.clear()
            await self._has_events.wait()
        event = self._events.popleft()
        if isinstance(event, errors.BusUnavailable):
            raise event
        return event

    def queued_events(self) -> tuple[Event, ...]:
        """Return the events that `next_event` will return, as far as they have arrived."""
        return tuple(event for event in self._events if isinstance(event, Event))

    def forget_events(self) -> None:
        """Drop the queued events. Raises BusUnavailable if the connection to the bus was lost."""
        while self._events:
            event = self._events.popleft()
            if isinstance(event, errors.BusUnavailable):
                self._queue(event)
                raise event

    def interrupt(self) -> None:
        """Append an event `interrupted` to the queue."""
        self._queue(Event("interrupted", {}))

    async def _private_session(self) -> int:
        """Return the number of the active session if it is private to another client; otherwise, or if unknown, 0."""
        try:
            session = int((await self._properties(DICTATION))["Session"])
            if session:
                await self.session_options(session)
        except errors.NotOwner:
            return session
        except errors.ColdvoxError:  # it has just ended, or the daemon is of an earlier version
            return 0
        return 0

    def _queue(self, event: Event | errors.BusUnavailable) -> None:
        self._events.append(event)
        self._has_events.set()

    async def _figures(self) -> dict[str, Any]:
        found = await self._call("GetMetrics", interface=ENGINE, activate=False)
        return {key: value.value for key, value in found.items()}

    async def _properties(self, interface: str) -> dict[str, Any]:
        values = await self._call("GetAll", "s", interface, interface=PROPERTIES, activate=False)
        return {name: value.value for name, value in values.items()}

    async def _watch_bus(self) -> None:
        try:
            await self._connection.wait_until_lost()
        except errors.BusUnavailable as error:
            self._queue(error)

    async def _close(self) -> None:
        await self._connection.aclose()
        if self._watching is not None:
            await self._watching

    def _owner_changed(self, before: str, after: str) -> None:
        self._daemon = after
        self._last_stopped = 0
        if before:
            self._queue(Event("daemon-disconnected", {}))
        if after:
            self._queue(Event("daemon-connected", {}))

    def _note(self, message: Message) -> None:
        event = event_of(message)
        if event.name == "stopped":
            if event.session == self._last_stopped:
                return  # the broadcast, after the signal to us as the owner of a private session
            self._last_stopped = event.session
        elif event.name == "transcribed":
            pair = (event.session, int(event.fields["utterance"]))
            if pair in self._transcribed:
                return
            self._transcribed.append(pair)
        self._queue(event)

    async def _call(
        self,
        member: str,
        signature: str = "",
        *body: object,
        interface: str = DICTATION,
        activate: bool = True,
        descriptors: Sequence[int] = (),
    ) -> Any:
        """Call the daemon, and return the first value of its reply, or None. Raises ColdvoxError."""
        values = await self._call_for_all(
            member, signature, *body, interface=interface, activate=activate, descriptors=descriptors
        )
        return values[0] if values else None

    async def _call_for_all(
        self,
        member: str,
        signature: str = "",
        *body: object,
        interface: str = DICTATION,
        activate: bool = True,
        descriptors: Sequence[int] = (),
    ) -> list[Any]:
        check_text(body)
        call = _call_of(member, signature, *body, interface=interface, activate=activate)
        call.unix_fds = list(descriptors)
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._connection.ask_all(call)
        except DBusError as error:
            raise translated(error) from error
        except TimeoutError as error:
            raise errors.DaemonSilent(
                f"coldvoxd did not answer within {self._limit_s:g} s: restart it (`systemctl --user restart coldvoxd`)."
            ) from error


def _call_of(member: str, signature: str = "", *body: object, interface: str = DICTATION, activate: bool) -> Message:
    return Message(
        destination=BUS_NAME,
        path=OBJECT_PATH,
        interface=interface,
        member=member,
        signature=signature,
        body=list(body),
        flags=MessageFlag.NONE if activate else MessageFlag.NO_AUTOSTART,
    )
