"""A file for PyAV, whose interrupts are not lost."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")


class Interrupted(Exception):
    """Replaces KeyboardInterrupt within PyAV."""


class GuardedFile(io.RawIOBase):
    """Passes calls to a file. PyAV prints and ignores a KeyboardInterrupt within them, but raises an Exception again."""

    def __init__(self, file: io.RawIOBase) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return _guarded(lambda: self._file.seek(offset, whence))

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        return _guarded(lambda: self._file.readinto(buffer))


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except KeyboardInterrupt as error:
        raise Interrupted from error
