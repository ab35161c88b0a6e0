"""One dictation session, from StartDictation to its last text."""

import asyncio
from dataclasses import dataclass, field

from coldvoxd.core.audio_values import Gap
from coldvoxd.core.errors import RecognitionFailed
from coldvoxd.core.recipients import recipient_of
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.values import SessionOptions, StopReason
from coldvoxd.dictation.segmenter import Segmenter
from coldvoxd.dictation.stop import Stop


@dataclass(slots=True, eq=False)
class Results:
    """Results of recognition for a session, and the pending utterances."""

    text: SessionText
    failures: list[str] = field(default_factory=list)
    """Error messages of the utterances that could not be recognized."""
    pending: int = 0
    """Number of utterances that were sent to recognition and have no result yet."""
    backlog_s: float = 0.0
    """Total length of those utterances, in seconds."""


@dataclass(slots=True, eq=False)
class Session:
    """State of one session. Event loop only."""

    id: int
    caller: str
    options: SessionOptions
    called_s: float
    """Monotonic time of the call that started the session."""
    start_sample: int
    segmenter: Segmenter
    concluded: "asyncio.Future[str]"
    """The whole text, or the error for callers of StopDictation."""
    results: Results
    awaits_microphone: bool = False
    """Whether no audio is expected yet, because the microphone was closed by policy when the session started."""
    lost_samples: int = 0
    """Length of the audio that was lost in the session."""
    stop: Stop | None = None
    """The call that ends the session; None if there was none yet."""
    over: bool = False
    """Whether the session's end was published; later results are dropped."""
    discarded: bool = False
    """Whether the session was cancelled or its caller left, so that nothing of it is kept."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    blind_timer: asyncio.TimerHandle | None = None
    """Ends the session if the microphone does not come back."""

    @property
    def text_recipient(self) -> str | None:
        """The only client that may read its text; None if every client may."""
        return recipient_of(self.caller, self.options)

    @property
    def end_sample(self) -> int | None:
        """Sample at which the session stops listening after a stop, which speech may postpone; None without a stop."""
        return self.stop.end_sample(self.segmenter.endpoint.last_speech_sample) if self.stop is not None else None

    @property
    def is_heard_out(self) -> bool:
        """Whether the session was stopped and needs no more audio."""
        end_sample = self.end_sample
        return end_sample is not None and self.segmenter.fed_sample >= end_sample

    def note_gap(self, gap: Gap) -> None:
        """Record lost audio, as far as it belongs to the session."""
        if not self.awaits_microphone:
            self.lost_samples += max(0, gap.start_sample + gap.samples - max(gap.start_sample, self.start_sample))

    def note_end(self, *, is_heard: bool) -> None:
        """Record that the session has stopped listening. If the microphone is not heard, audio up to the end is missing."""
        end_sample = self.end_sample
        if not is_heard and end_sample is not None:
            self.lost_samples += max(0, end_sample - max(self.segmenter.fed_sample, self.start_sample))

    def close(self, *, discarded: bool) -> None:
        """Cancel the timers, stop listening and discard the texts."""
        for timer in self.timers:
            timer.cancel()
        self.segmenter.close()
        self.over = True
        self.discarded = discarded
        self.results.text.clear()

    def answer(self, reason: StopReason, transcript: str | None) -> None:
        """Answer the callers that await the text; `transcript` is None if the session was discarded."""
        if self.concluded.done():
            return
        failures = self.results.failures
        if transcript is None:
            self.concluded.set_exception(RecognitionFailed(f"Session {self.id} was discarded ({reason})."))
        elif failures:
            self.concluded.set_exception(
                RecognitionFailed(
                    f"{len(failures)} utterance(s) of session {self.id} could not be recognized: {failures[0]} "
                    "The texts of the others were sent as signals."
                )
            )
        else:
            self.concluded.set_result(transcript)
