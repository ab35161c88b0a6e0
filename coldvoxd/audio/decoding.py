"""libsndfile decoders for files and for the bytes of a stream."""

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from typing import Any

import soundfile

from coldvoxd.audio.library_stderr import hushed
from coldvoxd.audio.streams import Stream


class SequentialSound(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """An audio file that is read sequentially.

    soundfile seeks after each read if the file is seekable. libsndfile cannot seek in a FLAC of unknown length, and in
    a damaged OGG it skips the damage by guessing.

    The decoder's own messages about damage are discarded.
    """

    def __init__(self, content: int | BufferedIOBase) -> None:
        with hushed():
            super().__init__(content, closefd=False)

    def seekable(self) -> bool:
        return False

    def read(self, *arguments: Any, **options: Any) -> Any:
        with hushed():
            return super().read(*arguments, **options)


def decoded(content: int | BufferedIOBase) -> SequentialSound:
    """A decoder of a whole file, which reads a descriptor with its own offset. Raises LibsndfileError."""
    return SequentialSound(content)


@contextmanager
def decoded_stream(stream: Stream) -> Iterator[SequentialSound]:
    """A decoder of a stream inside a file. Raises LibsndfileError, OSError."""
    pieces = stream.content or ()
    with decoded_bytes(b"".join(pieces)) if stream.is_sought_in else _piped(pieces) as sound:
        yield sound


@contextmanager
def _piped(pieces: Iterable[bytes]) -> Iterator[SequentialSound]:
    """A decoder of bytes that a thread writes into a pipe.

    libsndfile does not guess a length for a pipe. When this has ended, the pieces have been consumed to the last one,
    or to where the decoder stopped. Nothing is written to a disk, and no memory must be executable, as libsndfile's
    calls into Python would require.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    faults: list[Exception] = []

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            try:
                for piece in pieces:
                    pipe.write(piece)
            except BrokenPipeError:
                raise  # the decoder has stopped reading
            except Exception as fault:  # noqa: BLE001 - the thread ends here; the reader raises it
                faults.append(fault)

    writer = threading.Thread(target=write, name="audio stream", daemon=True)
    try:
        writer.start()
    except RuntimeError as error:
        os.close(reading)
        os.close(writing)
        raise OSError(errno.EAGAIN, str(error)) from error
    try:
        with decoded(reading) as sound:
            yield sound
    finally:
        os.close(reading)
        writer.join()
    if faults:
        raise faults[0]


@contextmanager
def decoded_bytes(content: bytes) -> Iterator[SequentialSound]:
    """A decoder of a small file in memory. Raises LibsndfileError, OSError."""
    memory = os.memfd_create("audio", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(memory), "wb") as file:
            file.write(content)
        os.lseek(memory, 0, os.SEEK_SET)
        with decoded(memory) as sound:
            yield sound
    finally:
        os.close(memory)
