"""Replies to callers: results, and errors with their names on the bus."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from coldvoxd.bus.library import DBusError, Message, MessageFlag
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.core.errors import ERROR_PREFIX, ColdvoxError

log = logging.getLogger(__name__)

LONGEST_TEXT = 4000
"""Maximum length of an error's text in characters; a longer one is truncated. It may repeat what a caller sent."""


class Reply:
    """The reply to one call. An exception raised inside `with reply` is returned to the caller and suppressed.

    Replaces the library's own class, which also logs the exception with its traceback.
    """

    def __init__(self, send: Callable[[Message], Any], call: Message) -> None:
        self._send = send
        self._call = call

    def __call__(self, reply: Message) -> None:
        if not self._call.flags & MessageFlag.NO_REPLY_EXPECTED:
            self._send(reply)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception | asyncio.CancelledError):
            return False
        self.send_error(error)
        return True

    def send_error(self, error: BaseException) -> None:
        self(error_reply(self._call, error))


def error_reply(call: Message, error: BaseException) -> Message:
    """Return the error reply to a call, with the error's name on the bus. Internal errors are logged."""
    if isinstance(error, DBusError):
        return Message.new_error(call, error.type, bus_text(str(error)[:LONGEST_TEXT]))
    if isinstance(error, ColdvoxError):
        name, text = error.dbus_name, str(error) or type(error).__name__
    elif isinstance(error, asyncio.CancelledError):
        name, text = ColdvoxError.dbus_name, "The daemon is stopping: call again in a moment."
    else:
        log.error("%s failed", call.member, exc_info=error)
        name = ColdvoxError.dbus_name
        text = (
            f"Internal error in {call.member} ({type(error).__name__}): see `journalctl --user -u coldvoxd`, "
            "and please report it with `coldvoxctl doctor --report FILE`."
        )
    return Message.new_error(call, ERROR_PREFIX + name, bus_text(text[:LONGEST_TEXT]))
