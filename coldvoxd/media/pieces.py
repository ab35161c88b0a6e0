"""Cuts decoded audio into pieces in memory, each a WAV file that the daemon takes, without ever holding two of them."""

import fcntl
import os
import struct
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coldvoxd.audio.riff import wav_head
from coldvoxd.core.channels import AUTO, Channel
from coldvoxd.core.mixdown import mixed, taken
from coldvoxd.core.ports import SpeechDetector
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.files.recording_split import pause
from coldvoxd.files.speech_map import SpeechMap
from coldvoxd.media.conversion import Samples

MOST_BYTES = 256 << 20
"""Maximum size of a piece in memory."""
MOST_S = 1800.0
"""Maximum length of a piece in seconds: 58 MB per channel."""
SEARCH_S = 120.0
"""A piece is cut in the longest pause of its last seconds."""
OVERLAP_S = 5.0
"""Seconds by which two pieces reach beyond a cut if there is no pause; `files.overlap` joins their words."""
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_HEAD_BYTES = 44
_SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a recording."""

    descriptor: int
    """A sealed memory file with 16-bit WAV at 16 kHz. It is closed when the next piece is requested."""
    start_s: float
    """Its beginning in the recording, in seconds. It overlaps the piece before if that ends later."""
    end_s: float
    is_last: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Where pieces end."""

    most_s: float = MOST_S
    most_bytes: int = MOST_BYTES
    search_s: float = SEARCH_S
    overlap_s: float = OVERLAP_S

    def samples(self, channels: int) -> int:
        """Maximum number of samples of a piece, per channel."""
        return min(round(self.most_s * SAMPLE_RATE), (self.most_bytes - _HEAD_BYTES) // (_SAMPLE_BYTES * channels))


def pieces(
    blocks: Iterable[Samples],
    open_detector: Callable[[], SpeechDetector],
    channel: Channel = AUTO,
    limits: Limits = Limits(),
) -> Generator[Piece, None, None]:
    """Yield the pieces of a recording, whose audio comes in blocks, int16 (n, channels) at 16 kHz.

    Together they contain all of it. Detectors find the pauses of a recording that is longer than a piece, on the channel
    that is chosen.
    """
    memory: _Memory | None = None
    try:
        for block in blocks:
            memory = memory or _Memory(block.shape[1], 0)
            rest = block
            while len(rest) >= (room := limits.samples(memory.channels) - memory.samples):
                memory.write(rest[:room])
                rest = rest[room:]
                end, following = _cut(memory, open_detector, channel, limits)
                tail = memory.read(following, memory.samples)
                yield memory.sealed(end, is_last=False)
                memory.close()
                memory = _Memory(memory.channels, memory.first + following)
                memory.write(tail)
            memory.write(rest)
        if memory is not None and memory.samples:
            yield memory.sealed(memory.samples, is_last=True)
    finally:
        if memory is not None:
            memory.close()


class _Memory:
    """A WAV file in memory that grows."""

    def __init__(self, channels: int, first: int) -> None:
        """`first` is the place of its first sample in the recording."""
        self.channels = channels
        self.first = first
        self.samples = 0
        self._descriptor = os.memfd_create("recording", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.pwrite(self._descriptor, bytes(_HEAD_BYTES), 0)

    def write(self, samples: Samples) -> None:
        """Append int16 (n, channels)."""
        content = memoryview(samples.astype("<i2").tobytes())
        offset = self._offset(self.samples)
        while content:
            written = os.pwrite(self._descriptor, content, offset)
            content, offset = content[written:], offset + written
        self.samples += len(samples)

    def read(self, begin: int, end: int) -> Samples:
        """The samples in [begin, end)."""
        content = os.pread(self._descriptor, self._offset(end) - self._offset(begin), self._offset(begin))
        return np.frombuffer(content, "<i2").reshape(-1, self.channels)

    def sealed(self, samples: int, *, is_last: bool) -> Piece:
        """The file with this many samples, which can no longer be changed."""
        os.ftruncate(self._descriptor, self._offset(samples))
        frame_bytes = _SAMPLE_BYTES * self.channels
        fmt = struct.pack(
            "<HHIIHH", 1, self.channels, SAMPLE_RATE, SAMPLE_RATE * frame_bytes, frame_bytes, 8 * _SAMPLE_BYTES
        )
        os.pwrite(self._descriptor, wav_head(fmt, samples * frame_bytes), 0)
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        end = self.first + samples
        return Piece(self._descriptor, self.first / SAMPLE_RATE, end / SAMPLE_RATE, is_last)

    def close(self) -> None:
        """Close the descriptor. Repeated calls have no effect."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _offset(self, sample: int) -> int:
        return _HEAD_BYTES + sample * _SAMPLE_BYTES * self.channels


def _cut(
    memory: _Memory, open_detector: Callable[[], SpeechDetector], channel: Channel, limits: Limits
) -> tuple[int, int]:
    """Where to end a full piece, and where to begin the next one, in samples of this one."""
    frames = min(round(limits.search_s * SAMPLE_RATE), memory.samples // 2) // FRAME_SAMPLES
    begin = memory.samples - frames * FRAME_SAMPLES
    found = SpeechMap(open_detector(), open_detector())
    for at in range(begin, memory.samples, 100 * FRAME_SAMPLES):
        waves = memory.read(at, min(at + 100 * FRAME_SAMPLES, memory.samples)).astype(np.float32) / np.float32(32768)
        found.note(_heard(waves, channel))
    middle = pause(found.speech)
    if middle is not None:
        return (begin + middle * FRAME_SAMPLES,) * 2
    reach = min(round(limits.overlap_s * SAMPLE_RATE) // FRAME_SAMPLES, frames // 4)
    quietest = reach + int(np.argmin(found.level_db[reach : frames - reach]))
    return begin + (quietest + reach) * FRAME_SAMPLES, begin + (quietest - reach) * FRAME_SAMPLES


def _heard(waves: npt.NDArray[np.float32], channel: Channel) -> npt.NDArray[np.float32]:
    """Frames for SpeechMap: float32 (frames, 512) of the chosen channel, or (frames, 512, channels) for `auto`."""
    frames = waves.reshape(-1, FRAME_SAMPLES, waves.shape[1])
    if channel.automatic:
        return frames
    if 0 < channel.number <= waves.shape[1]:
        return np.stack([taken(frame, channel.number) for frame in frames])
    return np.stack([mixed(frame) for frame in frames])
