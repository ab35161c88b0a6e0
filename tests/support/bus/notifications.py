"""A desktop's notification service on a private bus."""

from typing import Self

from coldvoxd.bus.library import Message, MessageType
from tests.support.bus.private_bus import BusClient


class NotificationService(BusClient):
    """org.freedesktop.Notifications of a desktop: records the notifications, and answers."""

    async def __aenter__(self) -> Self:
        self.shown: list[list[object]] = []
        await super().__aenter__()
        self._bus.add_message_handler(self._show)
        await self._bus.request_name("org.freedesktop.Notifications")
        return self

    def _show(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Notify":
            return None
        assert message.signature == "susssasa{sv}i"
        self.shown.append(message.body)
        return Message.new_method_return(message, "u", [len(self.shown)])
