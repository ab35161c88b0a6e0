"""Protocols that engines, sound libraries and the voice activity detector implement."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.values import Hypothesis, Precision, Utterance


class Recognizer(Protocol):
    """Turns an utterance into text."""

    @property
    def provider(self) -> str:
        """First active execution provider of the encoder's session."""
        ...

    @property
    def precision(self) -> Precision:
        """The precision of the weights."""
        ...

    @property
    def features_size(self) -> int:
        """Number of mel bins that the model takes."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that an utterance may name; one for a model of a single language."""
        ...

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        """Transcribe, or raise ProviderFault or InputFault. Blocks; one thread at a time.

        Raises Stopped soon after `stop` is cancelled, which any thread may do; that does not affect the next utterance.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class BatchEncoder(Protocol):
    """A recognizer that can encode several utterances in one run."""

    def encode_ahead(
        self, utterances: tuple[Utterance, ...], stop: CancellationToken | None = None
    ) -> tuple[Utterance, ...]:
        """Return the utterances, with `encoded` where one run can serve them all; never with other tokens in fp32.

        Blocks; one thread at a time. Raises ProviderFault, InputFault and Stopped as `recognize` does.
        """
        ...


@runtime_checkable
class Searcher(Protocol):
    """A recognizer that may find other texts, as `Utterance.alternatives` asks for."""

    @property
    def has_alternatives(self) -> bool:
        """Whether its model has any."""
        ...


class SpeechDetector(Protocol):
    """Scores consecutive frames; a score depends on the previous frames."""

    def score(self, samples: npt.NDArray[np.int16]) -> float:
        """Return the speech probability, 0..1, of int16 (512,). Takes about 150 us; called on the event loop."""
        ...

    def follow_level(self, follow: bool) -> None:
        """Switch adaptation to the level of speech on or off from the next frame on. A change discards the level.

        On from construction; repeats have no effect. While it is off, a frame's probability depends only on its own
        level and not on that of earlier speech.
        """
        ...

    def reset(self) -> None:
        """Discard all state: at the start of a stream, after a gap, on a change of device or channel."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedMicrophone:
    """The microphone that was opened."""

    name: str
    """The name that users know."""
    latency_s: float
    """Age of a sample when it arrives, as the driver reports it."""
    channels: int = 1
    """Number of channels, all of which are delivered."""


class Microphone(Protocol):
    """A source of 16 kHz audio with one or more channels. All methods block and are called on one thread."""

    def open(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        """Start to deliver chunks, on any thread, or raise CaptureFault."""
        ...

    def open_beside(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        """Open what was selected, while the stream that delivers now continues until `close_former`.

        A stream that an earlier call opened, and that did not replace it yet, is closed. Raises CaptureFault if both
        cannot be open at once, or if the selected one cannot be opened; the stream that delivers is not affected.
        """
        ...

    def close_former(self) -> None:
        """Stop the stream that `open_beside` has replaced; no effect if there is none. Never raises."""
        ...

    def is_delivering(self) -> bool:
        """Return False once the newest stream is known to have ended. May return True for one that has stalled."""
        ...

    def wait_for_server(self) -> None:
        """Return once the sound server answers a request or has ended; immediately if there is no server. Never raises.

        Blocks for as long as the server is frozen.
        """
        ...

    def close(self) -> None:
        """Stop all streams; never raises. Nothing is delivered after it returns."""
        ...
