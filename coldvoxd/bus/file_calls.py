"""Method calls for file transcription, and the body of FileTranscribed."""

import os
from collections.abc import Callable, Mapping

from coldvoxd.bus.callers import Callers, current_caller
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import Variant
from coldvoxd.bus.options import parse_file_options
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.bus.word_details import words_body
from coldvoxd.core import languages
from coldvoxd.core.errors import ERROR_PREFIX, ColdvoxError, InvalidOption
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.ports import FileControl
from coldvoxd.core.values import EngineStatus


class FileCalls:
    """Turns bus calls into calls of the FileControl. Event loop only.

    `transcribe` and `cancel` are called while a bus call is being served.
    """

    def __init__(self, connection: Connection, control: FileControl, engine: Callable[[], EngineStatus]) -> None:
        """`engine` returns the engine's status, which has the languages that an option may name."""
        self._control = control
        self._engine = engine
        self._callers = Callers(connection, control.caller_left)
        self._owners: dict[int, str] = {}
        """Unique name of the caller, by job number."""

    async def transcribe(self, descriptor: int | None, options: Mapping[str, Variant]) -> int:
        if descriptor is None:
            raise InvalidOption("The call has no file descriptor: pass one of an open file.")
        caller = current_caller()
        parsed = parse_file_options(options)
        languages.check(parsed.language, self._engine())
        try:
            ours = os.dup(descriptor)  # before the first await: the connection closes the descriptors of a call
        except OSError as error:
            raise ColdvoxError(f"The daemon cannot open another file ({error.strerror}): try again later.") from error
        try:
            is_there = await self._callers.watch(caller.name)
        except BaseException:
            os.close(ours)
            raise
        if not is_there:
            os.close(ours)
            raise ColdvoxError("The caller has already left the bus: no file is transcribed.")
        try:
            job = await self._control.transcribe(caller.name, ours, parsed)
        except BaseException:
            self._callers.unwatch(caller.name)
            raise
        self._owners[job] = caller.name
        return job

    def cancel(self, job: int) -> None:
        self._control.cancel(current_caller().name, job)

    def ended(self, job: int) -> None:
        """Stop watching the caller of a job that has ended."""
        if owner := self._owners.pop(job, None):
            self._callers.unwatch(owner)


def outcome_body(outcome: FileTranscript | ColdvoxError, with_words: bool) -> tuple[str, dict[str, Variant]]:
    """Return the text and the details of FileTranscribed."""
    if isinstance(outcome, ColdvoxError):
        return "", {
            "error": Variant("s", ERROR_PREFIX + outcome.dbus_name),
            "message": Variant("s", bus_text(str(outcome))),
        }
    details = {
        "duration": Variant("d", float(outcome.duration_s)),
        "confidence": Variant("d", float(outcome.confidence)),
    }
    if outcome.warnings:
        details["warnings"] = Variant("as", [bus_text(warning) for warning in outcome.warnings])
    if with_words:
        details["words"] = words_body(outcome.words)
    return bus_text(outcome.text), details
