"""The daemon's state as clients read it, from the session's phase, the engine and the machine's sleep."""

from coldvoxd.core.values import EngineStatus, State
from coldvoxd.dictation.state import Phase


def public_state(phase: Phase, engine: EngineStatus, *, is_asleep: bool) -> State:
    """The value of the property State. A session that runs counts more than the engine, and the sleep more than both."""
    if is_asleep:
        return State.SUSPENDED
    match phase:
        case Phase.LISTENING | Phase.BLIND:
            return State.LISTENING
        case Phase.DRAINING:
            return State.TRANSCRIBING
    if engine.loading:
        return State.LOADING
    if phase is Phase.UNAVAILABLE or not engine.ready:
        return State.UNAVAILABLE
    return State.IDLE
