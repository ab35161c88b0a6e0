"""Suspend and resume as sequences of events."""

import pytest

from coldvoxd.host.sleep_state import TABLE, Effect, Event, Phase, UnexpectedEvent, step


def after(*events: Event) -> tuple[Phase, list[Effect]]:
    """Return the final phase and all effects on the way."""
    phase, done = Phase.AWAKE, list[Effect]()
    for event in events:
        phase, effects = step(phase, event)
        done += effects
    return phase, done


def test_an_inhibitor_is_held_from_the_start() -> None:
    assert after(Event.LOGIND_CAME) == (Phase.AWAKE, [Effect.TAKE])


def test_a_sleep_waits_until_everything_is_put_away_and_all_is_taken_up_after_it() -> None:
    phase, done = after(Event.PREPARING, Event.PUT_AWAY)
    assert (phase, done) == (Phase.SUSPENDED, [Effect.PUT_AWAY, Effect.LET_GO])
    assert step(phase, Event.WOKEN) == (Phase.AWAKE, (Effect.TAKE, Effect.RESUME)), "the inhibitor first"


def test_a_sleep_that_is_called_off_lets_nothing_go() -> None:
    phase, done = after(Event.PREPARING, Event.WOKEN)
    assert (phase, done) == (Phase.AWAKE, [Effect.PUT_AWAY, Effect.TAKE, Effect.RESUME])


def test_a_sleep_that_is_told_twice_is_one() -> None:
    assert after(Event.PREPARING, Event.PREPARING, Event.PUT_AWAY, Event.PREPARING)[1] == [
        Effect.PUT_AWAY,
        Effect.LET_GO,
    ]


@pytest.mark.parametrize("before", [(Event.PREPARING,), (Event.PREPARING, Event.PUT_AWAY)])
def test_a_logind_that_goes_away_meanwhile_does_not_leave_us_asleep(before: tuple[Event, ...]) -> None:
    phase, done = after(*before, Event.LOGIND_LEFT, Event.LOGIND_CAME)
    assert phase is Phase.AWAKE
    assert done[-2:] == [Effect.RESUME, Effect.TAKE]


def test_a_logind_that_is_restarted_finds_the_old_inhibitor_until_it_has_a_new_one() -> None:
    assert after(Event.LOGIND_CAME, Event.LOGIND_LEFT, Event.LOGIND_CAME) == (Phase.AWAKE, [Effect.TAKE, Effect.TAKE])


def test_a_logind_that_comes_and_goes_has_a_row_wherever_it_can() -> None:
    assert all(Event.LOGIND_LEFT in rows for rows in TABLE.values())
    with pytest.raises(UnexpectedEvent):
        step(Phase.SUSPENDED, Event.LOGIND_CAME)
