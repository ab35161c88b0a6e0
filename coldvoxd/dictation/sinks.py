"""Sinks for the output of sessions: clients, journal, metrics and RetryLast."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from coldvoxd.core import endpointing
from coldvoxd.core.audio_values import Frame
from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.ports import Announcer, Journal
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import StopReason, Transcript, Utterance
from coldvoxd.dictation.last_utterance import LastUtterance
from coldvoxd.dictation.no_words_notice import Outcome


class NullAnnouncer:
    """An Announcer without clients, until the bus is connected."""

    def dictation_started(self, session: int) -> None: ...

    def dictation_stopped(self, session: int, reason: StopReason, transcript: str, to: str | None) -> None: ...

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None: ...

    def partial_transcribed(self, session: int, utterance: int, stable: str, unstable: str, to: str | None) -> None: ...

    def sentence_closed(self, session: int, utterance: int, to: str | None) -> None: ...

    def speech_started(self, session: int) -> None: ...

    def speech_ended(self, session: int) -> None: ...

    def level(self, dbfs: float) -> None: ...

    def state_changed(self) -> None: ...

    def when_accepted(self, then: Callable[[], None]) -> None:
        then()


class NullJournal:
    """A Journal that stores nothing: a crash loses the open utterance."""

    def begin(self, session: SpooledSession, state: EndpointState) -> None: ...

    def heard(self, session: int, event: endpointing.Event, frame: Frame | None) -> None: ...

    def forget(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None: ...

    def rewind(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None: ...

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None: ...

    def attempt(self, session: int, utterance: int) -> None: ...

    def survived(self, session: int, utterance: int) -> None: ...

    def pending_mark(self, session: int, utterance: int, mark: str) -> None: ...

    def settled(self, session: int, utterance: int) -> None: ...

    def end(self, session: int) -> None: ...


@dataclass(slots=True)
class Sinks:
    """Shared by all parts of dictation. Announcer and journal are replaced once the bus is connected."""

    last_utterance: LastUtterance
    on_outcome: Callable[[Outcome], None] = lambda _: None
    """Called with the outcome of each session that was not discarded and whose utterances all have a result."""
    announcer: Announcer = field(default_factory=NullAnnouncer)
    journal: Journal = field(default_factory=NullJournal)
    metrics: Metrics = field(default_factory=Metrics)
