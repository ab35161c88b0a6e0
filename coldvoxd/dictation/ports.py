"""What dictation needs of the parts around it: the recognition engine and the capture."""

from typing import Protocol

from coldvoxd.core.values import EngineStatus, Hypothesis, Utterance


class RecognitionEngine(Protocol):
    """Recognizes utterances; keeps a model open. Event loop only."""

    @property
    def status(self) -> EngineStatus: ...

    @property
    def longest_s(self) -> float:
        """Greatest length of an utterance, in seconds, that is recognized in good time; infinity if it is unknown."""
        ...

    def check_ready(self) -> None:
        """Raise NotReady if no session can begin for lack of a model."""
        ...

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Recognize an utterance. Cancelling the call stops the recognition. Raises ColdvoxError."""
        ...


class Capture(Protocol):
    """Delivers the audio of the microphone. Event loop only."""

    def sample_at(self, monotonic_s: float) -> int:
        """The number of the sample that was spoken at a moment."""
        ...

    def catch_up(self) -> None:
        """Deliver everything that the microphone has captured so far, before returning."""
        ...
