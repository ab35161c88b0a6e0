"""What the endpointer reports of a stream of frames. Samples are numbers of the stream. Pure."""

from dataclasses import dataclass
from typing import Protocol

from coldvoxd.core.values import EndReason


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    sample: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    sample: int


@dataclass(frozen=True, slots=True)
class Paused:
    """If no more speech follows, the utterance will be [start_sample, end_sample)."""

    start_sample: int
    end_sample: int
    speech_samples: int
    overlap: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech continues: the last Paused is void."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The utterance [start_sample, end_sample) is complete."""

    start_sample: int
    end_sample: int
    reason: EndReason
    speech_samples: int = 0
    """Number of its samples that were speech."""
    overlap: tuple[int, int] = (0, 0)
    """Number of samples before it and behind it with which it is recognized."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An utterance was discarded because it held less than `min_speech_ms` of speech."""

    speech_samples: int


Effect = SpeechBegan | SpeechEnded | Paused | Resumed | Cut | Dropped


class Spanned(Protocol):
    """An utterance [start_sample, end_sample), and the number of samples before and behind it with which it is recognized."""

    @property
    def start_sample(self) -> int: ...
    @property
    def end_sample(self) -> int: ...
    @property
    def overlap(self) -> tuple[int, int]: ...


def audio_span(cut: Spanned) -> tuple[int, int]:
    """Return the first sample and the end of the audio with which an utterance is recognized."""
    lead, tail = cut.overlap
    return cut.start_sample - lead, cut.end_sample + tail
