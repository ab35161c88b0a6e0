"""Sends the signals of the contract and property changes to the daemon's clients."""

import time
from collections.abc import Callable
from typing import Any

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.file_calls import outcome_body
from coldvoxd.bus.interface_xml import DICTATION, ENGINE, OBJECT_PATH, PROPERTIES, signature_of
from coldvoxd.bus.library import Message, Variant
from coldvoxd.bus.peers.notifications import notification
from coldvoxd.bus.properties import Properties
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.bus.word_details import alternatives_body, words_body
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.failover_notice import Notice
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.metrics import Metrics, Stage
from coldvoxd.core.values import StopReason, Transcript

LEVEL_INTERVAL_S = 1 / 15
LEVEL_BACKLOG = 32
"""Number of messages waiting for the bus above which levels and words so far are dropped: late ones are worthless."""


class Observer:
    """A part that is notified of the daemon's announcements. The methods of this class do nothing."""

    def state_changed(self) -> None:
        """A value that clients can read may have changed."""

    def session_started(self, session: int) -> None:
        """DictationStarted was sent."""

    def session_ended(self, session: int) -> None:
        """DictationStopped is about to be sent."""

    def file_ended(self, job: int) -> None:
        """No further signals will be sent about a file job."""


class BusAnnouncer:
    """Sends signals. Implements Announcer and FileAnnouncer. Event loop only; never raises, never blocks.

    Sends nothing before `begin`, because no client can expect signals until the daemon owns its name. Observers are
    always called.
    """

    def __init__(self, connection: Connection, metrics: Metrics) -> None:
        """`metrics` records how long the bus takes to accept a text."""
        self._connection = connection
        self._metrics = metrics
        self._observers: list[Observer] = []
        self._level_sent_s = float("-inf")
        self.begun = False
        """Whether `begin` was called."""

    def begin(self) -> None:
        """Send signals from now on. Later calls have no effect."""
        self.begun = True

    def observe(self, observer: Observer) -> None:
        """Call the methods of `observer` from now on, after those of earlier observers."""
        self._observers.append(observer)

    # Implements Announcer.

    def dictation_started(self, session: int) -> None:
        self._send(DICTATION, "DictationStarted", session)
        for observer in self._observers:
            observer.session_started(session)

    def dictation_stopped(self, session: int, reason: StopReason, transcript: str, to: str | None) -> None:
        """Send the text of a private session to its owner first; then notify all clients that the session ended."""
        for observer in self._observers:
            observer.session_ended(session)
        text = bus_text(transcript)
        if to is not None:
            self._send(DICTATION, "DictationStopped", session, reason.value, text, to=to)
            text = ""
        self._send(DICTATION, "DictationStopped", session, reason.value, text)

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None:
        if not self._sending:
            return
        began_s = time.monotonic()
        text, details = bus_text(transcript.text), _details(transcript, with_words)
        self._send(DICTATION, "Transcribed", transcript.session_id, transcript.utterance_id, text, details, to=to)
        self._connection.when_sent(lambda: self._metrics.took(Stage.DELIVERY, time.monotonic() - began_s))

    def partial_transcribed(self, session: int, utterance: int, stable: str, unstable: str, to: str | None) -> None:
        """Send the words so far, none while messages pile up; always send that there are none."""
        if (stable or unstable) and self._connection.backlog > LEVEL_BACKLOG:
            return
        self._send(DICTATION, "PartialTranscribed", session, utterance, bus_text(stable), bus_text(unstable), to=to)

    def sentence_closed(self, session: int, utterance: int, to: str | None) -> None:
        self._send(DICTATION, "SentenceClosed", session, utterance, to=to)

    def speech_started(self, session: int) -> None:
        self._send(DICTATION, "SpeechStarted", session)

    def speech_ended(self, session: int) -> None:
        self._send(DICTATION, "SpeechEnded", session)

    def level(self, dbfs: float) -> None:
        """Send at most 15 levels per second, and none while messages pile up."""
        now_s = time.monotonic()
        if now_s - self._level_sent_s < LEVEL_INTERVAL_S or self._connection.backlog > LEVEL_BACKLOG:
            return
        self._level_sent_s = now_s
        self._send(DICTATION, "Level", float(dbfs))

    def state_changed(self) -> None:
        for observer in self._observers:
            observer.state_changed()

    def when_accepted(self, then: Callable[[], None]) -> None:
        if not self.begun:
            then()  # nothing was sent, so nothing has to be accepted
        elif self._connection.usable:
            self._connection.when_sent(then)

    # Implements FileAnnouncer.

    def file_progress(self, job: int, share: float, to: str) -> None:
        self._send(DICTATION, "FileProgress", job, float(share), to=to)

    def file_transcribed(self, job: int, outcome: FileTranscript | ColdvoxError, with_words: bool, to: str) -> None:
        self._send(DICTATION, "FileTranscribed", job, *outcome_body(outcome, with_words), to=to)

    def file_ended(self, job: int) -> None:
        for observer in self._observers:
            observer.file_ended(job)

    # In addition to the two protocols.

    def provider_changed(self, before: str, after: str, reason: str) -> None:
        """Publish that recognition moved from one execution provider to another."""
        self._send(ENGINE, "ProviderChanged", before, after, reason)

    def properties_changed(self, interface: str, values: dict[str, Any]) -> None:
        """Send PropertiesChanged with these values of an interface's properties."""
        variants = {name: Variant(signature_of(interface, name), value) for name, value in values.items()}
        self._send(PROPERTIES, "PropertiesChanged", interface, variants, [])

    def notify(self, notice: Notice) -> None:
        """Show a notification, if the desktop has a notification service."""
        if self._sending:
            self._connection.send(notification(notice.title, notice.body))

    @property
    def _sending(self) -> bool:
        return self.begun and self._connection.usable

    def _send(self, interface: str, member: str, *body: object, to: str | None = None) -> None:
        """Send a signal only to the client `to`, or to all clients if it is None."""
        if not self._sending:
            return
        message = Message.new_signal(OBJECT_PATH, interface, member, signature_of(interface, member), list(body))
        if to is not None:
            message.destination = to
        self._connection.send(message)


class PropertyChanges(Observer):
    """Publishes the properties whose values have changed since they were last published."""

    def __init__(self, announcer: BusAnnouncer, properties: Properties) -> None:
        self._announcer = announcer
        self._properties = properties
        self._published = properties.by_interface()

    def state_changed(self) -> None:
        if not self._announcer.begun:
            return
        before, self._published = self._published, self._properties.by_interface()
        for interface, values in self._published.items():
            if changed := {name: value for name, value in values.items() if value != before[interface][name]}:
                self._announcer.properties_changed(interface, changed)

    def session_started(self, session: int) -> None:  # noqa: ARG002 - Observer's
        """Repeat the problems, if there are any: a program that starts dictation shows them."""
        if (problems := self._properties.problems())["Problems"]:
            self._announcer.properties_changed(ENGINE, problems)


def _details(transcript: Transcript, with_words: bool) -> dict[str, Variant]:
    # the library rejects NumPy's float32, hence float().
    details = {
        "start": Variant("d", float(transcript.start_s)),
        "end": Variant("d", float(transcript.end_s)),
        "confidence": Variant("d", float(transcript.confidence)),
        "provider": Variant("s", transcript.provider),
        "latency": Variant("d", float(transcript.latency_s)),
        "retried": Variant("b", transcript.retried),
        "body": Variant("s", bus_text(transcript.seamed.body)),
        "pending": Variant("s", bus_text(transcript.seamed.pending)),
        "seam": Variant("s", transcript.seamed.seam),
    }
    if with_words:
        details["words"] = words_body(transcript.words)
    if transcript.alternatives:
        details["alternatives"] = alternatives_body(transcript.alternatives)
    return details
