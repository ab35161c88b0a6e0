"""The property State, derived from the session's phase, the engine and the machine's sleep."""

import pytest

from coldvoxd.core.values import EngineStatus, State
from coldvoxd.dictation.public_state import public_state
from coldvoxd.dictation.state import Phase

READY, LOADING, MISSING = EngineStatus(ready=True), EngineStatus(loading=True), EngineStatus()


@pytest.mark.parametrize(
    ("phase", "engine", "state"),
    [
        (Phase.IDLE, READY, State.IDLE),
        (Phase.RESTING, READY, State.IDLE),
        (Phase.UNAVAILABLE, READY, State.UNAVAILABLE),
        (Phase.IDLE, MISSING, State.UNAVAILABLE),
        (Phase.IDLE, LOADING, State.LOADING),
        (Phase.UNAVAILABLE, LOADING, State.LOADING),
        (Phase.LISTENING, LOADING, State.LISTENING),
        (Phase.BLIND, READY, State.LISTENING),
        (Phase.DRAINING, MISSING, State.TRANSCRIBING),
    ],
)
def test_a_session_counts_more_than_the_engine(phase: Phase, engine: EngineStatus, state: State) -> None:
    assert public_state(phase, engine, is_asleep=False) is state


@pytest.mark.parametrize("phase", Phase)
def test_the_sleep_of_the_machine_counts_more_than_anything(phase: Phase) -> None:
    assert public_state(phase, READY, is_asleep=True) is State.SUSPENDED
