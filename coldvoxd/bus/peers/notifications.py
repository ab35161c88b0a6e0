"""Desktop notifications through the service org.freedesktop.Notifications."""

import asyncio

from coldvoxd.bus.connection import Connection
from coldvoxd.bus.library import DBusError, Message, MessageFlag, Variant
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.core.errors import BusUnavailable

NAME = "org.freedesktop.Notifications"
ANSWER_LIMIT_S = 2.0
"""Seconds to wait for the notification's number; the service may have to be started first."""
DEFAULT_TIME_MS = -1
"""The desktop chooses how long the notification is shown."""


def notification(
    title: str,
    body: str,
    replaces: int = 0,
    *,
    application: str = "coldvoxd",
    icon: str = "audio-input-microphone",
    category: str = "device",
) -> Message:
    """Return a call of Notify that expects no reply. It replaces the notification `replaces` unless that is 0.

    `category` is a category of the Desktop Notifications Specification; empty for none.
    """
    hints = {"urgency": Variant("y", 1)}
    if category:
        hints["category"] = Variant("s", category)
    return Message(
        destination=NAME,
        path="/org/freedesktop/Notifications",
        interface=NAME,
        member="Notify",
        flags=MessageFlag.NO_REPLY_EXPECTED,
        signature="susssasa{sv}i",
        body=[
            application,
            replaces,
            icon,
            bus_text(title),
            bus_text(body),
            [],
            hints,
            DEFAULT_TIME_MS,
        ],
    )


async def show(connection: Connection, title: str, body: str, replaces: int = 0) -> int:
    """Show a notification and return its number, for the next one to replace; 0 if no service replies within 2 s."""
    call = notification(title, body, replaces)
    call.flags = MessageFlag.NONE
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return int(await connection.ask(call))
    except (DBusError, BusUnavailable, TimeoutError):
        return 0
