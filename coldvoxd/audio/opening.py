"""Opens audio files without blocking, and reads them without changing the offset of their descriptor."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from coldvoxd.audio.streams import Content
from coldvoxd.audio.unread_formats import CONVERT, complaint
from coldvoxd.core.errors import FileFault

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file that is open for reading."""

    content: Content
    _handle: int | io.BufferedIOBase
    """For libsndfile: a descriptor with its own offset, or a Python file."""

    def whole(self) -> int | io.BufferedIOBase:
        """The file at its beginning, for libsndfile. One decoder at a time."""
        if isinstance(self._handle, int):
            os.lseek(self._handle, 0, os.SEEK_SET)
        else:
            self._handle.seek(0)
        return self._handle

    def position(self) -> int:
        """How far the decoder of `whole` has read; slightly further than it has decoded."""
        return os.lseek(self._handle, 0, os.SEEK_CUR) if isinstance(self._handle, int) else self._handle.tell()


@contextmanager
def opened(source: Path | int, name: str) -> Iterator[Opened]:
    """The file at a path, or of a descriptor. Raises FileFault; also for libsndfile's errors in the context."""
    try:
        with ExitStack() as stack:
            descriptor = source
            if isinstance(descriptor, Path):
                descriptor = os.open(descriptor, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                stack.callback(os.close, descriptor)
            _check_kind(os.fstat(descriptor), name)
            content = Content(descriptor)
            try:
                yield Opened(content, _handle(descriptor, stack))
            except soundfile.LibsndfileError as error:
                unreadable = f"is not audio in a readable format ({error.error_string}): {CONVERT}"
                raise FileFault(f"{name} {complaint(content) or unreadable}") from error
    except FileNotFoundError as error:
        raise FileFault(f"there is no file {name}: check the name") from error
    except OSError as error:
        raise FileFault(f"{name} cannot be read: {error.strerror or error}") from error


def _check_kind(state: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise FileFault(f"{name} is a directory: give the names of the audio files in it")
    if not stat.S_ISREG(state.st_mode):
        raise FileFault(
            f"{name} is {kind_of(state.st_mode)}: give the name of a file, or pipe the content to `transcribe -`"
        )
    if state.st_size == 0:
        raise FileFault(f"{name} is empty: record it again, or copy it again from the original")


def kind_of(mode: int) -> str:
    """The kind of a file that is not regular, for messages: `a directory`."""
    kinds = {
        stat.S_ISDIR: "a directory",
        stat.S_ISSOCK: "a socket",
        stat.S_ISFIFO: "a pipe or FIFO",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((name for is_one, name in kinds.items() if is_one(mode)), "of an unknown kind")


def _handle(descriptor: int, stack: ExitStack) -> int | io.BufferedIOBase:
    """The file that libsndfile reads. Raises OSError.

    Only a file that cannot be opened again, because it belongs to another user, is read through Python, which requires
    memory that is both writable and executable: coldvoxd-cpu.conf and the download unit deny that.
    """
    try:
        again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return stack.enter_context(io.BufferedReader(DescriptorFile(descriptor)))
    stack.callback(os.close, again)
    return again


class DescriptorFile(io.RawIOBase):
    """Reads an open file by its descriptor with an offset of its own, so that its owner can keep using theirs."""

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
