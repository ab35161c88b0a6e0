"""State machine of dictation: which session runs, and what ends it. Knows sessions and capture, not the engine.

    UNAVAILABLE  no session, no microphone
    RESTING      no session, the microphone is closed by policy and opens for a session
    IDLE         no session
    LISTENING    a session runs and the microphone delivers
    BLIND        a session runs, the microphone is lost or still opening; the session waits ten seconds for it
    DRAINING     a session has stopped listening; its last texts are pending

`step` is pure: an event without a row raises the error for the caller and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from coldvoxd.core.errors import AlreadyActive, ColdvoxError, NoMicrophone, NotActive
from coldvoxd.core.values import StopReason

BLIND_LIMIT_S = 10.0
"""Seconds for which a session waits for a lost microphone."""


class Phase(StrEnum):
    UNAVAILABLE = "UNAVAILABLE"
    RESTING = "RESTING"
    IDLE = "IDLE"
    LISTENING = "LISTENING"
    BLIND = "BLIND"
    DRAINING = "DRAINING"


class Event(StrEnum):
    START = "Start"
    STOP = "Stop"
    CANCEL = "Cancel"
    CALLER_LEFT = "CallerLeft"
    ENDPOINT_OF_SINGLE = "SingleUtterance"
    TIME_UP = "TimeLimit"
    CAPTURE_LOST = "CaptureLost"
    RECOVERED = "Recovered"
    RELEASED = "Released"
    SCREEN_LOCKED = "ScreenLocked"
    SUSPENDING = "Suspending"
    BLIND_TOO_LONG = "StillBlind"
    DRAINED = "Drained"
    SHUTDOWN = "Shutdown"


class Effect(StrEnum):
    BEGIN = "start listening"
    CLOSE_UTTERANCE = "close the open utterance"
    AWAIT_CAPTURE = "wait 10 s for the microphone"
    DRAIN = "await the last texts"
    CONCLUDE = "return the transcript"
    DISCARD = "discard the session"


@dataclass(frozen=True, slots=True)
class DictationState:
    phase: Phase = Phase.UNAVAILABLE
    capture: bool = False
    """Whether the microphone delivers."""
    at_rest: bool = False
    """If the microphone does not deliver: whether it was closed by policy, so that a session can open it."""
    reason: StopReason | None = None
    """Why the session is ending, or why the last one ended."""

    @property
    def active(self) -> bool:
        """Whether a session runs."""
        return self.phase in {Phase.LISTENING, Phase.BLIND, Phase.DRAINING}


@dataclass(frozen=True, slots=True)
class Row:
    """Transition of an event in one phase."""

    to: Phase
    effects: tuple[Effect, ...] = ()
    reason: StopReason | None = None
    capture: bool | None = None
    at_rest: bool = False
    """If `capture` is set: whether the microphone was closed by policy."""


_LOST, _FOUND = False, True
_drain = (Effect.DRAIN,)


def _ends(reason: StopReason) -> Row:
    return Row(Phase.DRAINING, _drain, reason)


def _discards(reason: StopReason) -> Row:
    return Row(Phase.IDLE, (Effect.DISCARD,), reason)


_ENDINGS: Mapping[Event, Row] = {
    Event.STOP: _ends(StopReason.STOPPED),
    Event.ENDPOINT_OF_SINGLE: _ends(StopReason.SINGLE_UTTERANCE),
    Event.TIME_UP: _ends(StopReason.TIME_LIMIT),
    Event.SCREEN_LOCKED: _ends(StopReason.SCREEN_LOCKED),
    Event.SUSPENDING: _ends(StopReason.SUSPENDING),
    Event.SHUTDOWN: _ends(StopReason.SHUTDOWN),
    Event.CANCEL: _discards(StopReason.CANCELLED),
    Event.CALLER_LEFT: _discards(StopReason.CALLER_LEFT),
}
"""How a session ends, whether or not the microphone delivers."""

TABLE: dict[Phase, dict[Event, Row]] = {
    Phase.UNAVAILABLE: {
        Event.RECOVERED: Row(Phase.IDLE, capture=_FOUND),
        Event.CAPTURE_LOST: Row(Phase.UNAVAILABLE, capture=_LOST),
        Event.RELEASED: Row(Phase.RESTING, capture=_LOST, at_rest=True),
        Event.SHUTDOWN: Row(Phase.UNAVAILABLE),
    },
    Phase.RESTING: {
        Event.START: Row(Phase.BLIND, (Effect.BEGIN, Effect.AWAIT_CAPTURE)),
        Event.CAPTURE_LOST: Row(Phase.UNAVAILABLE, capture=_LOST),
        Event.RECOVERED: Row(Phase.IDLE, capture=_FOUND),
        Event.RELEASED: Row(Phase.RESTING, capture=_LOST, at_rest=True),
        Event.SHUTDOWN: Row(Phase.RESTING),
    },
    Phase.IDLE: {
        Event.START: Row(Phase.LISTENING, (Effect.BEGIN,)),
        Event.CAPTURE_LOST: Row(Phase.UNAVAILABLE, capture=_LOST),
        Event.RECOVERED: Row(Phase.IDLE, capture=_FOUND),
        Event.RELEASED: Row(Phase.RESTING, capture=_LOST, at_rest=True),
        Event.SHUTDOWN: Row(Phase.IDLE),
    },
    Phase.LISTENING: {
        **_ENDINGS,
        Event.CAPTURE_LOST: Row(Phase.BLIND, (Effect.CLOSE_UTTERANCE, Effect.AWAIT_CAPTURE), capture=_LOST),
        Event.RECOVERED: Row(Phase.LISTENING, capture=_FOUND),
        Event.RELEASED: Row(Phase.BLIND, (Effect.CLOSE_UTTERANCE, Effect.AWAIT_CAPTURE), capture=_LOST, at_rest=True),
    },
    Phase.BLIND: {
        Event.RECOVERED: Row(Phase.LISTENING, capture=_FOUND),
        Event.BLIND_TOO_LONG: _ends(StopReason.MICROPHONE_LOST),
        **_ENDINGS,
        Event.CAPTURE_LOST: Row(Phase.BLIND, capture=_LOST),
        Event.RELEASED: Row(Phase.BLIND, capture=_LOST, at_rest=True),
    },
    Phase.DRAINING: {
        Event.DRAINED: Row(Phase.IDLE, (Effect.CONCLUDE,)),
        Event.CANCEL: _discards(StopReason.CANCELLED),
        Event.CALLER_LEFT: _discards(StopReason.CALLER_LEFT),
        Event.CAPTURE_LOST: Row(Phase.DRAINING, (Effect.CLOSE_UTTERANCE,), capture=_LOST),
        Event.RECOVERED: Row(Phase.DRAINING, capture=_FOUND),
        Event.RELEASED: Row(Phase.DRAINING, (Effect.CLOSE_UTTERANCE,), capture=_LOST, at_rest=True),
        Event.SCREEN_LOCKED: Row(Phase.DRAINING),
        Event.SUSPENDING: Row(Phase.DRAINING),
        Event.SHUTDOWN: Row(Phase.DRAINING),
    },
}

_REFUSALS: dict[tuple[Phase, Event], ColdvoxError] = {
    (Phase.UNAVAILABLE, Event.START): NoMicrophone(
        "No microphone delivers audio. Plug one in or start the sound server; `coldvoxctl status` shows what was tried."
    ),
    (Phase.LISTENING, Event.START): AlreadyActive(
        "A dictation session is already active. Stop it with `coldvoxctl stop`, or discard it with `coldvoxctl cancel`."
    ),
    (Phase.DRAINING, Event.START): AlreadyActive(
        "The last session's text is still being recognized. Wait for it, or discard it with `coldvoxctl cancel`."
    ),
}
_REFUSALS[Phase.BLIND, Event.START] = _REFUSALS[Phase.LISTENING, Event.START]


class UnexpectedEvent(ColdvoxError, RuntimeError):
    """An event that has no row in the current phase; a programming error."""


def step(state: DictationState, event: Event) -> tuple[DictationState, tuple[Effect, ...]]:
    """Return the next state and its effects in order.

    Raises AlreadyActive, NotActive, NoMicrophone or UnexpectedEvent.
    """
    row = TABLE[state.phase].get(event)
    if row is None:
        if event in {Event.STOP, Event.CANCEL} and not state.active:
            raise NotActive("No dictation session is active. Start one with `coldvoxctl start`.")
        refusal = _REFUSALS.get((state.phase, event))
        if refusal is not None:
            raise type(refusal)(*refusal.args)
        raise UnexpectedEvent(f"{event} has no meaning while {state.phase}")
    capture, at_rest = (state.capture, state.at_rest) if row.capture is None else (row.capture, row.at_rest)
    to = row.to
    if to is Phase.IDLE and not capture:
        to = Phase.RESTING if at_rest else Phase.UNAVAILABLE
    return DictationState(to, capture, at_rest, row.reason or state.reason), row.effects
