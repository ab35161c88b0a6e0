"""The receiving half of a connection, which no single message can end or block for long."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from coldvoxd.bus.decoding import body_of, message_of, refusal
from coldvoxd.bus.header import Type
from coldvoxd.bus.intake import Intake
from coldvoxd.bus.library import Message, MessageType
from coldvoxd.bus.objects import Objects
from coldvoxd.bus.quota import Call
from coldvoxd.bus.reader import Frame, Head, Reader, close_all
from coldvoxd.bus.routing import Unroutable, resolve
from coldvoxd.bus.sending import Writer
from coldvoxd.bus.signals import BUS, Signals
from coldvoxd.core.errors import BusUnavailable

log = logging.getLogger(__name__)

UNTIL_SERVED_LOOK_S = 0.01
ANSWERS_BACKLOG = 1024
"""Number of messages waiting for the bus above which a dropped call gets no reply."""
LARGEST_SERIAL = (1 << 32) - 1

Answered = Callable[[Message | None], None]
"""Receives the reply to a call, or None if the connection is lost."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that has no reply yet."""

    destination: str
    answered: Answered


class ReceivingBus:
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
    objects: Objects
    """What is offered to other clients."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        """`sock` is authenticated, and closed by the connection. `name` is the bus's, for messages."""
        self.name = name
        self.arrived_s = 0.0
        """Monotonic time at which the call being served arrived."""
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(sock, self._end)
        self._intake = Intake(Reader(sock), self)
        self._next_turn: asyncio.Handle | None = None
        self._asked: dict[int, _Asked] = {}
        """Calls without a reply, by serial number."""
        self._serial = 0
        self._ended: asyncio.Future[None] = self._loop.create_future()
        """Done once messages can no longer be sent, with the error if the connection was lost."""
        self._closing = False
        """Whether the connection ends because we end it."""
        self._loop.add_reader(sock, self._readable)

    @property
    def usable(self) -> bool:
        """Whether messages can still be sent."""
        return not (self._closing or self._ended.done())

    @property
    def backlog(self) -> int:
        """Number of messages that the bus has not accepted yet."""
        return self._writer.backlog

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
        asked = self._asked.get(fields.reply_serial or 0)
        return asked is not None and self.signals.may_answer(fields.sender, asked.destination)

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
            self._answer_arrived(message)

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
        self.objects.serve(message)
        if frame.descriptors:  # runs after the first step of an asynchronous method, which is already scheduled
            self._loop.call_soon(close_all, frame.descriptors)

    def _interface_of(self, call: Message) -> str:
        """Return the interface of the method that a call means. Raises Unroutable."""
        return resolve(call.path, call.interface, call.member, call.signature, self.objects.paths).interface

    def refuse(self, head: Head, text: str) -> None:
        """Send an error to the sender of a dropped call if it expects a reply."""
        self._refuse(head, "LimitsExceeded", text)

    def _refuse(self, call: Head | Frame, name: str, text: str) -> None:
        fields = call.fields
        if fields is None or not call.lengths.wants_reply or not self.usable or self.backlog > ANSWERS_BACKLOG:
            return
        self._writer.post(
            refusal(self._next_serial(), call.lengths.serial, str(fields.sender), f"{BUS}.Error.{name}", text)
        )

    def _readable(self) -> None:
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
            self._end(error)
            return
        if wait_s is None or not self.usable:
            return
        if wait_s > 0:
            self._next_turn = self._loop.call_later(wait_s, self._take_turn)
        else:
            self._next_turn = self._loop.call_soon(self._take_turn)

    def _next_serial(self) -> int:
        self._serial = self._serial % LARGEST_SERIAL + 1
        return self._serial

    def _number(self, message: Message) -> None:
        """Give a message that is about to be sent its serial number."""
        message.serial = self._next_serial()

    def _expect_answer(self, call: Message, answered: Answered) -> None:
        """Pass the reply to a call to `answered`, in order with other messages."""
        self._asked[call.serial] = _Asked(str(call.destination), answered)

    def _answer_arrived(self, message: Message) -> None:
        asked = self._asked.pop(message.reply_serial)
        try:
            asked.answered(message)
        except Exception:
            log.exception("processing a reply failed")
        if message.unix_fds:  # runs after the step in which a coroutine that awaits the reply resumes
            self._loop.call_soon(close_all, tuple(message.unix_fds))

    def _end(self, error: Exception | None = None) -> None:
        """Stop receiving and sending; `error` is why the connection was lost, None if we close it."""
        if self._ended.done():
            return
        self._loop.remove_reader(self._sock)
        if self._next_turn is not None:
            self._next_turn.cancel()
        self._intake.close()
        if error is None or self._closing:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
            self._ended.exception()  # marks it as retrieved: not every connection is watched for its end
        self._writer.close(BusUnavailable(f"The connection to the {self.name} was lost."))
        asked, self._asked = self._asked, {}
        for one in asked.values():
            one.answered(None)
        self.objects.clear()


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
