"""A bounded queue between a microphone's thread and the event loop."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.values import SAMPLE_RATE

LOOK_S = 0.02
"""Polling interval of a caller that waits for the next chunk."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The content of the queue at one moment."""

    dropped_samples: int
    """Samples that were discarded before the first chunk because the event loop did not take them in time."""
    chunks: tuple[Chunk, ...]


class ChunkQueue:
    """Bounded queue that accepts chunks on any thread and delivers them on the event loop, in order.

    If it is full, it drops the oldest. Construct it on the loop, and call `release` there once the receiver is ready.
    Each opening of the microphone has its own queue, so that late chunks of an old stream are ignored.
    """

    def __init__(self, on_delivery: Callable[[Delivery], None], limit_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_delivery = on_delivery
        self._limit_samples = int(limit_s * SAMPLE_RATE)
        self._lock = threading.Lock()
        self._chunks: deque[Chunk] = deque()
        self._held_samples = 0
        self._dropped_samples = 0
        self._wakened = True  # true until `release`
        self._gather_samples = 0
        self._delivering = self._asked_again = False
        self._closed = False
        self._last_offer_s = time.monotonic()

    @property
    def limit_samples(self) -> int:
        """Capacity in samples."""
        return self._limit_samples

    @property
    def last_offer_s(self) -> float:
        """Monotonic time of the last chunk, or of the queue's construction."""
        return self._last_offer_s

    async def until_silent(self, limit_s: float, opened_s: float) -> None:
        """Return once no chunk has arrived for `limit_s` seconds, counted from `opened_s` (monotonic) at the earliest.

        Call it on the event loop. A timer checks, and the waiting task resumes only at the end: a callback costs a
        tenth of a task's wakeup with a timeout.
        """
        silent = self._loop.create_future()

        def look() -> None:
            if silent.done():
                return
            ahead_s = max(opened_s, self._last_offer_s) + limit_s - time.monotonic()
            if ahead_s > 0:
                self._loop.call_later(ahead_s, look)
            else:
                silent.set_result(None)

        look()
        await silent

    async def until_heard(self, since_s: float, limit_s: float) -> None:
        """Return once a chunk has arrived after `since_s` (monotonic), or after `limit_s` seconds. Event loop only."""
        due_s = time.monotonic() + limit_s
        heard = self._loop.create_future()

        def look() -> None:
            if heard.done():
                return
            if self._last_offer_s > since_s or time.monotonic() >= due_s:
                heard.set_result(None)
            else:
                self._loop.call_later(LOOK_S, look)

        look()
        await heard

    @property
    def held_s(self) -> float:
        """Seconds of audio in the queue."""
        return self._held_samples / SAMPLE_RATE

    def began_s(self) -> float | None:
        """Return the monotonic time at which the first queued sample arrived at the driver; None if none is queued.

        It is the earliest time that any chunk indicates, since a chunk may arrive late but never early.
        """
        with self._lock:
            chunks = tuple(self._chunks)
        earliest_s, samples = math.inf, 0
        for chunk in chunks:
            samples += len(chunk.samples)
            earliest_s = min(earliest_s, chunk.arrived_s - samples / SAMPLE_RATE)
        return earliest_s if chunks else None

    def gather(self, samples: int) -> None:
        """Deliver only once this many samples are queued; 0 delivers each chunk as it arrives. Event loop only."""
        with self._lock:
            self._gather_samples = samples

    def offer(self, chunk: Chunk) -> None:
        """Take a chunk. Any thread; never blocks, never raises."""
        with self._lock:
            if self._closed:
                return
            self._last_offer_s = time.monotonic()
            self._chunks.append(chunk)
            self._held_samples += len(chunk.samples)
            while self._held_samples > self._limit_samples:
                dropped = len(self._chunks.popleft().samples)
                self._held_samples -= dropped
                self._dropped_samples += dropped
            wake = not self._wakened and self._held_samples >= self._gather_samples
            self._wakened = self._wakened or wake
        if wake:
            try:
                self._loop.call_soon_threadsafe(self._hand_over)
            except RuntimeError:
                self.close()  # the loop has closed: the process is ending

    def release(self) -> None:
        """Deliver the queued chunks now, and later ones as they arrive. Event loop only."""
        self._hand_over()

    def close(self) -> None:
        """Discard the queued chunks and all later ones. Any thread."""
        with self._lock:
            self._closed = True
            self._chunks.clear()

    def _hand_over(self) -> None:
        """Deliver the queue. A delivery requested during another one follows it, so that samples keep their order."""
        self._asked_again = self._delivering
        if self._delivering:
            return
        self._delivering = True
        try:
            while delivery := self._taken():
                self._asked_again = False
                self._on_delivery(delivery)
                if not self._asked_again:
                    break
        finally:
            self._delivering = False

    def _taken(self) -> Delivery | None:
        """Take the content; return None if the queue is empty."""
        with self._lock:
            self._wakened = False
            if self._closed or not self._chunks:
                return None
            delivery = Delivery(self._dropped_samples, tuple(self._chunks))
            self._chunks.clear()
            self._held_samples = self._dropped_samples = 0
            return delivery
