"""Audio files of any rate and channel count, read as 16 kHz mono."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from coldvoxd.core.errors import FileFault
from coldvoxd.core.values import SAMPLE_RATE

BLOCK_S = 5
"""Files are read so much at a time, so that their length doesn't matter."""
CONVERT = "convert it, for instance with `ffmpeg -i FILE -ar 16000 -ac 1 speech.flac`"


@dataclass(frozen=True, slots=True)
class AudioFile:
    """An audio file that can be read, from the beginning and as often as wanted."""

    path: Path
    sample_rate: int
    channels: int
    samples: int
    """About what `blocks` yields in all, at 16 kHz; the file's own word for it, which for damaged ones is wrong."""

    @classmethod
    def open(cls, path: Path) -> "AudioFile":
        """Look at the file's head. Raises FileFault with what to do for whatever is not audio that can be read."""
        with _opened(path) as file:
            samples = round(max(file.frames, 0) * SAMPLE_RATE / file.samplerate)
            return cls(path, file.samplerate, file.channels, samples)

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """The file's sound, float32 (n,) in [-1, 1] at 16 kHz, channels averaged, some seconds at a time.

        Raises FileFault where it is damaged, holds no sound at all or values that are not finite.
        """
        resampler = soxr.ResampleStream(self.sample_rate, SAMPLE_RATE, 1, dtype="float32")
        read = 0
        with _opened(self.path) as file:
            while len(block := _read(file, self.path, read)) > 0:
                read += len(block)
                mono = block.mean(axis=1, dtype=np.float32)
                yield mono if self.sample_rate == SAMPLE_RATE else resampler.resample_chunk(mono)
        if read == 0:
            raise FileFault(f"{self.path} holds no sound: it is an audio file without a single sample; record it again")
        if self.sample_rate != SAMPLE_RATE:
            yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    if path.is_dir():
        raise FileFault(f"{path} is a directory: name the audio files in it")
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise FileFault(f"{path} is empty: record it again, or fetch it anew")
        with path.open("rb") as content:
            try:
                file = soundfile.SoundFile(content)
            except soundfile.LibsndfileError as error:
                raise FileFault(f"{path} is not audio that can be read ({error.error_string}): {CONVERT}") from error
            except TypeError as error:  # by its name a format without a head, whose rate would have to be told
                raise FileFault(f"{path} is not audio that can be read (it has no header): {CONVERT}") from error
            with file:
                yield file
    except FileNotFoundError as error:
        raise FileFault(f"there is no file {path}: check its name") from error
    except OSError as error:
        raise FileFault(f"{path} can't be read: {error.strerror or error}") from error


def _read(file: soundfile.SoundFile, path: Path, position: int) -> npt.NDArray[np.float32]:
    """The next block, float32 (frames, channels); no frames at the end."""
    try:
        block: npt.NDArray[np.float32] = file.read(BLOCK_S * file.samplerate, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise FileFault(
            f"{path} is damaged after {position / file.samplerate:.1f} s ({error.error_string}): {CONVERT}, which may mend it"
        ) from error
    if not np.isfinite(block).all():
        raise FileFault(f"{path} holds NaN or infinite values after {position / file.samplerate:.1f} s: {CONVERT}")
    return block
