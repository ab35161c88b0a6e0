"""Interfaces that dictation requires: the recognition engine and the capture."""

from typing import Protocol

from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.values import EngineStatus, Hypothesis, Utterance


class RecognitionEngine(Protocol):
    """Recognizes utterances, and keeps a model open. Event loop only."""

    @property
    def status(self) -> EngineStatus: ...

    @property
    def longest_s(self) -> float:
        """Maximum length in seconds of an utterance that is recognized quickly enough; infinity while unknown."""
        ...

    @property
    def seam_method(self) -> SeamMethod:
        """The method that suits the model, for the setting `auto`."""
        ...

    def check_ready(self) -> None:
        """Raise NotReady if no session can start for lack of a model."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing is being recognized and no model is being replaced."""
        ...

    async def recognize_partial(self, utterance: Utterance) -> Hypothesis | None:
        """Recognize an utterance as far as it has been spoken; None if something else is recognized.

        Stops when cancelled, and when another recognition begins. Raises ColdvoxError.
        """
        ...

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Recognize an utterance. Cancelling the call stops the recognition. Raises ColdvoxError."""
        ...


class Capture(Protocol):
    """Delivers the audio of the microphone. Event loop only."""

    def sample_at(self, monotonic_s: float) -> int:
        """Return the number of the sample that was spoken at this monotonic time, by the latency that the driver reports."""
        ...

    def captured_at(self, monotonic_s: float) -> int:
        """Return the number of the sample that was captured at this monotonic time, as exactly as it can be measured."""
        ...

    def catch_up(self) -> None:
        """Deliver all audio that the microphone has captured so far, before returning."""
        ...
