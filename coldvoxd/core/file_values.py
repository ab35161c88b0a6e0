"""The values of a file's transcription, all frozen."""

from dataclasses import dataclass, field

from coldvoxd.core.channels import AUTO, Channel
from coldvoxd.core.values import Word

NO_SPEECH, NO_WORDS = "No speech was found.", "No words were recognized."
"""The warning of a file without text that is not damaged."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Options of one file's transcription."""

    words: bool = False
    """The text includes word timings."""
    channel: Channel = AUTO
    """Which of the file's channels to use."""
    language: str = ""
    """`auto` or a language's code; empty leaves it to the settings."""


@dataclass(frozen=True, slots=True)
class FileTranscript:
    """A file's text."""

    text: str = field(repr=False)
    words: tuple[Word, ...] = field(repr=False)
    """Times in seconds from the beginning of the file."""
    duration_s: float
    confidence: float
    """Geometric mean of the tokens' probabilities, 0..1; 0 if there is no text."""
    warnings: tuple[str, ...] = ()
    """Sentences, mostly with times: damage, a length other than in the header, speech that returned no words."""
