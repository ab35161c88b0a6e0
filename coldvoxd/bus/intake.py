"""What a connection does with the messages that come: a bounded part in each turn of the event loop."""

from typing import Protocol

from coldvoxd.bus.header import Type
from coldvoxd.bus.quota import Call, CallQueue
from coldvoxd.bus.reader import Frame, Head, Reader, close_all

MESSAGES_A_TURN = 16
"""Handled in one turn of the loop; what is dropped by its header alone does not count."""
DECODED_BYTES_A_TURN = 64 * 1024
"""Once the calls of a turn have more bytes than that, the next one waits for the next turn."""
LARGEST_CALL_BYTES = 256 * 1024
"""A longer call is refused unread. The longest honest one, a few options, has less than 1 KiB."""
TOO_LONG = f"The call is longer than {LARGEST_CALL_BYTES} bytes."
TOO_MANY = "This client has too many pending calls: wait for replies before sending more."


class Receiver(Protocol):
    """Where messages go."""

    def wants(self, head: Head) -> bool:
        """Whether this answer or signal is wanted here, by its header alone: most are dropped."""

    def deliver(self, frame: Frame) -> None:
        """An answer or a signal that was wanted."""

    def serve(self, call: Call) -> None:
        """A call whose turn it is."""

    def refuse(self, head: Head, text: str) -> None:
        """A call that is dropped."""


class Intake:
    """Reads, sorts and hands on. Event loop only.

    Answers and signals are handed on in the order in which they came. Calls wait in a queue in which every sender has its
    turn and a quota; see `quota`.
    """

    def __init__(self, reader: Reader, receiver: Receiver) -> None:
        self._reader = reader
        self._receiver = receiver
        self._calls = CallQueue()
        self._behind = False
        """Messages are in the reader's buffer that the last turn had no room for."""

    @property
    def waiting(self) -> int:
        """Calls that were read and are not served yet."""
        return len(self._calls)

    def turn(self, now_s: float) -> float | None:
        """Do a turn's work. Seconds until the next turn is due, None where only the socket can bring more.

        Raises EOFError, OSError and Malformed where the connection is of no more use.
        """
        if not self._behind:
            self._reader.fill()
        left = MESSAGES_A_TURN
        left -= self._sort(left // 2 if self._calls else left, now_s)
        decoded = 0
        while left and decoded <= DECODED_BYTES_A_TURN and (call := self._calls.next(now_s)):
            left -= 1
            decoded += len(call.frame.data)
            self._receiver.serve(call)
        return 0.0 if self._behind else self._calls.seconds_to_wait(now_s)

    def close(self) -> None:
        """Nothing more will be served."""
        for call in self._calls.drain():
            close_all(call.frame.descriptors)
        self._reader.close()

    def _sort(self, most: int, now_s: float) -> int:
        """Go through what was read, and hand on so many answers and signals at most; how many it were."""
        done = 0
        self._behind = False
        while head := self._reader.head():
            if head.lengths.type == Type.METHOD_CALL:
                if text := self._objection(head):
                    self._receiver.refuse(head, text)
                    self._reader.skip()
                    self._reader.skip_calls(self._calls.is_full)
                elif frame := self._reader.take():
                    self._calls.add(str(frame.fields.sender), Call(frame, now_s))
                else:
                    break
            elif not self._receiver.wants(head):
                self._reader.skip()
            elif done == most:
                self._behind = True
                break
            elif frame := self._reader.take():
                done += 1
                self._receiver.deliver(frame)
            else:
                break
        return done

    def _objection(self, head: Head) -> str:
        """Why a call is not served; empty where it is."""
        if head.fields is None or head.lengths.total_bytes > LARGEST_CALL_BYTES:
            return TOO_LONG
        admitted = self._calls.admits(str(head.fields.sender), head.lengths.total_bytes, head.fields.descriptors)
        return "" if admitted else TOO_MANY
