"""What a recording is made of: encoded streams, one after the other, each for a decoder of its own."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coldvoxd.audio.flac import StreamInfo

SHORTEST_DAMAGE_S = 0.1
"""What is shorter is not reported: encoders and editors round to their frames."""
READ_BYTES = 1 << 20
"""A file is read in pieces of this size."""


def clock(seconds: float) -> str:
    """`1:02:03.4`, as players show it, and `2:03.4` below an hour."""
    tenths = round(seconds * 10)
    hours, minutes = tenths // 36_000, tenths // 600 % 60
    return f"{hours}:{minutes:02}:{tenths % 600 / 10:04.1f}" if hours else f"{minutes}:{tenths % 600 / 10:04.1f}"


class Content:
    """The bytes of an open regular file, or of its rest from some place on, by their offset.

    The descriptor's own position is left alone.
    """

    def __init__(self, descriptor: int, begin: int = 0) -> None:
        """`begin` is the offset in the file of what has the offset 0 here."""
        self.descriptor = descriptor
        self._begin = begin

    @property
    def size(self) -> int:
        """Bytes that there are now. Raises OSError."""
        return max(os.fstat(self.descriptor).st_size - self._begin, 0)

    @property
    def is_whole_file(self) -> bool:
        """Whether offsets count from the beginning of the file."""
        return self._begin == 0

    def rest(self, offset: int) -> "Content":
        """The bytes from `offset` on."""
        return Content(self.descriptor, self._begin + offset)

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset` on; fewer at the end of the file. Raises OSError."""
        count = min(count, max(self.size - offset, 0))  # a damaged header may say any number
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
    """Bytes of a file that a scanner looks at one position after the other, never back. Raises OSError."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._held = b""
        self._held_from = 0
        self.offset = 0
        """Of the next byte."""

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end of the file."""
        begin = self.offset - self._held_from
        if begin + count > len(self._held):
            rest = self._held[begin:]
            self._held = rest + self._content.at(self.offset + len(rest), max(READ_BYTES, count))
            self._held_from, begin = self.offset, 0
        return self._held[begin : begin + count]

    def take(self, count: int) -> bytes:
        """The next `count` bytes, which are passed."""
        taken = self.peek(count)
        self.offset += len(taken)
        return taken

    def skip(self, count: int) -> None:
        """Pass `count` bytes, which need not be there."""
        self.offset += count

    def skip_to(self, pattern: bytes, end: int | None = None) -> None:
        """Pass everything before the next `pattern`, or the rest of the file where there is none.

        From the offset `end` on, which may be passed, there is no need to find one.
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
    """One encoded stream of a recording, in itself a file that libsndfile can decode.

    `keep` and `unfinished` are known once `content` has been read to its end.
    """

    content: Iterable[bytes] | None
    """Its bytes, in order; none where only damage is left to report; None: the file itself, as it is."""
    flac: "StreamInfo | None" = None
    """Of a FLAC file, whose frames are decoded from the file; `end` is then known once they have been."""
    end: int | None = None
    """The offset behind them."""
    is_sought_in: bool = False
    """Its decoder goes back and forth in it, so that it must be there as a whole. For small ones."""
    continues: bool = False
    """It goes on with the recording of the stream before, and that one's promise holds for both."""
    gap_s: float = 0.0
    """About how much of the recording is missing before it, in seconds."""
    damaged: bool = False
    """Bytes that can't be decoded stood before it."""
    foreign_bytes: int = 0
    """So many bytes stood before it that are neither sound nor a tag."""
    skip: int = 0
    """So many decoded frames at its start are the encoder's delay, and not part of the recording."""
    keep: int | None = None
    """How many frames it holds after those; None for all that are decoded."""
    promised_s: float | None = None
    """Seconds that its header says it holds; None where the header doesn't say."""
    promised_share: float | None = None
    """The same by bytes, where those are known: how many its header says by how many are there."""
    unfinished: bool = False
    """It stops without the mark that its format puts at the end, or within a frame."""
