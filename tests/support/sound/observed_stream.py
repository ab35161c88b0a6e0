"""A capture stream under observation."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import numpy as np
import numpy.typing as npt

from coldvoxd.capture.state import CaptureCondition, CaptureState
from coldvoxd.capture.stream import INBOX_S, CaptureStream
from coldvoxd.core.audio_values import Frame, Gap
from coldvoxd.core.ports import Microphone

BEAT_S = 0.02


class Watched:
    """Records a stream's items, the monotonic time of each state, and the event loop's longest delay."""

    def __init__(self, microphone: Microphone, inbox_s: float = INBOX_S) -> None:
        self.items: list[Frame | Gap] = []
        self.states: list[tuple[float, CaptureState]] = []
        self.broken_promises: list[float] = []
        self.longest_beat_s = 0.0
        self.keeper = CaptureStream(microphone, self.items.append, self._on_state, inbox_s)

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]

    @property
    def frames(self) -> list[Frame]:
        return [item for item in self.items if isinstance(item, Frame)]

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        """All audio, int16 (n,), ignoring gaps."""
        return np.concatenate([frame.samples for frame in self.frames] or [np.empty(0, np.int16)])

    def condition(self) -> CaptureCondition:
        return self.keeper.state.condition

    def is_open(self) -> bool:
        return self.condition() is CaptureCondition.OPEN

    def is_lost(self) -> bool:
        return self.condition() is CaptureCondition.LOST

    def when(self, condition: CaptureCondition, *, after_s: float = 0.0) -> float:
        """Return the monotonic time at which that condition was first published after a time."""
        return next(moment for moment, state in self.states if state.condition is condition and moment >= after_s)

    def assert_seamless(self) -> None:
        """Check that each item starts where the previous one ended."""
        expected = 0
        for item in self.items:
            assert item.start_sample == expected, item
            expected += len(item.samples) if isinstance(item, Frame) else item.samples

    async def beat(self) -> None:
        """Check the stream's promise regularly, like the watchdog, and record the event loop's longest delay."""
        last_s = time.monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            now_s = time.monotonic()
            self.longest_beat_s = max(self.longest_beat_s, now_s - last_s)
            last_s = now_s
            if not self.keeper.promise_kept(now_s):
                self.broken_promises.append(now_s)

    def _on_state(self, state: CaptureState) -> None:
        self.states.append((time.monotonic(), state))


@contextlib.asynccontextmanager
async def watched(microphone: Microphone, inbox_s: float = INBOX_S) -> AsyncIterator[Watched]:
    """Run a stream of that microphone and close it; check that its items are seamless and its promise was kept."""
    watch = Watched(microphone, inbox_s)
    pulse = asyncio.create_task(watch.beat(), name="beat")
    watch.keeper.start()
    try:
        yield watch
    finally:
        pulse.cancel()
        await watch.keeper.close()
    watch.assert_seamless()
    assert watch.broken_promises == []
