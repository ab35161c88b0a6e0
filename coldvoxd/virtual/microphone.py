"""A simulated microphone that plays what is commanded over a socket, for tests without sound hardware."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.ports import OpenedMicrophone
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.virtual.commands import CommandServer
from coldvoxd.virtual.processor_wait import ProcessorWait
from coldvoxd.virtual.sound import SILENCE, noise, speech

CHUNK_S = FRAME_SAMPLES / SAMPLE_RATE
QUIET_CHUNKS = 2
"""Number of chunks delivered together while nothing is queued: 64 ms, as in PortAudio's buffers, because each delivery
costs a wakeup."""
_BACKGROUND = np.concatenate(SILENCE)
_BACKGROUND.flags.writeable = False  # chunks are views of it
LATE_S = 0.5
"""If the pace falls behind by more seconds (the process was stopped), the missed audio is reported as an overrun. Waiting for
a processor does not count: a sound server runs in another process, at a real-time priority, and its buffer bridges that."""


@dataclass(slots=True)
class _Playing:
    samples: npt.NDArray[np.int16]
    position: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class VirtualMicrophone:
    """The Microphone port without a device: delivers chunks of 32 ms, or 64 ms of background noise, in real time.

    Commands arrive over a Unix socket of mode 0600, one per line; the answer is a line that starts with OK or ERROR.
    SPEAK, SILENCE, ZEROS and NOISE are queued, and answered when they have been played; the others act immediately:

        SPEAK FILE       an audio file of any rate and channel count
        SILENCE MS       very low noise, as between commands: the same in each run, and never digital silence
        ZEROS MS         digital silence
        NOISE MS DBFS    white noise of that level
        OVERRUN MS       this much audio is lost, and reported by the overflow flag
        STALL MS         the stream stalls; its audio is lost
        UNPLUG, PLUG     the stream ends and cannot be opened until PLUG
        STATUS           `OK open=yes plugged=yes stalled=no queued_s=0.000`

    The socket exists from the first `open` to `shutdown` or the end of the process.
    """

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._lock = threading.Lock()
        self._server: CommandServer | None = None
        self._deliver: Callable[[Chunk], None] | None = None
        self._queue: deque[_Playing] = deque()
        self._background = 0
        """Current position in the background noise."""
        self._plugged = True
        self._overflowed = False
        self._stalled_until_s = float("-inf")
        self._ended = threading.Event()

    def open(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        if self._server is None:
            self._server = CommandServer(self._path, self._obey)
            threading.Thread(target=self._run, name="virtual-microphone", daemon=True).start()
        with self._lock:
            if not self._plugged:
                raise CaptureFault("the virtual microphone is unplugged; send it PLUG")
            self._deliver = deliver
        return OpenedMicrophone(name=f"virtual:{self._path}", latency_s=0.0)

    def open_beside(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:  # noqa: ARG002 - the Protocol's
        raise CaptureFault("the virtual microphone has one stream only")

    def close_former(self) -> None:
        """There is none."""

    def is_delivering(self) -> bool:
        return self._deliver is not None

    def wait_for_server(self) -> None:
        """There is none."""

    def close(self) -> None:
        with self._lock:
            self._deliver = None

    def shutdown(self) -> None:
        """Close, and remove the socket."""
        self.close()
        self._ended.set()
        if self._server is not None:
            self._server.close()

    def _run(self) -> None:
        with ProcessorWait() as wait:
            waited_s, due_s = wait.seconds(), time.monotonic()
            while not self._ended.is_set():
                chunks = 1 if self._queue else QUIET_CHUNKS
                due_s += chunks * CHUNK_S
                counted_s = wait.seconds()  # before the time is taken: reading it may itself wait for a processor
                ahead_s = due_s - time.monotonic()
                if ahead_s > 0:
                    waited_s = counted_s
                    time.sleep(ahead_s)  # an Event's wait would take twice the CPU time
                with self._lock:
                    missed_s = -ahead_s - LATE_S
                    if missed_s > 0 and missed_s > wait.seconds() - waited_s:
                        for _ in range(int(-ahead_s / CHUNK_S)):
                            self._next_samples(FRAME_SAMPLES)
                            due_s += CHUNK_S
                        self._overflowed = True
                    self._tick(chunks * FRAME_SAMPLES)

    def _tick(self, count: int) -> None:
        """Advance by this many samples. Holds the lock, so that nothing is delivered after `close` has returned."""
        samples = self._next_samples(count)
        now_s = time.monotonic()
        if self._deliver is None or now_s < self._stalled_until_s:
            return
        overflow, self._overflowed = self._overflowed, False
        self._deliver(Chunk(samples=samples, arrived_s=now_s, overflow=overflow))

    def _next_samples(self, count: int) -> npt.NDArray[np.int16]:
        """The queued audio, followed by the background: int16 (count,), read-only."""
        if self._background + count > len(_BACKGROUND):
            self._background = 0
        samples = _BACKGROUND[self._background : self._background + count]
        self._background += count
        if not self._queue:
            return samples
        samples, filled = samples.copy(), 0
        while self._queue and filled < count:
            playing = self._queue[0]
            taken = playing.samples[playing.position : playing.position + count - filled]
            samples[filled : filled + len(taken)] = taken
            filled += len(taken)
            playing.position += len(taken)
            if playing.position == len(playing.samples):
                playing.done.set()
                self._queue.popleft()
        return samples

    def _obey(self, command: str, argument: str) -> str:
        """Run one command on its connection's thread; raises ValueError with the reason if it is invalid."""
        match command.upper():
            case "SPEAK":
                return self._play(speech(Path(argument)))
            case "SILENCE":
                count = _samples(argument)
                return self._play(np.resize(_BACKGROUND, count))
            case "ZEROS":
                return self._play(np.zeros(_samples(argument), dtype=np.int16))
            case "NOISE":
                milliseconds, _, dbfs = argument.partition(" ")
                return self._play(noise(_samples(milliseconds), float(dbfs)))
            case "OVERRUN" | "STALL" as fault:
                with self._lock:
                    self._stalled_until_s = time.monotonic() + _samples(argument) / SAMPLE_RATE
                    self._overflowed = self._overflowed or fault == "OVERRUN"
                return "OK"
            case "UNPLUG":
                with self._lock:
                    self._plugged, self._deliver = False, None
                return "OK"
            case "PLUG":
                with self._lock:
                    self._plugged = True
                return "OK"
            case "STATUS":
                return self._status()
        raise ValueError(
            f"unknown command {command!r}; there are SPEAK FILE, SILENCE MS, ZEROS MS, NOISE MS DBFS, OVERRUN MS, "
            "STALL MS, UNPLUG, PLUG, STATUS"
        )

    def _play(self, samples: npt.NDArray[np.int16]) -> str:
        playing = _Playing(samples)
        if len(samples):
            with self._lock:
                self._queue.append(playing)
            while not playing.done.wait(0.5):
                if self._ended.is_set():
                    raise ValueError("the virtual microphone was shut down")
        return f"OK {len(samples) / SAMPLE_RATE:.3f}"

    def _status(self) -> str:
        with self._lock:
            queued = sum(len(playing.samples) - playing.position for playing in self._queue)
            facts = {
                "open": self._deliver is not None,
                "plugged": self._plugged,
                "stalled": time.monotonic() < self._stalled_until_s,
            }
        said = " ".join(f"{name}={'yes' if fact else 'no'}" for name, fact in facts.items())
        return f"OK {said} queued_s={queued / SAMPLE_RATE:.3f}"


def _samples(milliseconds: str) -> int:
    """The number of samples in this many milliseconds; raises ValueError if it is not a number from 0 to an hour."""
    value = int(milliseconds)
    if not 0 <= value <= 3_600_000:
        raise ValueError(f"{value} ms is not between 0 and an hour")
    return value * SAMPLE_RATE // 1000
