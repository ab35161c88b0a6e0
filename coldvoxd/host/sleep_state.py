"""State machine of the machine's sleep: when to release the hardware, and when to allow the sleep.

    AWAKE       normal operation; an inhibitor is held if there is a logind, so that no sleep begins unnoticed
    SUSPENDING  the machine is about to sleep, and the hardware is being released
    SUSPENDED   the inhibitor is released; the machine sleeps, or will in a moment

Theory of operation. A `delay` inhibitor makes logind announce a sleep (PrepareForSleep, true) and then wait until the
inhibitor is released, for at most five seconds. It cannot be taken once a sleep has begun, so it is held from the start
and taken again after each sleep. A logind that disappears during the sleep never announces the wake, so its absence
counts as a wake.

`step` is pure: an event without a row raises and changes nothing.
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
    """logind announced a sleep."""
    PUT_AWAY = "PutAway"
    """The hardware is released, or the time limit for that is exceeded."""
    WOKEN = "Woken"
    """The machine has woken up, or the sleep was cancelled."""


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
    """An event without a row in this phase."""


def step(phase: Phase, event: Event) -> tuple[Phase, tuple[Effect, ...]]:
    """Return the next phase and the effects to carry out in order. Raises UnexpectedEvent if there is no row."""
    row = TABLE[phase].get(event)
    if row is None:
        raise UnexpectedEvent(f"{event} has no meaning while {phase}")
    return row
