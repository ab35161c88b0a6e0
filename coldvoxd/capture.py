"""Capture: keeps the microphone open, and makes frames and gaps of what it delivers."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.ports import Microphone, OpenedMicrophone
from coldvoxd.core.reframe import Reframer
from coldvoxd.core.sample_clock import LOST_S, SampleClock
from coldvoxd.core.values import SAMPLE_RATE, Chunk, Frame, Gap, GapReason
from coldvoxd.inbox import Delivery, Inbox
from coldvoxd.lane import Lane

log = logging.getLogger(__name__)
T = TypeVar("T")

INBOX_S = 10.0
"""Audio held for an event loop that does not turn."""
GATHER_S = 0.768
"""While nobody is in a hurry, audio is taken in such portions: waking for each frame costs more than scoring it."""
OVERDUE_S = 0.3
"""Without a chunk for so long, the microphone is asked whether the stream has ended."""
STALLED_S = 1.0
"""Without a chunk for so long, the stream counts as lost, whatever the microphone says."""
RESUMED_S = 1.0
"""A stream that counts as lost is reopened if it delivers nothing within this time after the sound server has answered."""
BACKLOG_S = 0.25
"""Time in which a stream that delivers again has delivered what was recorded meanwhile."""
FIRST_CHUNK_S = 4.0
"""The same for the first chunk: a sound server that was idle may take 2 s to begin."""
CALL_PATIENCE_S = 1.5
"""A device call that takes longer is told as hanging; it is waited for all the same."""
NO_ANSWER = "neither the sound server nor the microphone's driver answers; `coldvoxctl doctor` shows which part hangs"
STEADY_S = 2.0
"""A stream that delivered for so long is reopened at once after its loss; after less, with the back-off."""
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 2.0
PROMISED_FRAME_S = 2.0
PROMISED_ATTEMPT_S = 5.0


class CaptureCondition(StrEnum):
    CLOSED = "closed"
    """By policy: not started, or stopped."""
    OPENING = "opening"
    """For the first time, or anew since another microphone is wanted; nothing has been heard from it yet."""
    OPEN = "open"
    """Audio arrives."""
    LOST = "lost"
    """No audio; the microphone is being reopened."""


@dataclass(frozen=True, slots=True)
class CaptureState:
    condition: CaptureCondition
    microphone: str = ""
    """Its name where one is open."""
    reason: str = ""
    """Where it is lost: why, as a sentence for people."""


class CaptureKeeper:
    """Keeps a microphone open for ever, and says in order what it hears.

    `on_item` receives Frames and Gaps, each starting where the one before ended; `on_state` each change of state;
    `on_device` whether the device is open. All are called on the event loop, to which everything here belongs. The
    sample count begins with the first audio and never goes back: time without a microphone counts by the monotonic
    clock, as a Gap before the next frame.

    All device calls go through one lane, since PortAudio's state belongs to the process: a call that hangs in a frozen
    sound server is told and waited for, not replaced.
    """

    def __init__(
        self,
        microphone: Microphone,
        on_item: Callable[[Frame | Gap], None],
        on_state: Callable[[CaptureState], None],
        inbox_s: float = INBOX_S,
        on_device: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_device = on_device
        self._device_open = False
        self._renewal = asyncio.Event()
        self._microphone = microphone
        self._next_microphone: Microphone | None = None
        self._on_item = on_item
        self._on_state = on_state
        self._inbox_s = inbox_s
        self._lane = Lane("microphone")
        self._clock = SampleClock()
        self._reframer = Reframer()
        self._task: asyncio.Task[None] | None = None
        self._inbox: Inbox | None = None
        self._opened = OpenedMicrophone(name="", latency_s=0.0)
        self._state = CaptureState(CaptureCondition.CLOSED)
        self._ending = False
        self._calling = False
        """A device call is in hand: from its submission until its end is known on the event loop, not on the lane."""
        self._attentive = True
        self._heard = False
        self._resumed = False
        """The next delivery is the first after a stream that stood still."""
        self._first_chunk_s: float | None = None
        self._last_frame_s = float("-inf")
        self._last_attempt_s = float("-inf")

    @property
    def state(self) -> CaptureState:
        return self._state

    @property
    def device_open(self) -> bool:
        """Whether the device is open: from the end of its opening to the end of its closing, however long that hangs."""
        return self._device_open

    @property
    def channels(self) -> int:
        """Of the microphone that is open, or was last."""
        return self._opened.channels

    @property
    def next_sample(self) -> int:
        """The count at which the next audio begins."""
        return self._reframer.next_sample

    def sample_at(self, monotonic_s: float) -> int:
        """The count of the sample spoken at that moment, the device's latency considered; it may be still to come."""
        return self._clock.sample_at(monotonic_s)

    def promise_kept(self, now_s: float) -> bool:
        """Whether capture does what it can.

        That is: a frame came within 2 s, or it is closed by policy, or an attempt to reopen was made and told within
        5 s. A call that hangs keeps the promise once it was reported: the watchdog would restart the daemon without a
        pause between two restarts, and Replacement, which reads `hanging_s`, has growing ones.
        """
        if self._state.condition is CaptureCondition.CLOSED:
            return True
        if now_s - self._last_frame_s <= PROMISED_FRAME_S or now_s - self._last_attempt_s <= PROMISED_ATTEMPT_S:
            return True
        return self._calling and self._state.condition is CaptureCondition.LOST

    def hanging_s(self, now_s: float) -> float:
        """For how many seconds the device call in hand has been running; 0 where there is none.

        Its thread cannot be ended, and every later call waits behind it: only a new process opens the microphone again.
        """
        since_s = self._lane.busy_since_s
        return now_s - since_s if since_s is not None else 0.0

    def attend(self, attentive: bool) -> None:
        """Whether frames are wanted as they come, or in portions, which costs less."""
        self._attentive = attentive
        self.catch_up()
        self._pace()

    def catch_up(self) -> None:
        """Tell at once what has been heard up to now."""
        if self._inbox is not None and self._first_chunk_s is not None:
            self._inbox.release()

    def start(self) -> None:
        """Open the microphone and keep it open until `release` or `close`. Returns at once; harmless while it is open."""
        if self._task is None and not self._ending:
            self._task = self._loop.create_task(self._keep(), name="capture")
            self._task.add_done_callback(_tell_of_failure)

    def use(self, microphone: Microphone) -> None:
        """From now on this one: the open one is closed and this one opened. Returns at once."""
        self._next_microphone = microphone
        self.renew()

    def renew(self) -> None:
        """Open the microphone anew and now: another one is wanted, or one that was missed may be there."""
        self._renewal.set()

    async def release(self, timeout_s: float = 2.0) -> None:
        """Close the microphone, by policy, until `start`; one that hangs is left to its lane after so long."""
        self.catch_up()
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if self._task is not None:
            return  # wanted again meanwhile: opening closes what was open
        self._silence()
        self._tell(CaptureState(CaptureCondition.CLOSED))
        closed = self._lane.submit(self._close_device)
        _, hanging = await asyncio.wait({closed}, timeout=timeout_s)
        if hanging:  # not cancelled: a call before it that hangs may open the device yet
            log.warning("microphone not closed within %.1f s: %s", timeout_s, NO_ANSWER)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Release it for good."""
        self._ending = True
        await self.release(timeout_s)
        self._lane.close()

    async def _keep(self) -> None:
        backoff_s = 0.0
        self._tell(CaptureState(CaptureCondition.OPENING))
        while True:
            self._last_attempt_s = time.monotonic()
            self._renewal.clear()
            if self._next_microphone is not None:
                self._microphone, self._next_microphone = self._next_microphone, None
            try:
                inbox = await self._open()
                reason = await self._until_lost(inbox)
            except CaptureFault as fault:
                reason = str(fault)
            if not reason:
                self._silence()
                self._tell(CaptureState(CaptureCondition.OPENING))
                await self._call(self._close_device)
                continue
            steady = self._first_chunk_s is not None and time.monotonic() - self._first_chunk_s > STEADY_S
            backoff_s = 0.0 if steady else min(LAST_BACKOFF_S, max(FIRST_BACKOFF_S, 2 * backoff_s))
            self._silence()
            self._tell(CaptureState(CaptureCondition.LOST, reason=reason))
            await self._call(self._close_device)
            await self._pause(backoff_s)

    async def _open(self) -> Inbox:
        self._silence()
        self._first_chunk_s = None
        inbox = Inbox(self._take, self._inbox_s)
        self._inbox = inbox
        self._opened = await self._call(lambda: self._open_device(inbox))
        inbox.release()
        return inbox

    async def _until_lost(self, inbox: Inbox) -> str:
        """Watch the open stream; returns the reason of its end, none where it is to be renewed."""
        opened_s = time.monotonic()
        while not await self._renewed(inbox.until_silent(OVERDUE_S, opened_s)):
            limit_s = FIRST_CHUNK_S if self._first_chunk_s is None else STALLED_S
            silent_s = time.monotonic() - max(opened_s, inbox.last_offer_s)
            if silent_s >= limit_s:
                reason = f"the microphone “{self._opened.name}” delivers nothing: suspended, or the sound server hangs"
                if self._first_chunk_s is None or not await self._resumes(inbox, reason):
                    return reason
                continue
            if not await self._call(self._microphone.is_delivering):
                return f"the microphone “{self._opened.name}” is gone: unplugged, or the sound server has ended"
            await self._pause(min(OVERDUE_S, limit_s - silent_s))
        return ""

    async def _resumes(self, inbox: Inbox, reason: str) -> bool:
        """Report the silent stream as lost, wait for the sound server, and return whether the stream then delivers again.

        A server that was frozen delivers what it has recorded meanwhile, and what comes next, to a stream that stayed open.
        What is missing nevertheless becomes a gap before that, not in the middle of the next word.
        """
        silent_since_s = inbox.last_offer_s
        self._tell(CaptureState(CaptureCondition.LOST, reason=reason))
        inbox.gather(inbox.limit_samples)
        await self._call(self._microphone.wait_for_server)
        await self._renewed(inbox.until_heard(silent_since_s, RESUMED_S))
        if inbox.last_offer_s <= silent_since_s:
            return False
        await self._pause(BACKLOG_S)
        self._resumed = True
        self._pace()
        inbox.release()
        return True

    async def _renewed(self, event: Coroutine[None, None, None]) -> bool:
        """Wait for the event, or until the microphone is to be renewed; whether it is."""
        waits = [asyncio.ensure_future(one) for one in (event, self._renewal.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._renewal.is_set()

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until the microphone is to be renewed."""
        await self._renewed(asyncio.sleep(seconds))

    async def _call(self, call: Callable[[], T]) -> T:
        """A device call on the lane, told when it hangs; the attempt counts as made when it has ended."""
        future = self._lane.submit(call)
        self._calling = True
        _, hanging = await asyncio.wait({future}, timeout=CALL_PATIENCE_S)
        if hanging and self._state.condition is not CaptureCondition.LOST:
            self._tell(CaptureState(CaptureCondition.LOST, reason=NO_ANSWER))
        try:
            return await future
        finally:
            self._calling = False
            self._last_attempt_s = time.monotonic()

    def _open_device(self, inbox: Inbox) -> OpenedMicrophone:
        """On the lane."""
        opened = self._microphone.open(inbox.offer)
        self._loop.call_soon_threadsafe(self._tell_device, True)
        return opened

    def _close_device(self) -> None:
        """On the lane."""
        self._microphone.close()
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process is on its way out
            self._loop.call_soon_threadsafe(self._tell_device, False)

    def _tell_device(self, is_open: bool) -> None:
        if is_open != self._device_open:
            self._device_open = is_open
            self._on_device(is_open)

    def _pace(self) -> None:
        """The first chunk of a stream is always taken as it comes: until then nobody knows that there is one."""
        if self._inbox is not None:
            in_portions = self._first_chunk_s is not None and not self._attentive
            self._inbox.gather(round(GATHER_S * SAMPLE_RATE) if in_portions else 0)

    def _silence(self) -> None:
        """Whatever the stream still delivers is not ours any more."""
        if self._inbox is not None:
            self._inbox.close()
            self._inbox = None

    def _take(self, delivery: Delivery) -> None:
        if delivery.dropped_samples:
            log.warning("audio lost %.1f s: the daemon was too slow", delivery.dropped_samples / SAMPLE_RATE)
            self._on_item(self._reframer.skip(delivery.dropped_samples, GapReason.OVERRUN))
        if self._resumed and delivery.chunks:
            self._resumed = False
            self._skip_stall(delivery)
        for chunk in delivery.chunks:
            self._take_chunk(chunk)

    def _skip_stall(self, delivery: Delivery) -> None:
        """Report what the stream did not record while it stood still."""
        spoken_s = delivery.chunks[-1].arrived_s - self._opened.latency_s
        held_samples = sum(len(chunk.samples) for chunk in delivery.chunks)
        missing = self._clock.behind(spoken_s, self._reframer.next_sample + held_samples)
        if missing > LOST_S * SAMPLE_RATE:
            log.warning("audio lost %.1f s: the microphone skipped", missing / SAMPLE_RATE)
            self._on_item(self._reframer.skip(missing, GapReason.STALLED))

    def _take_chunk(self, chunk: Chunk) -> None:
        if self._state.condition is not CaptureCondition.OPEN or self._state.microphone != self._opened.name:
            self._tell(CaptureState(CaptureCondition.OPEN, microphone=self._opened.name))
        spoken_s = chunk.arrived_s - self._opened.latency_s
        if self._first_chunk_s is None:
            self._first_chunk_s = chunk.arrived_s
            missing = self._clock.missing_at_reopening(
                spoken_s - len(chunk.samples) / SAMPLE_RATE, self._reframer.next_sample
            )
            if self._heard:
                self._on_item(self._reframer.skip(missing, GapReason.REOPENED))
            self._heard = True
            self._pace()
        elif chunk.overflow:
            log.warning("audio lost: the sound server overran")
            missing = self._clock.behind(spoken_s, self._reframer.next_sample + len(chunk.samples))
            self._on_item(self._reframer.skip(missing, GapReason.OVERRUN))
        lost = self._clock.arrived(spoken_s, self._reframer.next_sample + len(chunk.samples))
        if lost:
            log.warning("audio lost %.1f s: the microphone skipped", lost / SAMPLE_RATE)
            self._on_item(self._reframer.skip(lost, GapReason.STALLED))
        frames = self._reframer.push(chunk.samples)
        if frames:
            self._last_frame_s = time.monotonic()
        for frame in frames:
            self._on_item(frame)

    def _tell(self, state: CaptureState) -> None:
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


def _tell_of_failure(task: asyncio.Task[None]) -> None:
    """A keeper that died of a fault of ours breaks its promise, so the watchdog ends the process; this says why."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("capture has failed", exc_info=error)
