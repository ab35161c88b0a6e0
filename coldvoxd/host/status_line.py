"""The status line that `systemctl --user status` shows."""

from collections.abc import Callable
from typing import Protocol

from coldvoxd.bus.announcer import Observer
from coldvoxd.core.values import EngineStatus, State
from coldvoxd.host.systemd import Notifier


class MicrophoneState(Protocol):
    """State of the microphone that the line shows."""

    @property
    def closed(self) -> bool:
        """Whether the microphone is closed by policy."""
        ...

    @property
    def microphone(self) -> str:
        """Name of the open microphone, empty if none is open."""
        ...

    @property
    def reason(self) -> str:
        """Why no microphone is open, if that is a fault; otherwise empty."""
        ...


class StatusLine(Observer):
    """Sends the line to systemd whenever it has changed. Event loop only."""

    def __init__(
        self,
        notifier: Notifier,
        state: Callable[[], State],
        engine: Callable[[], EngineStatus],
        microphone: Callable[[], MicrophoneState],
    ) -> None:
        self._notifier = notifier
        self._state = state
        self._engine = engine
        self._microphone = microphone
        self._sent = ""

    def state_changed(self) -> None:
        line = status_line(self._state(), self._engine(), self._microphone())
        if line != self._sent:
            self._sent = line
            self._notifier.status(line)


def status_line(state: State, engine: EngineStatus, microphone: MicrophoneState) -> str:
    """Return the status line, which never contains spoken text."""
    if microphone.closed:
        source = "microphone closed"
    else:
        source = f"microphone {microphone.microphone}" if microphone.microphone else "no microphone"
    if microphone.reason:
        source += f" ({microphone.reason})"
    if engine.ready:
        model = f"{engine.model} {engine.precision} on {engine.provider.removesuffix('ExecutionProvider').lower()}"
    elif engine.loading:
        model = f"{engine.model} is being loaded"
    elif engine.progress >= 0:
        model = f"{engine.model} is being downloaded, {engine.progress:.0%}"
    else:
        model = f"no model: {engine.last_error}"
    return f"{state}; {source}; {model}"
