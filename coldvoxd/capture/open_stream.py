"""One opening of the microphone, with the queue of what it delivers."""

import time
from collections.abc import Callable

from coldvoxd.capture.chunk_queue import ChunkQueue, Delivery
from coldvoxd.core.ports import OpenedMicrophone
from coldvoxd.core.values import SAMPLE_RATE

GATHER_S = 0.768
"""Batch length in seconds while no session needs the audio: waking for each frame costs more than scoring it."""
SETTLED_S = 0.25
"""Seconds of audio from a microphone that is switched to before it is used: the place of its samples in time is known
more exactly then, and the noise that some devices make when opened is over."""
STEADY_S = 2.0
"""A stream that delivered for this many seconds is reopened at once after its loss; otherwise after the back-off."""


class OpenStream:
    """A stream of the microphone, from its opening on. Event loop only.

    Each opening has its own queue, so that late chunks of an old stream are ignored. `on_delivery` is called with this
    object and its chunks.
    """

    def __init__(self, on_delivery: Callable[["OpenStream", Delivery], None], limit_s: float) -> None:
        self.inbox = ChunkQueue(lambda delivery: on_delivery(self, delivery), limit_s)
        self.opened = OpenedMicrophone(name="", latency_s=0.0)
        self.opened_s = time.monotonic()
        """Monotonic time at which the opening ended."""
        self.first_chunk_s: float | None = None
        """Monotonic time of the first chunk that was taken from the queue; None before it."""
        self.is_resumed = False
        """The next delivery is the first after a stall."""

    @property
    def silent_s(self) -> float:
        """Seconds since the last chunk, or since the opening."""
        return time.monotonic() - max(self.opened_s, self.inbox.last_offer_s)

    @property
    def is_settled(self) -> bool:
        """Whether the queue holds `SETTLED_S` seconds of audio."""
        return self.inbox.held_s >= SETTLED_S

    @property
    def is_steady(self) -> bool:
        """Whether it has delivered for `STEADY_S` seconds."""
        return self.first_chunk_s is not None and time.monotonic() - self.first_chunk_s > STEADY_S

    def begin(self, opened: OpenedMicrophone) -> None:
        """Record the microphone that was opened."""
        self.opened = opened
        self.opened_s = time.monotonic()

    def catch_up(self) -> None:
        """Deliver everything that has arrived, once the stream is known to work."""
        if self.first_chunk_s is not None:
            self.inbox.release()

    def pace(self, *, attentive: bool) -> None:
        """Set the batch size.

        The first chunk of a stream is always delivered at once: only a chunk proves that the stream works.
        """
        in_batches = self.first_chunk_s is not None and not attentive
        self.inbox.gather(round(GATHER_S * SAMPLE_RATE) if in_batches else 0)

    def spoken_from_s(self) -> float | None:
        """Return the monotonic time at which the first queued sample was spoken; None while nothing is queued."""
        began_s = self.inbox.began_s()
        return began_s - self.opened.latency_s if began_s is not None else None
