"""Holds the state of one supervisor and publishes its changes."""

from collections.abc import Callable
from dataclasses import replace

from coldvoxd.core.failover_state import FailoverState
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.recognition_state import RecognitionState


class StatePublisher:
    """The only writer of a supervisor's `RecognitionState`. Event loop only. Calls `on_change` after each change."""

    def __init__(self, state: RecognitionState, on_change: Callable[[], None]) -> None:
        self._state = self._reported = state
        self._on_change = on_change

    @property
    def state(self) -> RecognitionState:
        return self._state

    def stage_failover(self, failover: FailoverState) -> None:
        """Set the failover state, which is published with the next change of the engine's status as one change."""
        self._state = replace(self._state, failover=failover)

    def update(self, **changed: object) -> None:
        """Replace fields of the state, by name."""
        self._report(replace(self._state, **changed))  # type: ignore[arg-type] # fields by name

    def update_engine(self, **changed: object) -> None:
        """Replace fields of the engine's status, by name."""
        engine = replace(self._state.engine, **changed)  # type: ignore[arg-type] # fields by name
        self._report(replace(self._state, engine=engine))

    def note_usable(self, provider: str, *, usable: bool) -> None:
        """Record whether a provider that was tried is usable."""
        self._report(replace(self._state, engine=self._state.engine.found(short_name(provider), usable=usable)))

    def note_error(self, message: str) -> None:
        """Publish a message that contains no spoken text as LastError."""
        self.update_engine(last_error=message)

    def _report(self, state: RecognitionState) -> None:
        self._state = state
        if state != self._reported:
            self._reported = state
            self._on_change()
