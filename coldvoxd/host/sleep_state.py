"""Suspend: when devices are released before the machine suspends, and when the sleep inhibitor is released.

    AWAKE       normal operation; with logind, an inhibitor is held, so that a suspend is always announced
    SUSPENDING  the machine is about to suspend, and devices are being released
    SUSPENDED   the inhibitor is released; the machine is suspended, or will be in a moment

Theory of operation. A `delay` inhibitor makes logind announce a suspend (PrepareForSleep, true) and then wait until the
inhibitor is released, for at most 5 s. It cannot be taken after a suspend has started, so it is held from the start and
taken again after each suspend. A logind that exits during a suspend never announces the wake-up: its exit counts as one.

`step` is pure: an undefined event raises and changes nothing.
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
    """All devices are released, or the time limit has passed."""
    WOKEN = "Woken"
    """The machine woke up, or the suspend was cancelled."""


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
    """An event that is not defined in this phase."""


def step(phase: Phase, event: Event) -> tuple[Phase, tuple[Effect, ...]]:
    """The next phase and its effects. Raises UnexpectedEvent, and changes nothing, for an undefined event."""
    row = TABLE[phase].get(event)
    if row is None:
        raise UnexpectedEvent(f"{event} has no meaning while {phase}")
    return row
