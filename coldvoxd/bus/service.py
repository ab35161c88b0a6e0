"""The service on the bus: its name, its life, and the signals it sends."""

import time
from collections.abc import Callable

from dbus_next import DBusError, NameFlag, RequestNameReply, Variant
from dbus_next.service import ServiceInterface

from coldvoxd.bus.calls import Calls
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.engine_calls import EngineCalls
from coldvoxd.bus.file_calls import FileCalls, outcome_body
from coldvoxd.bus.interface import Dictation1, Engine1, Microphone1
from coldvoxd.bus.interface_xml import BUS_NAME, OBJECT_PATH
from coldvoxd.bus.peers.notifications import notification
from coldvoxd.bus.peers.screen_lock import ScreenLock
from coldvoxd.bus.peers.user_units import Units
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.bus.word_details import words_body
from coldvoxd.core.errors import ColdvoxError, NameTaken
from coldvoxd.core.failover_notice import Notice
from coldvoxd.core.ports import Controls
from coldvoxd.core.values import FileTranscript, StopReason, Transcript

LEVEL_INTERVAL_S = 1 / 15
QUEUE_LIMIT_S = 2.0
"""One client's longest queue of calls is served in 1.3 s; see `quota`."""
QUESTIONS_OF_A_CALL = 2
"""What a call may have to ask the bus, one after the other, before it does anything: see Callers.watch."""
LEVEL_BACKLOG = 32
"""Messages waiting for the bus above which levels are left out: they are worth nothing late."""


class BusService:
    """org.coldvox.Daemon1; an Announcer and a FileAnnouncer. Event loop only.

    `connect`, then `own_name`; then `wait_for_disconnect` beside everything else, and `close` at the end.
    """

    def __init__(self, connection: Connection, controls: Controls) -> None:
        """For `connect`; exports the object."""
        self._connection = connection
        self._engine_control = controls.engine
        self._calls = Calls(connection, controls)
        self._file_calls = FileCalls(connection, controls.files)
        self._engine_calls = EngineCalls(controls.engine)
        self._dictation = Dictation1(self._calls, self._file_calls)
        self._engine = Engine1(self._calls, self._engine_calls)
        self._microphone = Microphone1(self._calls)
        self._published = self._properties()
        self._level_sent_s = float("-inf")
        connection.export(OBJECT_PATH, self._dictation)
        connection.export(OBJECT_PATH, self._engine)
        connection.export(OBJECT_PATH, self._microphone)

    @classmethod
    async def connect(cls, controls: Controls, address: str | None = None) -> "BusService":
        """Serve `controls` on the bus at `address`, by default the session bus, as yet without the name.

        Raises BusUnavailable.
        """
        return cls(await Connection.open(address), controls)

    async def check_name_free(self) -> None:
        """Raise NameTaken early, before a microphone is opened for nothing. `own_name` decides."""
        if await self._connection.ask_bus("NameHasOwner", "s", BUS_NAME):
            raise await self._name_taken()

    async def own_name(self) -> None:
        """Become org.coldvox.Daemon1, or raise NameTaken with who has it, or BusUnavailable."""
        reply = RequestNameReply(
            await self._connection.ask_bus("RequestName", "su", BUS_NAME, NameFlag.DO_NOT_QUEUE.value)
        )
        if reply not in (RequestNameReply.PRIMARY_OWNER, RequestNameReply.ALREADY_OWNER):
            raise await self._name_taken()
        self.state_changed()

    async def release_name(self) -> None:
        """Be org.coldvox.Daemon1 no more, and have taken in all calls that came to that name. Raises BusUnavailable.

        Where the bus can activate the daemon it holds later calls until somebody has the name again.
        """
        await self._connection.ask_bus("ReleaseName", "s", BUS_NAME)
        await self._connection.until_served(QUEUE_LIMIT_S)
        for _ in range(QUESTIONS_OF_A_CALL + 1):  # the bus answers in turn: a call that asks it something is through
            await self.bus_id()

    async def bus_id(self) -> str:
        """GUID of the bus: unique names mean something on this one only. Raises BusUnavailable."""
        return str(await self._connection.ask_bus("GetId"))

    async def is_connected(self, client: str) -> bool:
        """Whether the client of that unique name is on the bus. Raises BusUnavailable."""
        return bool(await self._connection.ask_bus("NameHasOwner", "s", client))

    async def watch_screen_lock(self, on_lock: Callable[[bool], None]) -> None:
        """Tell from now on, and now where it is so, that the screen is locked or unlocked. Raises BusUnavailable."""
        await ScreenLock(self._connection, on_lock).watch()

    def units(self) -> Units:
        """The user manager of systemd on the same bus."""
        return Units(self._connection)

    async def wait_for_disconnect(self) -> None:
        """Return once `close` was called; raise BusUnavailable when the bus goes away."""
        await self._connection.wait_until_lost()

    async def close(self) -> None:
        """Send what is still to be sent, give the name back and leave the bus. Never raises."""
        await self._connection.aclose()

    def dictation_started(self, session: int) -> None:
        if self._connection.usable:
            self._dictation.DictationStarted(session)
            if (problems := self._calls.problems())["Problems"]:
                self._engine.emit_properties_changed(problems)

    def dictation_stopped(self, session: int, reason: StopReason, transcript: str, to: str | None) -> None:
        """The text of a private session goes to its owner first, then everybody learns that it ended."""
        self._calls.session_ended(session)
        if not self._connection.usable:
            return
        text = bus_text(transcript)
        if to is not None:
            with self._connection.addressed_to(to):
                self._dictation.DictationStopped(session, reason.value, text)
            text = ""
        self._dictation.DictationStopped(session, reason.value, text)

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None:
        if not self._connection.usable:
            return
        began_s = time.monotonic()
        with self._connection.addressed_to(to):
            self._dictation.Transcribed(
                transcript.session_id,
                transcript.utterance_id,
                bus_text(transcript.text),
                _details(transcript, with_words),
            )
        self._connection.when_sent(lambda: self._engine_control.delivered(time.monotonic() - began_s))

    def file_progress(self, job: int, share: float, to: str) -> None:
        if self._connection.usable:
            with self._connection.addressed_to(to):
                self._dictation.FileProgress(job, float(share))

    def file_transcribed(self, job: int, outcome: FileTranscript | ColdvoxError, with_words: bool, to: str) -> None:
        if self._connection.usable:
            with self._connection.addressed_to(to):
                self._dictation.FileTranscribed(job, *outcome_body(outcome, with_words))

    def file_ended(self, job: int) -> None:
        self._file_calls.ended(job)

    def provider_changed(self, before: str, after: str, reason: str) -> None:
        """Recognition goes on elsewhere."""
        if self._connection.usable:
            self._engine.ProviderChanged(before, after, reason)

    def speech_started(self, session: int) -> None:
        if self._connection.usable:
            self._dictation.SpeechStarted(session)

    def speech_ended(self, session: int) -> None:
        if self._connection.usable:
            self._dictation.SpeechEnded(session)

    def level(self, dbfs: float) -> None:
        """At most 15 a second, and none while the bus is behind."""
        now_s = time.monotonic()
        if now_s - self._level_sent_s < LEVEL_INTERVAL_S or self._connection.backlog > LEVEL_BACKLOG:
            return
        self._level_sent_s = now_s
        if self._connection.usable:
            self._dictation.Level(float(dbfs))

    def notify(self, notice: Notice) -> None:
        """Show it on the desktop, where the desktop shows such things."""
        if self._connection.usable:
            self._connection.send(notification(notice.title, notice.body))

    def state_changed(self) -> None:
        """PropertiesChanged for what differs from what was last told."""
        properties = self._properties()
        told, self._published = self._published, properties
        if not self._connection.usable:
            return
        for interface, values in properties.items():
            if changed := {name: value for name, value in values.items() if value != told[interface][name]}:
                interface.emit_properties_changed(changed)

    def when_accepted(self, then: Callable[[], None]) -> None:
        if self._connection.usable:
            self._connection.when_sent(then)

    def _properties(self) -> dict[ServiceInterface, dict[str, object]]:
        return {
            self._dictation: self._calls.dictation_properties(),
            self._engine: self._calls.engine_properties() | self._engine_calls.properties(),
            self._microphone: self._calls.microphone_properties(),
        }

    async def _name_taken(self) -> NameTaken:
        return NameTaken(
            f"{BUS_NAME} is already owned by {await self._name_owner()}: another coldvoxd runs in this session. "
            "Stop it first (`systemctl --user stop coldvoxd`), or use it."
        )

    async def _name_owner(self) -> str:
        """Who has our name, for a person to read."""
        try:
            owner = await self._connection.ask_bus("GetNameOwner", "s", BUS_NAME)
            pid = await self._connection.ask_bus("GetConnectionUnixProcessID", "s", owner)
        except DBusError:
            return "a process that has just left the bus"
        return f"process {pid} ({owner})"


def _details(transcript: Transcript, with_words: bool) -> dict[str, Variant]:
    # float() since NumPy's float32 is none, and the library refuses it.
    details = {
        "start": Variant("d", float(transcript.start_s)),
        "end": Variant("d", float(transcript.end_s)),
        "confidence": Variant("d", float(transcript.confidence)),
        "provider": Variant("s", transcript.provider),
        "latency": Variant("d", float(transcript.latency_s)),
        "retried": Variant("b", transcript.retried),
    }
    if with_words:
        details["words"] = words_body(transcript.words)
    return details
