"""What the service answers when it is called; raised errors get their names in `replies`."""

import logging
from collections.abc import Mapping
from typing import Any

from dbus_next import Variant

from coldvoxd import __version__
from coldvoxd.bus.callers import Caller, Callers, current_caller
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.options import parse_options
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.ports import Controls
from coldvoxd.core.problems import by_severity
from coldvoxd.core.values import SessionOptions

logger = logging.getLogger(__name__)


class Calls:
    """Turns bus calls into calls of the DictationControl and the MicrophoneControl. Event loop only, inside the serving of a call."""

    def __init__(self, connection: Connection, controls: Controls) -> None:
        self._control = controls.dictation
        self._retry = controls.retry
        self._microphone = controls.microphone
        self._problem_sources = controls.problems
        self._callers = Callers(connection, self._caller_left)
        self._bound: dict[int, str] = {}
        """Unique name of the caller by the number of the session bound to it."""

    def start(self) -> int:
        caller = current_caller()
        return self._control.start(caller.name, SessionOptions(), caller.called_s)

    async def start_with_options(self, options: Mapping[str, Variant]) -> int:
        caller = current_caller()
        parsed = parse_options(options)
        if not parsed.bind_to_caller:
            return self._control.start(caller.name, parsed, caller.called_s)
        with self._control.start_pending():
            return await self._start_bound(caller, parsed)

    async def _start_bound(self, caller: Caller, parsed: SessionOptions) -> int:
        if not await self._callers.watch(caller.name):
            raise ColdvoxError("The caller has already left the bus: no session was started.")
        try:
            session = self._control.start(caller.name, parsed, caller.called_s)
        except BaseException:
            self._callers.unwatch(caller.name)
            raise
        if self._control.session == session:
            self._bound[session] = caller.name
        else:  # over before it was known
            self._callers.unwatch(caller.name)
        return session

    async def stop(self) -> str:
        caller = current_caller()
        return bus_text(await self._control.stop(caller.name, caller.called_s))

    async def cancel(self) -> None:
        await self._control.cancel(current_caller().name)

    def toggle(self) -> bool:
        caller = current_caller()
        return self._control.toggle(caller.name, caller.called_s)

    async def retry_last(self) -> str:
        return bus_text(await self._retry.retry_last(current_caller().name))

    def select_device(self, name: str) -> None:
        self._microphone.select(name)

    def dictation_properties(self) -> dict[str, Any]:
        """Values of Dictation1's properties, by name."""
        return {"State": self._control.state.value, "Session": self._control.session}

    def engine_properties(self) -> dict[str, Any]:
        """Values of Engine1's properties, by name."""
        engine = self._control.engine
        return {
            "Model": bus_text(engine.model),
            "Precision": engine.precision,
            "ExecutionProvider": engine.provider,
            "AvailableProviders": list(engine.available_providers),
            "UsableProviders": list(engine.usable_providers),
            **self.problems(),
            "Progress": engine.progress,
            "LastError": bus_text(engine.last_error),
            "Version": __version__,
        }

    def problems(self) -> dict[str, Any]:
        """The values of Engine1's properties Problems, every code that holds now, and Degraded, the first of them."""
        found = by_severity(problem for source in self._problem_sources for problem in source.problems)
        codes = [problem.value for problem in found]
        return {"Problems": codes, "Degraded": codes[0] if codes else ""}

    def microphone_properties(self) -> dict[str, Any]:
        """Values of Microphone1's properties, by name."""
        microphone = self._microphone
        return {
            "Device": bus_text(microphone.device),
            "Devices": [[bus_text(name), bus_text(description)] for name, description in microphone.devices],
            "Selection": bus_text(microphone.selection),
            "Open": microphone.device_open,
            "Policy": microphone.policy.value,
            "Muted": microphone.muted,
            "Problem": bus_text(microphone.problem or microphone.channel_problem),
        }

    def session_ended(self, session: int) -> None:
        """Its caller need not be watched any more."""
        if caller := self._bound.pop(session, None):
            self._callers.unwatch(caller)

    def _caller_left(self, name: str) -> None:
        if name in self._bound.values():
            logger.debug("caller %s of a bound session has left the bus", name)
            self._control.caller_left(name)
