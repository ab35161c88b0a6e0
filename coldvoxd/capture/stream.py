"""Capture: keeps the microphone open, and makes frames and gaps of what it delivers."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from coldvoxd.capture.capture_log import log_dropped, log_failure, log_gap, log_state
from coldvoxd.capture.chunk_queue import Delivery
from coldvoxd.capture.device import CALL_PATIENCE_S, OPENING_PATIENCE_S, CaptureDevice
from coldvoxd.capture.framing import ChunkFramer
from coldvoxd.capture.open_stream import OpenStream
from coldvoxd.capture.renewal import Renewal
from coldvoxd.capture.state import CaptureCondition, CaptureState
from coldvoxd.core.audio_values import Frame, Gap
from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.ports import Microphone
from coldvoxd.native.call_thread import abandon

log = logging.getLogger(__name__)
T = TypeVar("T")

INBOX_S = 10.0
"""Seconds of audio that are queued while the event loop is blocked."""
OVERDUE_S = 0.3
"""Seconds without a chunk after which the microphone is asked whether its stream has ended."""
STALLED_S = 1.0
"""Seconds without a chunk after which the stream counts as lost, whatever the microphone answers."""
RESUMED_S = 1.0
"""A lost stream is reopened if it delivers nothing within this many seconds after the sound server has answered."""
BACKLOG_S = 0.25
"""Seconds within which a stream that delivers again has delivered what was recorded meanwhile."""
FIRST_CHUNK_S = 4.0
"""Limit like `STALLED_S` for the first chunk: an idle sound server may take 2 s to start."""
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 2.0
PROMISED_FRAME_S = 2.0
PROMISED_ATTEMPT_S = 5.0


class CaptureStream:
    """Keeps a microphone open, reopens it after a loss, and publishes its audio in order.

    `on_item` receives Frames and Gaps, each starting where the previous one ended; `on_state` each change of state;
    `on_device` whether the device is open. All are called on the event loop. Event loop only.
    """

    def __init__(
        self,
        microphone: Microphone,
        on_item: Callable[[Frame | Gap], None],
        on_state: Callable[[CaptureState], None],
        inbox_s: float = INBOX_S,
        on_device: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._device = CaptureDevice(microphone, on_device)
        self._framer = ChunkFramer()
        self._on_item = on_item
        self._on_state = on_state
        self._inbox_s = inbox_s
        self._stream: OpenStream | None = None
        self._task: asyncio.Task[None] | None = None
        self._renewal = Renewal()
        self._state = CaptureState(CaptureCondition.CLOSED)
        self._ending = False
        self._attentive = True
        self._last_frame_s = float("-inf")
        self._last_attempt_s = float("-inf")
        """Time at which the last device call ended, as far as the event loop knows; infinity while one runs."""

    @property
    def state(self) -> CaptureState:
        return self._state

    @property
    def device_open(self) -> bool:
        """True from the end of the device's opening to the end of its closing, however long the closing hangs."""
        return self._device.is_open

    @property
    def last_frame_s(self) -> float | None:
        """Monotonic time at which the last frame arrived; None before the first."""
        return self._last_frame_s if self._last_frame_s > float("-inf") else None

    @property
    def channels(self) -> int:
        """Number of channels of the open microphone, or of the last one."""
        return (self._stream or self._device).opened.channels

    def sample_at(self, monotonic_s: float) -> int:
        """Return the count of the sample spoken at that moment, which may be in the future, by the reported latency."""
        return self._framer.sample_at(monotonic_s)

    def captured_at(self, monotonic_s: float) -> int:
        """Return the same by the age of the latest audio, if the driver measures it."""
        return self._framer.captured_at(monotonic_s)

    def promise_kept(self, now_s: float) -> bool:
        """Return whether capture works or is being repaired, at `now_s` of the monotonic clock.

        True if a frame arrived within 2 s, if the microphone is closed by policy, or if an attempt to reopen it ended
        and its failure was published within 5 s. Also true while a device call runs, which is reported when it hangs:
        the watchdog would restart the daemon repeatedly without a pause, while `host.reexec`, which reads `hanging_s`,
        has growing pauses.
        """
        if self._state.condition is CaptureCondition.CLOSED:
            return True
        return now_s - self._last_frame_s <= PROMISED_FRAME_S or now_s - self._last_attempt_s <= PROMISED_ATTEMPT_S

    def hanging_s(self, now_s: float) -> float:
        """Return how many seconds the current device call has been running; 0 if none runs. `now_s` is loop time.

        Its thread can't be ended, and later calls wait behind it: only a new process can open the microphone again.
        """
        since_s = self._device.busy_since_s
        return now_s - since_s if since_s is not None else 0.0

    def attend(self, attentive: bool) -> None:
        """Publish frames as they arrive, or in batches, which costs less."""
        self._attentive = attentive
        self.catch_up()
        if self._stream is not None:
            self._stream.pace(attentive=attentive)

    def catch_up(self) -> None:
        """Publish everything that has arrived."""
        if self._stream is not None:
            self._stream.catch_up()

    def start(self) -> None:
        """Open the microphone and keep it open until `release` or `close`.

        Returns at once; no effect while it is open.
        """
        if self._task is None and not self._ending:
            self._task = asyncio.get_running_loop().create_task(self._keep(), name="capture")
            self._task.add_done_callback(log_failure)

    def use(self, microphone: Microphone) -> None:
        """Close the open microphone and open this one. Returns at once."""
        self._device.use(microphone)
        self.renew()

    def renew(self) -> None:
        """Reopen the microphone now: another one was selected, or a missing one may have returned.

        If both can be open at once, the open one is used until the other one delivers.
        """
        self._renewal.request()

    async def renewed(self) -> None:
        """Return once the microphone of the last `renew` delivers, was not found, or is closed by policy."""
        if self._task is not None:
            await self._renewal.until_done()

    async def release(self, timeout_s: float = 2.0) -> None:
        """Close the microphone, by policy, until `start`.

        After `timeout_s` seconds, closing continues in the background.
        """
        self.catch_up()
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if self._task is not None:
            return  # started again meanwhile: opening closes what was open
        self._drop_stream()
        self._renewal.begin()
        self._renewal.end()
        self._publish(CaptureState(CaptureCondition.CLOSED))
        _, hanging = await asyncio.wait({self._device.close()}, timeout=timeout_s)
        if hanging:  # not cancelled: an earlier call that hangs may still open the device
            log.warning("microphone not closed after %.1f s: %s", timeout_s, self._device.pending_call)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Close the microphone permanently."""
        self._ending = True
        await self.release(timeout_s)
        self._device.end()

    async def _keep(self) -> None:
        backoff_s = 0.0
        self._publish(CaptureState(CaptureCondition.OPENING))
        while True:
            self._renewal.begin()
            stream = OpenStream(self._take, self._inbox_s)
            try:
                await self._open(stream)
                while not (reason := await self._until_lost(stream)):
                    following = await self._switch(stream)
                    if following is None:
                        break
                    stream = following
            except CaptureFault as fault:
                reason = str(fault)
            self._drop_stream()
            if not reason:
                self._publish(CaptureState(CaptureCondition.OPENING))
                await self._call(self._device.close())
                continue
            backoff_s = 0.0 if stream.is_steady else min(LAST_BACKOFF_S, max(FIRST_BACKOFF_S, 2 * backoff_s))
            self._publish(CaptureState(CaptureCondition.LOST, reason=reason))
            self._renewal.end()
            await self._call(self._device.close())
            await self._renewal.pause(backoff_s)

    async def _open(self, stream: OpenStream) -> None:
        self._drop_stream()
        self._framer.begin_stream()
        self._stream = stream
        stream.begin(await self._call(self._device.open(stream.inbox.offer), OPENING_PATIENCE_S))
        stream.inbox.release()

    async def _switch(self, former: OpenStream) -> OpenStream | None:
        """Open the selected microphone while the open one is used; use it without a gap once it delivers.

        Returns None if both cannot be open at once, if the open one no longer delivers, or if the selected one cannot
        be opened.
        """
        while former.first_chunk_s is not None and former.silent_s < OVERDUE_S:
            self._renewal.begin()
            following = OpenStream(self._take, self._inbox_s)
            try:
                opening = self._device.open_beside(following.inbox.offer)
                following.begin(await self._call(opening, OPENING_PATIENCE_S))
            except CaptureFault as fault:
                log.debug("the microphone cannot be opened beside the open one: %s", fault)
                return None
            await self._until_joinable(former, following)
            if not self._renewal.is_requested:
                self._join(former, following)
                await self._call(self._device.close_former())
                return following
            following.inbox.close()
        return None

    async def _until_joinable(self, former: OpenStream, following: OpenStream) -> None:
        """Wait until the new stream has delivered, and the old one reaches up to it; while both have a chance to."""
        while not self._renewal.is_requested and former.silent_s < OVERDUE_S and following.silent_s < FIRST_CHUNK_S:
            former.inbox.release()
            spoken_from_s = following.spoken_from_s() if following.is_settled else None
            if spoken_from_s is not None and self._framer.reaches(spoken_from_s):
                return
            await self._renewal.pause()

    def _join(self, former: OpenStream, following: OpenStream) -> None:
        """Use the new stream from the end of the old one's audio on."""
        former.inbox.release()
        self._drop_stream()
        self._stream = following
        spoken_from_s = following.spoken_from_s()
        if spoken_from_s is not None:
            self._framer.join_stream(spoken_from_s)
        else:
            self._framer.begin_stream()
            self._publish(CaptureState(CaptureCondition.OPENING))
        following.inbox.release()

    async def _until_lost(self, stream: OpenStream) -> str:
        """Watch the open stream; return the reason of its end, empty if it is to be renewed."""
        name = stream.opened.name
        while not await self._renewal.wait_for(stream.inbox.until_silent(OVERDUE_S, stream.opened_s)):
            limit_s = FIRST_CHUNK_S if stream.first_chunk_s is None else STALLED_S
            silent_s = stream.silent_s
            if silent_s >= limit_s:
                reason = f"the microphone “{name}” delivers no audio: it is suspended, or the sound server hangs"
                if stream.first_chunk_s is None or not await self._resumes(stream, reason):
                    return reason
                continue
            if not await self._call(self._device.is_delivering()):
                return f"the microphone “{name}” is missing: it was unplugged, or the sound server has stopped"
            await self._renewal.pause(min(OVERDUE_S, limit_s - silent_s))
        return ""

    async def _resumes(self, stream: OpenStream, reason: str) -> bool:
        """Report the silent stream as lost, wait for the sound server, and return whether the stream has resumed.

        A server that was frozen delivers what it recorded meanwhile, and later audio, to a stream that stayed open.
        What is still missing becomes a gap before that audio, not in the middle of the next word.
        """
        inbox = stream.inbox
        silent_since_s = inbox.last_offer_s
        self._publish(CaptureState(CaptureCondition.LOST, reason=reason))
        inbox.gather(inbox.limit_samples)
        await self._call(self._device.wait_for_server())
        await self._renewal.wait_for(inbox.until_heard(silent_since_s, RESUMED_S))
        if inbox.last_offer_s <= silent_since_s:
            return False
        await self._renewal.pause(BACKLOG_S)
        stream.is_resumed = True
        stream.pace(attentive=self._attentive)
        inbox.release()
        return True

    async def _call(self, call: "asyncio.Future[T]", patience_s: float = CALL_PATIENCE_S) -> T:
        """Wait for a device call and publish that it hangs; the attempt counts as made when the call has ended.

        While another stream delivers meanwhile, nothing is lost yet.
        """
        self._last_attempt_s = float("inf")
        try:
            while (await asyncio.wait({call}, timeout=patience_s))[1]:
                is_heard = self._stream is not None and self._stream.silent_s < STALLED_S
                if self._state.condition is not CaptureCondition.LOST and not is_heard:
                    self._publish(CaptureState(CaptureCondition.LOST, reason=self._device.pending_call))
            return await call
        finally:
            abandon(call)
            self._last_attempt_s = time.monotonic()

    def _drop_stream(self) -> None:
        """Ignore all further chunks of the stream."""
        if self._stream is not None:
            self._stream.inbox.close()
            self._stream = None

    def _take(self, stream: OpenStream, delivery: Delivery) -> None:
        opened = stream.opened
        if delivery.dropped_samples:
            log_dropped(delivery.dropped_samples)
            self._on_item(self._framer.dropped(delivery.dropped_samples))
        if stream.is_resumed and delivery.chunks:
            stream.is_resumed = False
            self._take_items(self._framer.stalled(delivery.chunks, opened.latency_s))
        for chunk in delivery.chunks:
            if self._state.condition is not CaptureCondition.OPEN or self._state.microphone != opened.name:
                self._publish(CaptureState(CaptureCondition.OPEN, microphone=opened.name))
            if stream.first_chunk_s is None:
                stream.first_chunk_s = chunk.arrived_s
                self._renewal.end()
                stream.pace(attentive=self._attentive)
            self._take_items(self._framer.take(chunk, opened.latency_s))

    def _take_items(self, items: Sequence[Frame | Gap]) -> None:
        if any(isinstance(item, Frame) for item in items):
            self._last_frame_s = time.monotonic()
        for item in items:
            if isinstance(item, Gap):
                log_gap(item)
            self._on_item(item)

    def _publish(self, state: CaptureState) -> None:
        if state == self._state:
            return
        before, self._state = self._state, state
        log_state(before, state)
        self._on_state(state)
