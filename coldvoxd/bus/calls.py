"""Method calls of Dictation1 and Microphone1. `replies` maps raised errors to their names on the bus."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from coldvoxd.bus.callers import Caller, Callers, current_caller
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import Variant
from coldvoxd.bus.options import (
    DETAILED_RETRY_OPTION_TYPES,
    parse_options,
    parse_retry_options,
    parse_stop_options,
    session_options_body,
)
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.bus.word_details import retry_details
from coldvoxd.core import languages
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.ports import Controls
from coldvoxd.core.values import SessionOptions

log = logging.getLogger(__name__)
T = TypeVar("T")


class Calls:
    """Turns bus calls into calls of the DictationControl and the MicrophoneControl. Event loop only.

    Public methods other than `session_ended` are called while a bus call is being served.
    """

    def __init__(self, connection: Connection, controls: Controls) -> None:
        self._control = controls.dictation
        self._retry = controls.retry
        self._microphone = controls.microphone
        self._callers = Callers(connection, self._caller_left)
        self._bound: dict[int, str] = {}
        """Unique name of the caller, by the number of the session that is bound to it."""

    def start(self) -> int:
        caller = current_caller()
        return self._control.start(caller.name, SessionOptions(), caller.called_s)

    async def start_with_options(self, options: Mapping[str, Variant]) -> int:
        caller, parsed = current_caller(), self._parsed(options)
        return await self._bound_if_wanted(
            caller, parsed, lambda: self._control.start(caller.name, parsed, caller.called_s)
        )

    async def _bound_if_wanted(self, caller: Caller, options: SessionOptions, start: Callable[[], T]) -> T:
        """Return the result of `start`. Bind the session that it started, if any, to the caller if the options say so."""
        if not options.bind_to_caller:
            return start()
        with self._control.start_pending():
            if not await self._callers.watch(caller.name):
                raise ColdvoxError("The caller has already left the bus: no session was started.")
            before = self._control.session
            try:
                result = start()
            except BaseException:
                self._callers.unwatch(caller.name)
                raise
        if self._control.session not in (0, before):
            self._bound[self._control.session] = caller.name
        else:  # none was started, or it ended while it was being started
            self._callers.unwatch(caller.name)
        return result

    async def stop(self) -> str:
        caller = current_caller()
        return bus_text(await self._control.stop(caller.name, caller.called_s))

    async def stop_with_options(self, options: Mapping[str, Variant]) -> str:
        caller, session = current_caller(), parse_stop_options(options)
        return bus_text(await self._control.stop(caller.name, caller.called_s, session))

    async def cancel(self) -> None:
        await self._control.cancel(current_caller().name)

    def toggle(self) -> bool:
        caller = current_caller()
        return self._control.toggle(caller.name, caller.called_s)

    async def toggle_with_options(self, options: Mapping[str, Variant]) -> bool:
        caller, parsed = current_caller(), self._parsed(options)
        return await self._bound_if_wanted(
            caller, parsed, lambda: self._control.toggle(caller.name, caller.called_s, parsed)
        )

    def session_options(self, session: int) -> dict[str, Variant]:
        return session_options_body(self._control.options_of(current_caller().name, session))

    async def retry_last(self) -> str:
        return bus_text(await self._retry.retry_last(current_caller().name))

    async def retry_last_with_options(self, options: Mapping[str, Variant]) -> str:
        caller, parsed = current_caller(), parse_retry_options(options)
        languages.check(parsed.language, self._control.engine)
        return bus_text(await self._retry.retry_last(caller.name, parsed.utterance, parsed.language))

    async def retry_last_with_details(self, options: Mapping[str, Variant]) -> tuple[str, dict[str, Variant]]:
        caller, parsed = current_caller(), parse_retry_options(options, DETAILED_RETRY_OPTION_TYPES)
        languages.check(parsed.language, self._control.engine)
        hypothesis = await self._retry.recognize_last(
            caller.name, parsed.utterance, parsed.language, parsed.alternatives
        )
        return bus_text(hypothesis.text), retry_details(hypothesis)

    async def select_device(self, name: str) -> None:
        await self._microphone.select(name)

    def session_ended(self, session: int) -> None:
        """Stop watching the session's caller."""
        if caller := self._bound.pop(session, None):
            self._callers.unwatch(caller)

    def _parsed(self, options: Mapping[str, Variant]) -> SessionOptions:
        parsed = parse_options(options)
        languages.check(parsed.language, self._control.engine)
        return parsed

    def _caller_left(self, name: str) -> None:
        if name in self._bound.values():
            log.debug("caller %s of a bound session has left the bus", name)
            self._control.caller_left(name)
