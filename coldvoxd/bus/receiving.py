"""The receiving half of a connection. Replaces the library's, which a single message can end or block for long."""

import asyncio
import logging
import time
from typing import Any

from dbus_next import Message, MessageFlag, MessageType
from dbus_next.aio import MessageBus

from coldvoxd.bus.decoding import body_of, message_of, refusal
from coldvoxd.bus.header import Type
from coldvoxd.bus.intake import Intake
from coldvoxd.bus.quota import Call
from coldvoxd.bus.reader import Frame, Head, Reader, close_all
from coldvoxd.bus.routing import Unroutable, resolve
from coldvoxd.bus.signals import BUS, Signals

log = logging.getLogger(__name__)

UNTIL_SERVED_LOOK_S = 0.01
ANSWERS_BACKLOG = 1024
"""Number of messages waiting for the bus above which a dropped call gets no reply."""


class ReceivingBus(MessageBus):
    """Implements Receiver. Event loop only.

    - A bounded amount of data is handled per turn of the event loop; each caller has a quota.
    - A call may leave out the interface; `routing` finds its method, and the error for a call that has none.
    - Unknown header fields and message types are ignored, as the specification requires. If a body cannot be decoded, a
      call is answered with an error and any other message is dropped; neither ends the connection.
    - A signal is accepted only from the owner of the subscribed name, a reply only from the client that was called.
    - File descriptors are not inherited by child processes. They are closed once the method that received them has
      taken its first step; in that step it duplicates those that it keeps.
    """

    signals: Signals

    def __init__(self, address: str) -> None:
        super().__init__(bus_address=address, negotiate_unix_fd=True)
        self.arrived_s = 0.0
        """Monotonic time at which the call being served arrived."""
        self._intake = Intake(Reader(self._sock), self)
        self._next_turn: asyncio.Handle | None = None
        self._asked: dict[int, str] = {}
        """Destination of each call that has no reply yet, by serial number."""

    @property
    def usable(self) -> bool:
        """Whether messages can still be sent."""
        return not (self._disconnected or self._user_disconnect)

    @property
    def backlog(self) -> int:
        """Number of messages that the bus has not accepted yet."""
        return int(self._writer.messages.qsize())

    async def until_served(self, limit_s: float) -> None:
        """Wait until no received call waits for its turn, at most `limit_s` seconds, because a flood has no end."""
        deadline_s = self._loop.time() + limit_s
        while self._intake.waiting and self.usable and self._loop.time() < deadline_s:  # noqa: ASYNC110 - the queue has no event
            await asyncio.sleep(UNTIL_SERVED_LOOK_S)

    def wants(self, head: Head) -> bool:
        """Return whether a reply or signal is for us and comes from the expected sender."""
        fields = head.fields
        if fields is None or not fields.sender:
            return False
        if head.lengths.type == Type.SIGNAL:
            return self.signals.wants(fields)
        if head.lengths.type not in {Type.METHOD_RETURN, Type.ERROR}:
            return False
        serial = fields.reply_serial or 0
        asked = self._asked.get(serial, BUS)
        return serial in self._method_return_handlers and self.signals.may_answer(fields.sender, asked)

    def deliver(self, frame: Frame) -> None:
        """Process a wanted reply or signal."""
        try:
            message = message_of(frame)
            message.body = body_of(frame)
        except Exception as error:  # noqa: BLE001 - data from other services is not trusted
            log.warning("a message of %s cannot be decoded: %s", frame.fields.sender, error)
            close_all(frame.descriptors)
            if frame.lengths.type == Type.SIGNAL:
                return
            message = _undecodable(frame)
        if message.message_type is MessageType.SIGNAL:
            self.signals.deliver(frame.fields, message)
            close_all(frame.descriptors)
        else:
            self._asked.pop(message.reply_serial, None)
            self._on_message(message)

    def serve(self, call: Call) -> None:
        """Serve a call whose turn it is."""
        frame, self.arrived_s = call.frame, call.arrived_s
        if not frame.complete:
            close_all(frame.descriptors)
            self._refuse(frame, "LimitsExceeded", "The daemon cannot open more files: try again later.")
            return
        try:
            message = message_of(frame)
            message.interface = self._interface_of(message)
            message.body = body_of(frame)
        except Exception as error:  # noqa: BLE001 - as above
            close_all(frame.descriptors)
            if isinstance(error, Unroutable):
                self._refuse(frame, error.name, str(error))
            else:
                self._refuse(frame, "InvalidArgs", f"The call cannot be decoded ({type(error).__name__}).")
            return
        self._on_message(message)

    def _interface_of(self, call: Message) -> str:
        """Return the interface of the method that a call means. Raises Unroutable."""
        return resolve(call.path, call.interface, call.member, call.signature, self._path_exports).interface

    def refuse(self, head: Head, text: str) -> None:
        """Send an error to the sender of a dropped call if it expects a reply."""
        self._refuse(head, "LimitsExceeded", text)

    def _refuse(self, call: Head | Frame, name: str, text: str) -> None:
        fields = call.fields
        if fields is None or not call.lengths.wants_reply or not self.usable or self.backlog > ANSWERS_BACKLOG:
            return
        answer = refusal(self.next_serial(), call.lengths.serial, str(fields.sender), f"{BUS}.Error.{name}", text)
        self._writer.messages.put_nowait((answer, None, None))
        self._writer.schedule_write()

    def _message_reader(self) -> None:
        """Called when the socket is readable."""
        if self._next_turn is None or isinstance(self._next_turn, asyncio.TimerHandle):
            self._take_turn()

    def _take_turn(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        try:
            wait_s = self._intake.turn(time.monotonic())
        except Exception as error:  # noqa: BLE001 - after any error, nothing more can be read
            self._intake.close()
            self._finalize(error)
            return
        if wait_s is None or not self.usable:
            return
        if wait_s > 0:
            self._next_turn = self._loop.call_later(wait_s, self._take_turn)
        else:
            self._next_turn = self._loop.call_soon(self._take_turn)

    def _call(self, msg: Message, callback: Any) -> None:
        if not msg.serial:
            msg.serial = self.next_serial()
        if not msg.flags & MessageFlag.NO_REPLY_EXPECTED:
            self._asked[msg.serial] = str(msg.destination)
        super()._call(msg, callback)

    def _on_message(self, msg: Message) -> None:
        super()._on_message(msg)
        if msg.unix_fds:  # runs after the first step of an asynchronous method, which is already scheduled
            self._loop.call_soon(close_all, tuple(msg.unix_fds))

    def _stop_receiving(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
        self._intake.close()


def _undecodable(frame: Frame) -> Message:
    """Return an error in place of a reply that cannot be decoded."""
    return Message(
        message_type=MessageType.ERROR,
        sender=str(frame.fields.sender),
        reply_serial=int(frame.fields.reply_serial or 0),
        error_name=f"{BUS}.Error.InvalidArgs",
        signature="s",
        body=["the reply cannot be decoded"],
    )
