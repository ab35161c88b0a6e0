"""Protocols of the daemon's parts whose methods and properties the bus service offers."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from coldvoxd.core.errors import NotReady
from coldvoxd.core.file_values import FileOptions
from coldvoxd.core.metrics import Figures
from coldvoxd.core.problems import Problem
from coldvoxd.core.values import EngineStatus, Hypothesis, SessionOptions, State


@dataclass(frozen=True, slots=True)
class MissingModel:
    """What the daemon reports about a model that cannot be loaded."""

    refusal: NotReady
    """The error for calls that need the model now."""
    last_error: str
    """For the property LastError, which must not change every second."""
    progress: float = -1.0
    """0..1 while the model is being downloaded, otherwise -1."""


class Policy(StrEnum):
    """When the microphone is open."""

    ALWAYS = "always"
    ON_DEMAND = "on-demand"
    """While a session records."""
    IDLE_RELEASE = "idle-release"
    """From the start of a session until some seconds after its end."""


class ProblemSource(Protocol):
    """A part of the daemon that detects problems. Event loop only.

    `Controls.problems` lists them all; the bus service merges and publishes their codes. A source that has changed
    notifies the service with `Announcer.state_changed`, or with the daemon's `on_change`.
    """

    @property
    def problems(self) -> Collection[Problem]:
        """The codes that hold now, in any order."""
        ...


class DictationControl(Protocol):
    """Dictation for bus clients. Event loop only. `caller` is a unique bus name such as `:1.42`."""

    @property
    def state(self) -> State: ...

    @property
    def session(self) -> int:
        """Number of the active session; 0 if there is none."""
        ...

    @property
    def engine(self) -> EngineStatus: ...

    @property
    def language(self) -> str:
        """Language of a session that starts now without an option for it: `auto` or a code."""
        ...

    def start(self, caller: str, options: SessionOptions, called_s: float) -> int:
        """Start a session as of the monotonic time at which the call arrived.

        Raises AlreadyActive, NotReady or NoMicrophone.
        """
        ...

    def start_pending(self) -> AbstractContextManager[None]:
        """Within the context, keep arriving audio for a session whose call waits before it reaches `start`."""
        ...

    async def stop(self, caller: str, called_s: float, session: int = 0) -> str:
        """End the session, wait for its text and return all of it. If `session` is given, end only that session.

        Raises NotActive, NotOwner, TextTimeout, RecognitionFailed.
        """
        ...

    async def cancel(self, caller: str) -> None:
        """End the session and discard it. Raises NotActive, NotOwner."""
        ...

    def toggle(self, caller: str, called_s: float, options: SessionOptions | None = None) -> bool:
        """Start a session with these options, or stop it without waiting for its text. Return whether one is listening.

        Raises AlreadyActive while the last session's text is still pending, NotOwner, NotReady, NoMicrophone.
        """
        ...

    def options_of(self, caller: str, session: int) -> SessionOptions:
        """Return the options with which the active session was started.

        Raises NotActive if it is not the active session, and NotOwner if its text is not for this caller.
        """
        ...

    def caller_left(self, caller: str) -> None:
        """A watched caller left the bus."""
        ...


class RetryControl(Protocol):
    """Recognition of the last utterance again. Event loop only."""

    async def retry_last(self, caller: str, utterance: int = 0, language: str = "") -> str:
        """Return the last utterance's text. If `utterance` is given, only if that is the last one's number.

        `language` is `auto` or a code; if it is empty, the language of its session applies.

        Raises NotActive, NotOwner, NotReady, TextTimeout, RecognitionFailed.
        """
        ...

    async def recognize_last(
        self, caller: str, utterance: int = 0, language: str = "", alternatives: int = 0
    ) -> Hypothesis:
        """Return the whole result of `retry_last`, with up to this many other texts. Raises the same errors."""
        ...


class MicrophoneControl(Protocol):
    """State and selection of the microphone for bus clients. Event loop only."""

    @property
    def device(self) -> str:
        """Name of the microphone that is or will be used, as users know it; empty if there is none."""
        ...

    @property
    def selection(self) -> str:
        """What was selected: `default` or a name."""
        ...

    @property
    def devices(self) -> tuple[tuple[str, str], ...]:
        """Name and description of each available microphone."""
        ...

    @property
    def device_open(self) -> bool: ...

    @property
    def policy(self) -> Policy:
        """The policy in force for the microphone in use."""
        ...

    @property
    def muted(self) -> bool: ...

    @property
    def problem(self) -> str:
        """Why no audio arrives although it should, as a sentence for the user; empty if there is no problem."""
        ...

    @property
    def channel_problem(self) -> str:
        """Why the channel of the settings is not used, as a sentence for the user; empty if there is no problem."""
        ...

    async def select(self, name: str) -> None:
        """Use another microphone: `default`, a name or part of one. Raises UnknownDevice.

        Returns once it is in use, is known not to work, or is closed by policy; after some seconds in any case.
        """
        ...


class FileControl(Protocol):
    """Transcription of files for bus clients. Event loop only."""

    async def transcribe(self, caller: str, descriptor: int, options: FileOptions) -> int:
        """Start to transcribe an open file and return the job's number. The callee closes the descriptor in any case.

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
    """Control of the engine for bus clients. Event loop only."""

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
    """The objects whose methods and properties the bus service offers."""

    dictation: DictationControl
    retry: RetryControl
    engine: EngineControl
    files: FileControl
    microphone: MicrophoneControl
    problems: tuple[ProblemSource, ...]
    """Each part of the daemon that has problem codes of its own."""
