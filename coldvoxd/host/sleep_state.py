"""Sleeping: what is put away before the machine sleeps, and when the sleep that waits for it is let go on.

    AWAKE       all works; an inhibitor is held where there is a logind, so that no sleep begins unseen
    SUSPENDING  the machine is about to sleep, and what must not sleep open is being put away
    SUSPENDED   the inhibitor is let go; the machine sleeps, or does in a moment

Theory of operation. A `delay` inhibitor makes logind tell of a sleep (PrepareForSleep, true) and then wait until it is
let go, for five seconds at most. It can't be taken once a sleep has begun, so it is held from the start and taken again
after each. A logind that goes away while we sleep will never tell that the machine woke: who notices that is awake.

`step` is pure: an event with no row raises and changes nothing.
"""

from enum import StrEnum


class Phase(StrEnum):
    AWAKE = "AWAKE"
    SUSPENDING = "SUSPENDING"
    SUSPENDED = "SUSPENDED"


class Event(StrEnum):
    LOGIND_CAME = "LogindCame"
    LOGIND_LEFT = "LogindLeft"
    PREPARING = "Preparing"
    """The machine is about to sleep."""
    PUT_AWAY = "PutAway"
    """Everything is, or there is no more time for it."""
    WOKEN = "Woken"
    """The machine woke up, or does not sleep after all."""


class Effect(StrEnum):
    TAKE = "take an inhibitor"
    PUT_AWAY = "release all devices"
    LET_GO = "release the inhibitor"
    RESUME = "resume"


TABLE: dict[Phase, dict[Event, tuple[Phase, tuple[Effect, ...]]]] = {
    Phase.AWAKE: {
        Event.LOGIND_CAME: (Phase.AWAKE, (Effect.TAKE,)),
        Event.LOGIND_LEFT: (Phase.AWAKE, ()),
        Event.PREPARING: (Phase.SUSPENDING, (Effect.PUT_AWAY,)),
        Event.WOKEN: (Phase.AWAKE, (Effect.TAKE,)),
    },
    Phase.SUSPENDING: {
        Event.LOGIND_LEFT: (Phase.AWAKE, (Effect.RESUME,)),
        Event.PREPARING: (Phase.SUSPENDING, ()),
        Event.PUT_AWAY: (Phase.SUSPENDED, (Effect.LET_GO,)),
        Event.WOKEN: (Phase.AWAKE, (Effect.TAKE, Effect.RESUME)),
    },
    Phase.SUSPENDED: {
        Event.LOGIND_LEFT: (Phase.AWAKE, (Effect.RESUME,)),
        Event.PREPARING: (Phase.SUSPENDED, ()),
        Event.WOKEN: (Phase.AWAKE, (Effect.TAKE, Effect.RESUME)),
    },
}


class UnexpectedEvent(RuntimeError):
    """An event that has no row in this phase."""


def step(phase: Phase, event: Event) -> tuple[Phase, tuple[Effect, ...]]:
    """The next phase and what is to be done. Raises UnexpectedEvent, and changes nothing, where there is no row."""
    row = TABLE[phase].get(event)
    if row is None:
        raise UnexpectedEvent(f"{event} has no meaning while {phase}")
    return row
