"""Desktop notifications, by the service org.freedesktop.Notifications of whatever desktop this is."""

from dbus_next import Message, MessageFlag, Variant

from coldvoxd.bus.text import bus_text
from coldvoxd.core.notice import Notice

NAME = "org.freedesktop.Notifications"
DEFAULT_TIME_MS = -1
"""As long as the desktop likes."""


def notification(notice: Notice) -> Message:
    """The call that shows it; no answer is wanted, also where there is no such service."""
    return Message(
        destination=NAME,
        path="/org/freedesktop/Notifications",
        interface=NAME,
        member="Notify",
        flags=MessageFlag.NO_REPLY_EXPECTED,
        signature="susssasa{sv}i",
        body=[
            "coldvoxd",
            0,
            "audio-input-microphone",
            bus_text(notice.title),
            bus_text(notice.body),
            [],
            {"urgency": Variant("y", 1), "category": Variant("s", "device")},
            DEFAULT_TIME_MS,
        ],
    )
