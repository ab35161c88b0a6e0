"""The parts of a recording: consecutive encoded streams, each for its own decoder."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coldvoxd.audio.flac import StreamInfo

SHORTEST_DAMAGE_S = 0.1
"""Shorter damage, in seconds, is not reported, because encoders and editors round to their frames."""
READ_BYTES = 1 << 20
"""Size in bytes of the pieces in which a file is read."""


_CLOCK = re.compile(r"\b(?:(\d+):)?(\d+):(\d\d\.\d)\b")


def clock(seconds: float) -> str:
    """A time as players show it: `1:02:03.4`, and `2:03.4` below an hour."""
    tenths = round(seconds * 10)
    hours, minutes = tenths // 36_000, tenths // 600 % 60
    return f"{hours}:{minutes:02}:{tenths % 600 / 10:04.1f}" if hours else f"{minutes}:{tenths % 600 / 10:04.1f}"


def later(sentence: str, seconds: float) -> str:
    """The sentence with each time, as `clock` writes it, later by `seconds`."""

    def shifted(found: re.Match[str]) -> str:
        hours, minutes, rest = found.groups()
        return clock(3600 * int(hours or 0) + 60 * int(minutes) + float(rest) + seconds)

    return _CLOCK.sub(shifted, sentence)


class Content:
    """The bytes of an open regular file, or of its rest from an offset on.

    The offset of the descriptor is not changed.
    """

    def __init__(self, descriptor: int, begin: int = 0) -> None:
        """`begin` is the offset in the file at which this content starts."""
        self.descriptor = descriptor
        self._begin = begin

    @property
    def size(self) -> int:
        """Current number of bytes. Raises OSError."""
        return max(os.fstat(self.descriptor).st_size - self._begin, 0)

    @property
    def is_whole_file(self) -> bool:
        """Whether the content starts at the beginning of the file."""
        return self._begin == 0

    def rest(self, offset: int) -> "Content":
        """The bytes from `offset` on."""
        return Content(self.descriptor, self._begin + offset)

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset` on; fewer at the end of the file. Raises OSError."""
        count = min(count, max(self.size - offset, 0))  # a damaged header may have any number
        offset += self._begin
        parts: list[bytes] = []
        while count > 0 and (part := os.pread(self.descriptor, count, offset)):
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return b"".join(parts)

    def from_offset(self, offset: int, end: int | None = None) -> Iterator[bytes]:
        """The bytes in [offset, end), or to the end of the file, in pieces. Raises OSError."""
        while (wanted := READ_BYTES if end is None else min(READ_BYTES, end - offset)) > 0:
            piece = self.at(offset, wanted)
            if not piece:
                return
            yield piece
            offset += len(piece)


class Window:
    """Bytes of a file for a scanner that never goes back. Raises OSError."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._held = b""
        self._held_from = 0
        self.offset = 0
        """The offset of the next byte."""

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end of the file, without consuming them."""
        begin = self.offset - self._held_from
        if begin + count > len(self._held):
            rest = self._held[begin:]
            self._held = rest + self._content.at(self.offset + len(rest), max(READ_BYTES, count))
            self._held_from, begin = self.offset, 0
        return self._held[begin : begin + count]

    def take(self, count: int) -> bytes:
        """Consume the next `count` bytes."""
        taken = self.peek(count)
        self.offset += len(taken)
        return taken

    def skip(self, count: int) -> None:
        """Skip `count` bytes, which need not exist."""
        self.offset += count

    def skip_to(self, pattern: bytes, end: int | None = None) -> None:
        """Skip to the next `pattern`, or to the end of the file if there is none.

        Behind the offset `end`, which may be passed, no pattern need be found.
        """
        while len(self.peek(len(pattern))) == len(pattern):
            if end is not None and self.offset >= end:
                return
            found = self._held.find(pattern, self.offset - self._held_from)
            if found >= 0:
                self.offset = self._held_from + found
                return
            self.offset = self._held_from + len(self._held) - len(pattern) + 1
        self.offset += len(self.peek(len(pattern)))


@dataclass(slots=True)
class Stream:
    """One encoded stream of a recording, which is itself a file that libsndfile can decode.

    `keep` and `unfinished` are valid after `content` has been read to its end.
    """

    content: Iterable[bytes] | None
    """Its bytes, in order; empty if there is only damage to report; None for the file itself."""
    flac: "StreamInfo | None" = None
    """For a FLAC file, whose frames are decoded from the file; `end` is valid after that."""
    end: int | None = None
    """The offset after the frames."""
    is_sought_in: bool = False
    """Whether its decoder must seek, so that it must be in memory as a whole. For small streams."""
    continues: bool = False
    """Whether it continues the recording of the previous stream, whose promised length includes it."""
    gap_s: float = 0.0
    """Approximate seconds of the recording that are missing before it."""
    damaged: bool = False
    """Whether bytes before it could not be decoded."""
    foreign_bytes: int = 0
    """Number of bytes before it that are neither audio nor a tag."""
    skip: int = 0
    """Number of decoded frames at its start that are the encoder's delay."""
    keep: int | None = None
    """Number of frames after those; None for all that are decoded."""
    promised_s: float | None = None
    """Length in seconds according to its header; None if it does not say."""
    promised_share: float | None = None
    """The same in bytes: the number in the header divided by the actual number."""
    unfinished: bool = False
    """Whether it stops without the end mark of its format, or within a frame."""
