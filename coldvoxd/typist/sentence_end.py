"""When the sentence of a dictated text is over, so that its final mark is due."""

from collections.abc import Iterable

from coldvoxd.bus.client_events import Event
from coldvoxd.core.values import StopReason
from coldvoxd.typist.dictated import Dictated

_DROPPING = {StopReason.CANCELLED, StopReason.CALLER_LEFT}
"""The user discarded the session, or the program that started it has ended."""


def ends_sentence(event: Event, session: int, utterance: int) -> bool:
    """Return whether this utterance ends its sentence, as of this event."""
    if event.session != session:
        return False
    return event.name == "stopped" or (event.name == "sentence-closed" and event.fields["utterance"] == utterance)


def drops_mark(event: Event) -> bool:
    """Return whether the mark of an ended sentence is not written."""
    return event.name == "stopped" and event.fields["reason"] in _DROPPING


def is_over(text: Dictated, queued: Iterable[Event]) -> bool:
    """Return whether the events that follow a text write its mark before another text of its session."""
    for event in queued:
        if event.session == text.session and event.name == "transcribed":
            return False
        if ends_sentence(event, *text.pair):
            return not drops_mark(event)
    return False
