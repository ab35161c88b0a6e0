"""The daemon's state as clients read it, derived from the session's phase, the engine and suspend."""

from coldvoxd.core.values import EngineStatus, State
from coldvoxd.dictation.state import Phase


def public_state(phase: Phase, engine: EngineStatus, *, is_asleep: bool) -> State:
    """Return the value of the property State. Suspend takes precedence over a session, a session over the engine."""
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
