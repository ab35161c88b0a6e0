"""Capture: keeps the microphone open, and makes frames and gaps of what it delivers."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeVar

from coldvoxd.capture.chunk_queue import ChunkQueue, Delivery
from coldvoxd.capture.device import CaptureDevice
from coldvoxd.capture.framing import ChunkFramer
from coldvoxd.capture.state import CaptureCondition, CaptureState
from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.ports import Microphone
from coldvoxd.core.values import SAMPLE_RATE, Frame, Gap, GapReason

log = logging.getLogger(__name__)
T = TypeVar("T")

INBOX_S = 10.0
"""Seconds of audio that are queued while the event loop is blocked."""
GATHER_S = 0.768
"""Batch length in seconds while no session needs the audio: waking for each frame costs more than scoring it."""
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
CALL_PATIENCE_S = 1.5
"""Seconds after which a device call is reported as hanging; it is still awaited."""
NO_ANSWER = "neither the sound server nor the microphone's driver responds; `coldvoxctl doctor` shows which part hangs"
STEADY_S = 2.0
"""A stream that delivered for this many seconds is reopened at once after its loss; otherwise after the back-off."""
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
        self._inbox: ChunkQueue | None = None
        self._task: asyncio.Task[None] | None = None
        self._renewal = asyncio.Event()
        self._state = CaptureState(CaptureCondition.CLOSED)
        self._ending = False
        self._attentive = True
        self._is_resumed = False
        """The next delivery is the first after a stall."""
        self._first_chunk_s: float | None = None
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
        return self._device.opened.channels

    def sample_at(self, monotonic_s: float) -> int:
        """Return the count of the sample spoken at that moment, which may be in the future.

        Considers the device's latency.
        """
        return self._framer.sample_at(monotonic_s)

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
        self._pace()

    def catch_up(self) -> None:
        """Publish everything that has arrived."""
        if self._inbox is not None and self._first_chunk_s is not None:
            self._inbox.release()

    def start(self) -> None:
        """Open the microphone and keep it open until `release` or `close`.

        Returns at once; no effect while it is open.
        """
        if self._task is None and not self._ending:
            self._task = asyncio.get_running_loop().create_task(self._keep(), name="capture")
            self._task.add_done_callback(_log_failure)

    def use(self, microphone: Microphone) -> None:
        """Close the open microphone and open this one. Returns at once."""
        self._device.use(microphone)
        self.renew()

    def renew(self) -> None:
        """Reopen the microphone now: another one was selected, or a missing one may have returned."""
        self._renewal.set()

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
        self._drop_inbox()
        self._publish(CaptureState(CaptureCondition.CLOSED))
        _, hanging = await asyncio.wait({self._device.close()}, timeout=timeout_s)
        if hanging:  # not cancelled: an earlier call that hangs may still open the device
            log.warning("microphone not closed within %.1f s: %s", timeout_s, NO_ANSWER)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Close the microphone permanently."""
        self._ending = True
        await self.release(timeout_s)
        self._device.end()

    async def _keep(self) -> None:
        backoff_s = 0.0
        self._publish(CaptureState(CaptureCondition.OPENING))
        while True:
            self._last_attempt_s = time.monotonic()
            self._renewal.clear()
            try:
                reason = await self._until_lost(await self._open())
            except CaptureFault as fault:
                reason = str(fault)
            self._drop_inbox()
            if not reason:
                self._publish(CaptureState(CaptureCondition.OPENING))
                await self._call(self._device.close())
                continue
            steady = self._first_chunk_s is not None and time.monotonic() - self._first_chunk_s > STEADY_S
            backoff_s = 0.0 if steady else min(LAST_BACKOFF_S, max(FIRST_BACKOFF_S, 2 * backoff_s))
            self._publish(CaptureState(CaptureCondition.LOST, reason=reason))
            await self._call(self._device.close())
            await self._pause(backoff_s)

    async def _open(self) -> ChunkQueue:
        self._drop_inbox()
        self._first_chunk_s = None
        self._framer.begin_stream()
        inbox = ChunkQueue(self._take, self._inbox_s)
        self._inbox = inbox
        await self._call(self._device.open(inbox.offer))
        inbox.release()
        return inbox

    async def _until_lost(self, inbox: ChunkQueue) -> str:
        """Watch the open stream; return the reason of its end, empty if it is to be renewed."""
        opened_s = time.monotonic()
        name = self._device.opened.name
        while not await self._renewed(inbox.until_silent(OVERDUE_S, opened_s)):
            limit_s = FIRST_CHUNK_S if self._first_chunk_s is None else STALLED_S
            silent_s = time.monotonic() - max(opened_s, inbox.last_offer_s)
            if silent_s >= limit_s:
                reason = f"the microphone “{name}” delivers no audio: it is suspended, or the sound server hangs"
                if self._first_chunk_s is None or not await self._resumes(inbox, reason):
                    return reason
                continue
            if not await self._call(self._device.is_delivering()):
                return f"the microphone “{name}” is missing: it was unplugged, or the sound server has stopped"
            await self._pause(min(OVERDUE_S, limit_s - silent_s))
        return ""

    async def _resumes(self, inbox: ChunkQueue, reason: str) -> bool:
        """Report the silent stream as lost, wait for the sound server, and return whether the stream has resumed.

        A server that was frozen delivers what it recorded meanwhile, and later audio, to a stream that stayed open.
        What is still missing becomes a gap before that audio, not in the middle of the next word.
        """
        silent_since_s = inbox.last_offer_s
        self._publish(CaptureState(CaptureCondition.LOST, reason=reason))
        inbox.gather(inbox.limit_samples)
        await self._call(self._device.wait_for_server())
        await self._renewed(inbox.until_heard(silent_since_s, RESUMED_S))
        if inbox.last_offer_s <= silent_since_s:
            return False
        await self._pause(BACKLOG_S)
        self._is_resumed = True
        self._pace()
        inbox.release()
        return True

    async def _renewed(self, event: Coroutine[None, None, None]) -> bool:
        """Wait for the event, or until the microphone is to be renewed; return whether it is."""
        waits = [asyncio.ensure_future(one) for one in (event, self._renewal.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._renewal.is_set()

    async def _pause(self, seconds: float) -> None:
        """Wait for `seconds`, or until the microphone is to be renewed."""
        await self._renewed(asyncio.sleep(seconds))

    async def _call(self, call: "asyncio.Future[T]") -> T:
        """Wait for a device call and publish that it hangs; the attempt counts as made when the call has ended."""
        self._last_attempt_s = float("inf")
        _, hanging = await asyncio.wait({call}, timeout=CALL_PATIENCE_S)
        if hanging and self._state.condition is not CaptureCondition.LOST:
            self._publish(CaptureState(CaptureCondition.LOST, reason=NO_ANSWER))
        try:
            return await call
        finally:
            self._last_attempt_s = time.monotonic()

    def _pace(self) -> None:
        """Set the batch size.

        The first chunk of a stream is always delivered at once: only a chunk proves that the stream works.
        """
        if self._inbox is not None:
            in_portions = self._first_chunk_s is not None and not self._attentive
            self._inbox.gather(round(GATHER_S * SAMPLE_RATE) if in_portions else 0)

    def _drop_inbox(self) -> None:
        """Ignore all further chunks of the stream."""
        if self._inbox is not None:
            self._inbox.close()
            self._inbox = None

    def _take(self, delivery: Delivery) -> None:
        opened = self._device.opened
        if delivery.dropped_samples:
            log.warning("audio lost %.1f s: the daemon was too slow", delivery.dropped_samples / SAMPLE_RATE)
            self._on_item(self._framer.dropped(delivery.dropped_samples))
        if self._is_resumed and delivery.chunks:
            self._is_resumed = False
            self._take_items(self._framer.stalled(delivery.chunks, opened.latency_s))
        for chunk in delivery.chunks:
            if self._state.condition is not CaptureCondition.OPEN or self._state.microphone != opened.name:
                self._publish(CaptureState(CaptureCondition.OPEN, microphone=opened.name))
            if self._first_chunk_s is None:
                self._first_chunk_s = chunk.arrived_s
                self._pace()
            self._take_items(self._framer.take(chunk, opened.latency_s))

    def _take_items(self, items: Sequence[Frame | Gap]) -> None:
        if any(isinstance(item, Frame) for item in items):
            self._last_frame_s = time.monotonic()
        for item in items:
            if isinstance(item, Gap):
                _log_gap(item)
            self._on_item(item)

    def _publish(self, state: CaptureState) -> None:
        if state == self._state:
            return
        before, self._state = self._state, state
        match state.condition:
            case CaptureCondition.OPEN:
                log.info("microphone open: %s", state.microphone)
            case CaptureCondition.LOST:
                log.log(
                    logging.DEBUG if before.condition is CaptureCondition.LOST else logging.WARNING,
                    "microphone lost: %s",
                    state.reason,
                )
            case CaptureCondition.OPENING | CaptureCondition.CLOSED:
                log.info("microphone %s", state.condition)
        self._on_state(state)


def _log_gap(gap: Gap) -> None:
    """Log lost audio, except at a reopening, which has been logged as lost and open."""
    match gap.reason:
        case GapReason.OVERRUN:
            log.warning("audio lost: the sound server overran")
        case GapReason.STALLED:
            log.warning("audio lost %.1f s: the microphone skipped", gap.samples / SAMPLE_RATE)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log an internal error. Capture then no longer keeps its promise, so the watchdog ends the process."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("audio capture failed", exc_info=error)
