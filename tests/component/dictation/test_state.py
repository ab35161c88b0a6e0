"""Which session is active, and what ends it."""

import pytest

from coldvoxd.core.errors import AlreadyActive, NoMicrophone, NotActive
from coldvoxd.core.values import StopReason
from coldvoxd.dictation.state import TABLE, DictationState, Effect, Event, Phase, UnexpectedEvent, step


def after(*events: Event) -> tuple[DictationState, tuple[Effect, ...]]:
    state = DictationState()
    effects: tuple[Effect, ...] = ()
    for event in events:
        state, effects = step(state, event)
    return state, effects


READY = Event.RECOVERED


def test_a_session_begins_drains_and_concludes() -> None:
    assert after(READY, Event.START)[1] == (Effect.BEGIN,)
    assert after(READY, Event.START, Event.STOP)[1] == (Effect.DRAIN,)
    state, effects = after(READY, Event.START, Event.STOP, Event.DRAINED)
    assert (state.phase, effects, state.reason) == (Phase.IDLE, (Effect.CONCLUDE,), StopReason.STOPPED)


def test_a_second_start_is_refused_and_changes_nothing() -> None:
    for before in ((READY, Event.START), (READY, Event.START, Event.CAPTURE_LOST), (READY, Event.START, Event.STOP)):
        state, _ = after(*before)
        with pytest.raises(AlreadyActive):
            step(state, Event.START)


def test_no_microphone_no_session() -> None:
    with pytest.raises(NoMicrophone, match="status"):
        after(Event.START)


def test_stop_and_cancel_without_a_session_are_not_active() -> None:
    for event in (Event.STOP, Event.CANCEL):
        for before in ((), (READY,)):
            with pytest.raises(NotActive):
                after(*before, event)


def test_a_lost_microphone_closes_the_utterance_and_may_come_back() -> None:
    state, effects = after(READY, Event.START, Event.CAPTURE_LOST)
    assert (state.phase, effects) == (Phase.BLIND, (Effect.CLOSE_UTTERANCE, Effect.AWAIT_CAPTURE))
    assert step(state, Event.RECOVERED)[0].phase is Phase.LISTENING


def test_a_microphone_that_stays_away_ends_the_session_with_its_text() -> None:
    state, effects = after(READY, Event.START, Event.CAPTURE_LOST, Event.BLIND_TOO_LONG)
    assert (state.phase, effects, state.reason) == (Phase.DRAINING, (Effect.DRAIN,), StopReason.MICROPHONE_LOST)
    assert step(state, Event.DRAINED)[0].phase is Phase.UNAVAILABLE


def test_cancel_and_a_caller_who_left_throw_away_in_every_active_phase() -> None:
    for before in ((Event.START,), (Event.START, Event.STOP), (Event.START, Event.CAPTURE_LOST)):
        for event, reason in ((Event.CANCEL, StopReason.CANCELLED), (Event.CALLER_LEFT, StopReason.CALLER_LEFT)):
            state, effects = after(READY, *before, event)
            assert effects == (Effect.DISCARD,)
            assert state.reason is reason
            assert not state.active


def test_a_session_begins_while_the_microphone_is_closed_by_policy_and_waits_for_it() -> None:
    state, effects = after(Event.RELEASED, Event.START)
    assert (state.phase, effects) == (Phase.BLIND, (Effect.BEGIN, Effect.AWAIT_CAPTURE))
    assert step(state, Event.RECOVERED)[0].phase is Phase.LISTENING
    state, effects = step(state, Event.BLIND_TOO_LONG)
    assert (effects, state.reason) == ((Effect.DRAIN,), StopReason.MICROPHONE_LOST)
    assert step(state, Event.DRAINED)[0].phase is Phase.RESTING


def test_a_microphone_that_rests_lets_the_next_session_begin_and_one_that_is_lost_does_not() -> None:
    finished = (READY, Event.START, Event.STOP)
    assert after(*finished, Event.RELEASED, Event.DRAINED)[0].phase is Phase.RESTING
    assert after(*finished, Event.CAPTURE_LOST, Event.DRAINED)[0].phase is Phase.UNAVAILABLE
    assert after(Event.RELEASED, Event.CAPTURE_LOST)[0].phase is Phase.UNAVAILABLE
    assert after(READY, Event.RELEASED, Event.RECOVERED)[0].phase is Phase.IDLE


def test_a_locked_screen_ends_a_session_with_its_text() -> None:
    for before in ((READY, Event.START), (Event.RELEASED, Event.START)):
        state, effects = after(*before, Event.SCREEN_LOCKED)
        assert (effects, state.reason) == ((Effect.DRAIN,), StopReason.SCREEN_LOCKED)


def test_a_sleep_of_the_machine_ends_a_session_with_its_text() -> None:
    for before in ((READY, Event.START), (Event.RELEASED, Event.START)):
        state, effects = after(*before, Event.SUSPENDING)
        assert (effects, state.reason) == ((Effect.DRAIN,), StopReason.SUSPENDING)
    state, effects = after(READY, Event.START, Event.STOP, Event.SUSPENDING)
    assert (effects, state.reason) == ((), StopReason.STOPPED)


def test_shutdown_has_a_row_in_every_phase() -> None:
    assert all(Event.SHUTDOWN in rows for rows in TABLE.values())


def test_capture_coming_and_going_has_a_row_in_every_phase() -> None:
    assert all({Event.CAPTURE_LOST, Event.RECOVERED, Event.RELEASED} <= set(rows) for rows in TABLE.values())


def test_an_event_without_a_row_raises() -> None:
    with pytest.raises(UnexpectedEvent):
        after(READY, Event.DRAINED)
