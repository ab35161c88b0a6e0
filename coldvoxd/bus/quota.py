"""Queues the calls that wait to be served: each sender gets its turn, and has a quota.

If a client exceeds its quota, its calls are rejected, and no other client has to wait for it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from coldvoxd.bus.reader import Frame

BURST = 256
"""Calls of a sender that may be served without a pause. A script that calls 200 times in a row is legitimate."""
CALLS_A_SECOND = 200.0
"""Calls per second of a sender that may be served in the long run; one call takes the daemon about 0.3 ms."""
BYTES_A_CALL = 1024
"""A longer call counts as several, because its decoding time is proportional to its length."""
WAITING = 256
"""Maximum number of waiting calls of one sender; further calls are rejected."""
WAITING_BYTES = 1024 * 1024
WAITING_DESCRIPTORS = 32
"""Limits of the bytes and file descriptors that these calls hold."""
ALL_WAITING = 4096
ALL_WAITING_BYTES = 16 * 1024 * 1024
ALL_WAITING_DESCRIPTORS = 256
"""The same limits for all senders together."""
SENDERS_KEPT = 128
"""From this number of senders on, those without waiting calls and with a full quota are removed."""


@dataclass(frozen=True, slots=True)
class Call:
    """A waiting call."""

    frame: Frame
    arrived_s: float
    """Monotonic time at which its last byte was read."""


@dataclass(slots=True)
class _Load:
    """Totals of the waiting calls."""

    calls: int = 0
    size: int = 0
    descriptors: int = 0

    def add(self, frame: Frame, sign: int) -> None:
        self.calls += sign
        self.size += sign * len(frame.data)
        self.descriptors += sign * len(frame.descriptors)

    def admits(self, size: int, descriptors: int, calls: int, most: tuple[int, int]) -> bool:
        return (
            self.calls < calls
            and self.size + size <= most[0]
            and (descriptors == 0 or self.descriptors + descriptors <= most[1])
        )


@dataclass(slots=True)
class _Sender:
    """A token bucket, and the calls that wait for its tokens."""

    tokens: float
    filled_s: float
    waiting: deque[Call] = field(default_factory=deque)
    load: _Load = field(default_factory=_Load)

    def fill(self, now_s: float) -> None:
        self.tokens = min(BURST, self.tokens + (now_s - self.filled_s) * CALLS_A_SECOND)
        self.filled_s = now_s

    @property
    def seconds_to_wait(self) -> float:
        """Seconds until the next call may be served."""
        return max(0.0, (1 - self.tokens) / CALLS_A_SECOND)


class CallQueue:
    """Waiting calls by sender. Times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}
        self._turns: deque[str] = deque()
        """Senders with waiting calls, the next one first."""
        self._load = _Load()
        self._look_at = SENDERS_KEPT

    def __len__(self) -> int:
        return self._load.calls

    def admits(self, sender: str, size: int, descriptors: int) -> bool:
        """Return whether a call of `size` bytes with `descriptors` file descriptors may wait."""
        known = self._senders.get(sender)
        own = known is None or known.load.admits(size, descriptors, WAITING, (WAITING_BYTES, WAITING_DESCRIPTORS))
        return own and self._load.admits(size, descriptors, ALL_WAITING, (ALL_WAITING_BYTES, ALL_WAITING_DESCRIPTORS))

    def is_full(self, sender: str) -> bool:
        """Return whether no call of this sender may wait, however small."""
        known = self._senders.get(sender)
        return (known is not None and known.load.calls >= WAITING) or self._load.calls >= ALL_WAITING

    def add(self, sender: str, call: Call) -> None:
        """Queue a call that was admitted."""
        known = self._senders.get(sender)
        if known is None:
            self._forget_idle(call.arrived_s)
            known = self._senders[sender] = _Sender(BURST, call.arrived_s)
        if not known.waiting:
            self._turns.append(sender)
        known.waiting.append(call)
        known.load.add(call.frame, 1)
        self._load.add(call.frame, 1)

    def next(self, now_s: float) -> Call | None:
        """Return the next call of the sender that has waited longest and has tokens; None if there is none."""
        for _ in range(len(self._turns)):
            name = self._turns.popleft()
            sender = self._senders[name]
            sender.fill(now_s)
            if sender.tokens < 1:
                self._turns.append(name)
                continue
            call = sender.waiting.popleft()
            sender.tokens -= 1 + len(call.frame.data) // BYTES_A_CALL
            sender.load.add(call.frame, -1)
            self._load.add(call.frame, -1)
            if sender.waiting:
                self._turns.append(name)
            return call
        return None

    def seconds_to_wait(self, now_s: float) -> float | None:
        """Return the seconds until `next` has a call; None if no call waits."""
        if not self._turns:
            return None
        for name in self._turns:
            self._senders[name].fill(now_s)
        return min(self._senders[name].seconds_to_wait for name in self._turns)

    def drain(self) -> Iterator[Call]:
        """Remove and yield all waiting calls."""
        for sender in self._senders.values():
            yield from sender.waiting
        self._senders.clear()
        self._turns.clear()
        self._load = _Load()

    def _forget_idle(self, now_s: float) -> None:
        if len(self._senders) < self._look_at:
            return
        for name, sender in list(self._senders.items()):
            sender.fill(now_s)
            if not sender.waiting and sender.tokens >= BURST:
                del self._senders[name]
        self._look_at = max(SENDERS_KEPT, 2 * len(self._senders))
