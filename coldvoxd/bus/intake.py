"""Handles a connection's incoming messages, a bounded amount per turn of the event loop."""

from typing import Protocol

from coldvoxd.bus.header import Type
from coldvoxd.bus.quota import Call, CallQueue
from coldvoxd.bus.reader import Frame, Head, Reader, close_all

MESSAGES_A_TURN = 16
"""Messages handled per turn of the event loop; those dropped by their header alone do not count."""
DECODED_BYTES_A_TURN = 64 * 1024
"""Once the calls of a turn exceed this many bytes, the next call waits for the next turn."""
LARGEST_CALL_BYTES = 256 * 1024
"""A longer call is rejected unread. The longest legitimate one, a few options, has less than 1 KiB."""
TOO_LONG = f"The call is longer than {LARGEST_CALL_BYTES} bytes."
TOO_MANY = "This client has too many pending calls: wait for replies before sending more."


class Receiver(Protocol):
    """Processes the messages."""

    def wants(self, head: Head) -> bool:
        """Return whether this reply or signal is wanted, judging by its header alone: most are dropped."""

    def deliver(self, frame: Frame) -> None:
        """Process a wanted reply or signal."""

    def serve(self, call: Call) -> None:
        """Serve a call whose turn it is."""

    def refuse(self, head: Head, text: str) -> None:
        """Reply to a call that is dropped."""


class Intake:
    """Reads and sorts messages, and passes them to the receiver. Event loop only.

    Replies and signals are passed on in order of arrival. Calls wait in a queue in which each sender has its turn and a
    quota; see `quota`.
    """

    def __init__(self, reader: Reader, receiver: Receiver) -> None:
        self._reader = reader
        self._receiver = receiver
        self._calls = CallQueue()
        self._behind = False
        """Whether the reader's buffer holds messages that the last turn had no room for."""

    @property
    def waiting(self) -> int:
        """Number of calls that were read and are not served yet."""
        return len(self._calls)

    def turn(self, now_s: float) -> float | None:
        """Do one turn's work. Return the seconds until the next turn; None if it is due only when new data arrives.

        Raises EOFError, OSError and Malformed if the connection is unusable.
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
        """Discard the waiting calls and close their file descriptors."""
        for call in self._calls.drain():
            close_all(call.frame.descriptors)
        self._reader.close()

    def _sort(self, most: int, now_s: float) -> int:
        """Process what was read, passing on at most `most` replies and signals. Return how many were passed on."""
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
        """Return why a call is rejected; empty if it is admitted."""
        if head.fields is None or head.lengths.total_bytes > LARGEST_CALL_BYTES:
            return TOO_LONG
        admitted = self._calls.admits(str(head.fields.sender), head.lengths.total_bytes, head.fields.descriptors)
        return "" if admitted else TOO_MANY
