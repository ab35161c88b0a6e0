"""The seams of coldvoxd: what each part expects of the others."""

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.endpointing import Event as EndpointEvent
from coldvoxd.core.errors import ColdvoxError, NotReady
from coldvoxd.core.metrics import Figures
from coldvoxd.core.microphone_rules import Policy
from coldvoxd.core.problems import Problem
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import (
    Chunk,
    EngineStatus,
    FileOptions,
    FileTranscript,
    Frame,
    Hypothesis,
    Precision,
    SessionOptions,
    State,
    StopReason,
    Transcript,
    Utterance,
)


class Recognizer(Protocol):
    """Turns an utterance into text."""

    @property
    def provider(self) -> str:
        """First active execution provider of the encoder's session."""
        ...

    @property
    def precision(self) -> Precision:
        """Of its weights."""
        ...

    @property
    def features_size(self) -> int:
        """Mel bins that it takes."""
        ...

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        """Transcribe, or raise ProviderFault or InputFault. Blocks; one thread at a time.

        Raises Stopped soon after `stop` is asked, on whatever thread; the next utterance is none the worse for it.
        """
        ...

    def close(self) -> None: ...


class SpeechDetector(Protocol):
    """Scores consecutive frames; has memory."""

    def score(self, samples: npt.NDArray[np.int16]) -> float:
        """Speech probability 0..1 of int16 (512,). About 150 us; called on the event loop."""
        ...

    def follow_level(self, follow: bool) -> None:
        """Whether the detector adapts to the level of speech from the next frame on. A change forgets the level; repeats have no effect.

        On from construction. Off, a frame's probability depends on its own level alone and not on that of earlier speech.
        """
        ...

    def reset(self) -> None:
        """Forget what was heard, its level included: at the start of a stream, after a gap, on a change of device or channel."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedMicrophone:
    """What was opened."""

    name: str
    """As people know it."""
    latency_s: float
    """Age of a sample when it arrives, as the driver says."""
    channels: int = 1
    """Of the microphone, all of which are delivered."""


class Microphone(Protocol):
    """A source of 16 kHz audio, of one channel or several. All methods block and are called on one thread, the device lane."""

    def open(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        """Begin to deliver chunks, on any thread, or raise CaptureFault."""
        ...

    def is_delivering(self) -> bool:
        """False once the stream is known to have ended. May say True of a stream that stands still."""
        ...

    def close(self) -> None:
        """Stop; never raises. Nothing is delivered after it returns."""
        ...


@dataclass(frozen=True, slots=True)
class MissingModel:
    """What a person is told of a model that can't be loaded."""

    refusal: NotReady
    """For callers that need it now."""
    last_error: str
    """For the property LastError; without figures that change every second."""
    progress: float = -1.0
    """0..1 while it is being fetched, otherwise -1."""


class ProblemSource(Protocol):
    """A part of the daemon that knows what is wrong with its subject. Event loop only.

    `Controls.problems` lists them all; the bus service merges and publishes their codes. A source that has changed
    notifies the service with `Announcer.state_changed`, or with the daemon's `on_change`.
    """

    @property
    def problems(self) -> Collection[Problem]:
        """The codes that hold now, in any order."""
        ...


class DictationControl(Protocol):
    """What bus clients may ask for. Event loop only. `caller` is a unique bus name such as `:1.42`."""

    @property
    def state(self) -> State: ...

    @property
    def session(self) -> int:
        """Number of the active session, 0 where none."""
        ...

    @property
    def engine(self) -> EngineStatus: ...

    def start(self, caller: str, options: SessionOptions, called_s: float) -> int:
        """Begin a session as of the monotonic time at which the call arrived.

        Raises AlreadyActive, NotReady or NoMicrophone.
        """
        ...

    def start_pending(self) -> AbstractContextManager[None]:
        """To be held around a wait between the arrival of a call of `start` and `start`: keeps what is heard meanwhile."""
        ...

    async def stop(self, caller: str, called_s: float) -> str:
        """Finish, wait for the text, return all of it. Raises NotActive, NotOwner, TextTimeout, RecognitionFailed."""
        ...

    async def cancel(self, caller: str) -> None:
        """Throw the session away. Raises NotActive, NotOwner."""
        ...

    def toggle(self, caller: str, called_s: float) -> bool:
        """Start or begin to stop, without waiting for the text; whether a session listens now.

        Raises AlreadyActive while the last session's text is still pending, NotOwner, NotReady, NoMicrophone.
        """
        ...

    async def retry_last(self, caller: str) -> str:
        """Recognize the last utterance again; its text. Raises NotActive, NotOwner, NotReady, TextTimeout, RecognitionFailed."""
        ...

    def caller_left(self, caller: str) -> None:
        """A watched caller left the bus."""
        ...


class MicrophoneControl(Protocol):
    """What bus clients may know of the microphone, and choose. Event loop only."""

    @property
    def device(self) -> str:
        """The microphone in use, or the one to be used, as people know it; empty where there is none."""
        ...

    @property
    def selection(self) -> str:
        """What was chosen: `default` or a name."""
        ...

    @property
    def devices(self) -> tuple[tuple[str, str], ...]:
        """Name and description of each microphone there is."""
        ...

    @property
    def device_open(self) -> bool: ...

    @property
    def policy(self) -> Policy:
        """The one in force for the microphone in use."""
        ...

    @property
    def muted(self) -> bool: ...

    @property
    def problem(self) -> str:
        """Why nothing can be heard although it should be, for people; empty where all is well."""
        ...

    @property
    def channel_problem(self) -> str:
        """Why another channel is heard than the settings ask for, for people; empty where all is well."""
        ...

    def select(self, name: str) -> None:
        """Use another microphone from now on: `default`, a name or part of one. Raises UnknownDevice."""
        ...


class FileControl(Protocol):
    """Files that bus clients have transcribed. Event loop only."""

    async def transcribe(self, caller: str, descriptor: int, options: FileOptions) -> int:
        """Begin to transcribe an open file; the job's number. The descriptor is the callee's to close, whatever comes.

        Raises InvalidOption, AlreadyActive or NotReady.
        """
        ...

    def cancel(self, caller: str, job: int) -> None:
        """End a job. Raises NotActive, NotOwner."""
        ...

    def caller_left(self, caller: str) -> None:
        """End all jobs of a caller that left the bus."""
        ...


class EngineControl(Protocol):
    """What bus clients may ask of the engine. Event loop only."""

    @property
    def awaiting_restart(self) -> tuple[str, ...]:
        """Names of the settings whose value in the file waits for a restart of the daemon."""
        ...

    async def reload(self) -> None:
        """Read the settings and load the model again. Raises InvalidOption, NotReady, LoadTimeout, ColdvoxError."""
        ...

    async def set_provider(self, provider: str) -> None:
        """Recognize on another execution provider. Raises InvalidOption, NotReady, LoadTimeout, ProviderUnavailable."""
        ...

    def figures(self) -> Figures: ...


@dataclass(frozen=True, slots=True)
class Controls:
    """All that the bus service makes calls of."""

    dictation: DictationControl
    engine: EngineControl
    files: FileControl
    microphone: MicrophoneControl
    problems: tuple[ProblemSource, ...]
    """Each part of the daemon that has problem codes of its own."""


class Announcer(Protocol):
    """What the daemon tells its clients. Event loop only; never raises, never blocks.

    `to` is the one client that may read the text of a private session, otherwise None.
    """

    def dictation_started(self, session: int) -> None: ...

    def dictation_stopped(self, session: int, reason: StopReason, transcript: str, to: str | None) -> None: ...

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None: ...

    def speech_started(self, session: int) -> None: ...

    def speech_ended(self, session: int) -> None: ...

    def level(self, dbfs: float) -> None: ...

    def state_changed(self) -> None:
        """Something of the DictationControl or the MicrophoneControl may have changed: publish what did."""
        ...

    def when_accepted(self, then: Callable[[], None]) -> None:
        """Call `then` once the bus has taken every byte of what was told so far; never, where the bus goes away."""
        ...


class Journal(Protocol):
    """Keeps what an active session hears where a crash doesn't reach it. Event loop only; never raises.

    What it keeps of an utterance goes when that is settled, all of a session when that ends; neither need be known.
    """

    def begin(self, session: SpooledSession, state: EndpointState) -> None:
        """A session begins; on which bus the journal knows itself."""
        ...

    def heard(self, session: int, event: EndpointEvent, frame: Frame | None) -> None:
        """The endpointer is about to be told this; with the frame where it is one."""
        ...

    def forget(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        """Of what was heard since the last cut only this audio is still needed to go on from that state."""
        ...

    def rewind(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        """No utterance is open, and what was heard since that state will be heard again, differently; audio as above."""
        ...

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None:
        """An utterance is complete; the endpointer goes on from that state, and may reach back into that audio."""
        ...

    def attempt(self, session: int, utterance: int) -> None:
        """Its recognition is about to begin; it need not be cut yet."""
        ...

    def survived(self, session: int, utterance: int) -> None:
        """The last attempt came to nothing since more was said; whatever ends the process now, it was not that."""
        ...

    def settled(self, session: int, utterance: int) -> None:
        """Nothing more is owed of it: its text was accepted, or that there is none was told."""
        ...

    def end(self, session: int) -> None:
        """Nothing more is owed of the session."""
        ...


class FileAnnouncer(Protocol):
    """What is told of files, each time to the job's owner alone. Event loop only; never raises, never blocks."""

    def file_progress(self, job: int, share: float, to: str) -> None: ...

    def file_transcribed(self, job: int, outcome: FileTranscript | ColdvoxError, with_words: bool, to: str) -> None: ...

    def file_ended(self, job: int) -> None:
        """However it ended; nothing more is told of it."""
        ...
