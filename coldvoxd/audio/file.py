"""Audio files of any rate and channel count, read as 16 kHz mono."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from coldvoxd.core.errors import FileFault
from coldvoxd.core.values import SAMPLE_RATE

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK_S = 5
"""Files are read so much at a time, so that their length doesn't matter."""
BLOCK_VALUES = 2_000_000
"""And no more than so many values of all channels together."""
LOWEST_RATE, HIGHEST_RATE, MOST_CHANNELS = 1_000, 768_000, 32
"""What else a head claims is damage or malice, and would need memory beyond reason."""
UNKNOWN_FRAMES = 1 << 60
"""libsndfile's word for a length that is not known is at least this."""
CONVERT = "convert it, for instance with `ffmpeg -i FILE -ar 16000 -ac 1 speech.flac`"


@dataclass(frozen=True, slots=True)
class AudioFile:
    """An audio file that can be read, from the beginning and as often as wanted."""

    source: Path | int
    """Its path, or an open descriptor of a regular file, whose own position is left alone."""
    sample_rate: int
    channels: int
    samples: int
    """About what `blocks` yields in all, at 16 kHz; the file's own word for it, which for damaged ones is wrong.

    0 where the file doesn't say, as of recordings that were streamed."""

    @classmethod
    def open(cls, source: Path | int) -> "AudioFile":
        """Look at the file's head. Raises FileFault with what to do for whatever is not audio that can be read."""
        with _opened(source) as file:
            if not (LOWEST_RATE <= file.samplerate <= HIGHEST_RATE and file.channels <= MOST_CHANNELS):
                raise FileFault(
                    f"{_name(source)} says it has {file.channels} channels at {file.samplerate} Hz, which nothing that "
                    f"is spoken has: {CONVERT}"
                )
            frames = file.frames if 0 < file.frames < UNKNOWN_FRAMES else 0
            samples = round(frames * SAMPLE_RATE / file.samplerate)
            return cls(source, file.samplerate, file.channels, samples)

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """The file's sound, float32 (n,) in [-1, 1] at 16 kHz, channels averaged, some seconds at a time.

        Raises FileFault where it is damaged, holds no sound at all or values that are not finite.
        """
        resampler = soxr.ResampleStream(self.sample_rate, SAMPLE_RATE, 1, dtype="float32")
        read = 0
        with _opened(self.source) as file:
            while len(block := _read(file, _name(self.source), read)) > 0:
                read += len(block)
                mono = block.mean(axis=1, dtype=np.float32)
                yield mono if self.sample_rate == SAMPLE_RATE else resampler.resample_chunk(mono)
        if read == 0:
            raise FileFault(
                f"{_name(self.source)} holds no sound: it is an audio file without a single sample; record it again"
            )
        if self.sample_rate != SAMPLE_RATE:
            yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


class _Descriptor(io.RawIOBase):
    """Reads an open file by its descriptor with a position of its own: whoever handed it over may go on using theirs."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        self._position = max(0, offset + (os.fstat(self._descriptor).st_size if base is None else base))
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        read = os.preadv(self._descriptor, [buffer], self._position)
        self._position += read
        return read


def _name(source: Path | int) -> str:
    return "the file" if isinstance(source, int) else str(source)


@contextmanager
def _opened(source: Path | int) -> Iterator[soundfile.SoundFile]:
    name = _name(source)
    try:
        if isinstance(source, Path) and source.is_dir():
            raise FileFault(f"{name} is a directory: name the audio files in it")
        state = os.fstat(source) if isinstance(source, int) else source.stat()
        if stat.S_ISREG(state.st_mode) and state.st_size == 0:
            raise FileFault(f"{name} is empty: record it again, or fetch it anew")
        with _content(source) as content:
            try:
                file = soundfile.SoundFile(content, closefd=False)
            except soundfile.LibsndfileError as error:
                raise FileFault(f"{name} is not audio that can be read ({error.error_string}): {CONVERT}") from error
            with file:
                yield file
    except FileNotFoundError as error:
        raise FileFault(f"there is no file {name}: check its name") from error
    except OSError as error:
        raise FileFault(f"{name} can't be read: {error.strerror or error}") from error


@contextmanager
def _content(source: Path | int) -> Iterator[int | io.BufferedIOBase]:
    """What libsndfile reads: an open descriptor with a position of its own. Raises OSError.

    Only a file that is open and can't be opened once more, since it is somebody else's, is read through Python, for which
    memory must be writable and executable: coldvoxd-cpu.conf and the model's unit deny that.
    """
    with ExitStack() as stack:
        try:
            path = f"/proc/self/fd/{source}" if isinstance(source, int) else source
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            if not isinstance(source, int):
                raise
            content: int | io.BufferedIOBase = stack.enter_context(io.BufferedReader(_Descriptor(source)))
        else:
            stack.callback(os.close, descriptor)
            content = descriptor
        yield content


def _read(file: soundfile.SoundFile, name: str, position: int) -> npt.NDArray[np.float32]:
    """The next block, float32 (frames, channels); no frames at the end."""
    frames = min(BLOCK_S * file.samplerate, BLOCK_VALUES // file.channels)
    try:
        block: npt.NDArray[np.float32] = file.read(frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise FileFault(
            f"{name} is damaged after {position / file.samplerate:.1f} s ({error.error_string}): {CONVERT}, which may mend it"
        ) from error
    if not np.isfinite(block).all():
        raise FileFault(f"{name} holds NaN or infinite values after {position / file.samplerate:.1f} s: {CONVERT}")
    return block
