"""Protocols through which dictation and file jobs publish results: the bus, and the journal that survives a crash."""

from collections.abc import Callable, Iterable
from typing import Protocol

from coldvoxd.core.audio_values import Frame
from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.endpointing import Event as EndpointEvent
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import StopReason, Transcript, Utterance


class Announcer(Protocol):
    """Publishes dictation's events to the clients. Event loop only; never raises, never blocks.

    `to` is the one client that may read the text of a private session, otherwise None.
    """

    def dictation_started(self, session: int) -> None: ...

    def dictation_stopped(self, session: int, reason: StopReason, transcript: str, to: str | None) -> None: ...

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None: ...

    def partial_transcribed(self, session: int, utterance: int, stable: str, unstable: str, to: str | None) -> None:
        """The words of an utterance so far; without any, what was published of it is void."""
        ...

    def sentence_closed(self, session: int, utterance: int, to: str | None) -> None:
        """The sentence that ends with this utterance is over: its pending mark is due."""
        ...

    def speech_started(self, session: int) -> None: ...

    def speech_ended(self, session: int) -> None: ...

    def level(self, dbfs: float) -> None: ...

    def state_changed(self) -> None:
        """Publish the properties that have changed, of any of the Controls."""
        ...

    def when_accepted(self, then: Callable[[], None]) -> None:
        """Call `then` once the bus has taken every byte that was published before; never if the bus disconnects."""
        ...


class FileAnnouncer(Protocol):
    """Publishes the events of file jobs, to the job's owner only. Event loop only; never raises, never blocks."""

    def file_progress(self, job: int, share: float, to: str) -> None: ...

    def file_transcribed(self, job: int, outcome: FileTranscript | ColdvoxError, with_words: bool, to: str) -> None: ...

    def file_ended(self, job: int) -> None:
        """The job has ended in any way; it has no further events."""
        ...


class Journal(Protocol):
    """Stores the audio of an active session so that it survives a crash. Event loop only; never raises.

    An utterance's audio is removed once the utterance is settled, a session's once the session ends. Unknown numbers
    are ignored.
    """

    def begin(self, session: SpooledSession, state: EndpointState) -> None:
        """A session starts. The journal knows on which bus."""
        ...

    def heard(self, session: int, event: EndpointEvent, frame: Frame | None) -> None:
        """The endpointer is about to process this event; `frame` is its frame, None for other events."""
        ...

    def forget(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        """Discard the audio since the last cut except `audio`, which is needed to continue from `state`."""
        ...

    def rewind(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        """No utterance is open, and the audio since `state` will be processed again, with other results.

        `audio` is the same as for `forget`.
        """
        ...

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None:
        """An utterance is complete. The endpointer continues from `state` and may still use `audio`."""
        ...

    def attempt(self, session: int, utterance: int) -> None:
        """The utterance's recognition is about to begin, possibly before it is cut."""
        ...

    def survived(self, session: int, utterance: int) -> None:
        """The speculative run was discarded; a later crash must not be blamed on it."""
        ...

    def pending_mark(self, session: int, utterance: int, mark: str) -> None:
        """The utterance's text, about to be published, lacks this final mark, which is due when its sentence is over."""
        ...

    def settled(self, session: int, utterance: int) -> None:
        """The utterance is finished: its text was accepted, or its lack of text was published."""
        ...

    def end(self, session: int) -> None:
        """The session is finished."""
        ...
