"""Events of the daemon: its signals, as a client receives them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from coldvoxd.bus.client_errors import named
from coldvoxd.bus.library import Message
from coldvoxd.core import errors

PARTIAL = "PartialTranscribed"
"""A signal that is sent several times a second, and therefore received only if it is wanted."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the daemon, with values that JSON can represent."""

    name: str
    """`transcribed`, `partial-transcribed`, `started`, `stopped`, `sentence-closed`, `speech-started`, `speech-ended`, `file-progress`, `file-transcribed`,
    `daemon-disconnected`, `daemon-connected` or `interrupted`."""
    fields: Mapping[str, Any]
    """`session` or `job`, and the arguments of the contract's signal under the same names, details included."""

    @property
    def session(self) -> int:
        """The session's number; 0 if the event belongs to no session."""
        return int(self.fields.get("session", 0))

    @property
    def fault(self) -> errors.ColdvoxError | None:
        """The error of a file that could not be transcribed; None for any other event."""
        if "error" not in self.fields:
            return None
        return named(self.fields["error"], self.fields["message"])


EVENTS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Transcribed": ("transcribed", ("session", "utterance", "text")),
        PARTIAL: ("partial-transcribed", ("session", "utterance", "stable", "unstable")),
        "DictationStarted": ("started", ("session",)),
        "DictationStopped": ("stopped", ("session", "reason", "transcript")),
        "SentenceClosed": ("sentence-closed", ("session", "utterance")),
        "SpeechStarted": ("speech-started", ("session",)),
        "SpeechEnded": ("speech-ended", ("session",)),
        "FileProgress": ("file-progress", ("job", "share")),
        "FileTranscribed": ("file-transcribed", ("job", "text")),
    }
)
"""By signals: the name of the event, and the names of the arguments before the details."""


def alternatives_of(body: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """Return other texts, as the bus carries them, as values that JSON can represent."""
    return [{"text": text, "share": share} for text, share in body]


def event_of(message: Message) -> Event:
    """Return the event of a signal."""
    name, keys = EVENTS[message.member]
    fields = dict(zip(keys, message.body, strict=False))
    if message.member in {"Transcribed", "FileTranscribed"}:
        fields |= {key: value.value for key, value in message.body[-1].items()}
        if "words" in fields:
            keys = ("word", "start", "end", "confidence")
            fields["words"] = [dict(zip(keys, word, strict=True)) for word in fields["words"]]
        if "alternatives" in fields:
            fields["alternatives"] = alternatives_of(fields["alternatives"])
    return Event(name, fields)
