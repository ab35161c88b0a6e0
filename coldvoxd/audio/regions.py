"""The audio of a file whose header gives its position: where it really ends, and how to decode only the audio.

Recorders that were killed, and programs that write into a pipe, leave sizes of 0, of all ones, or of an earlier moment;
other files, tags or any other data may follow the audio. libsndfile then reads nothing, a part, or rejects the file.
"""

import struct
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from coldvoxd.audio import mpeg, signatures
from coldvoxd.audio.streams import SHORTEST_DAMAGE_S, Content, Stream

MOST_STREAM_BYTES = 1 << 30
"""Maximum size of a stream: headers are limited to 2 or 4 GiB."""
MOST_CHUNKS = 1000
_UNKNOWN_IN_4_BYTES = 0x7EFF_FFFF
_UNKNOWN_IN_8_BYTES = 1 << 62


def known_size(size: int, size_bytes: int = 4) -> int | None:
    """A size from a header; None for placeholders of an unknown size.

    These are 0, and the maximum of 4 or 8 bytes, signed or unsigned, rounded down (sox, arecord, ffmpeg).
    """
    return size if 0 < size < (_UNKNOWN_IN_4_BYTES if size_bytes == 4 else _UNKNOWN_IN_8_BYTES) else None


@dataclass(frozen=True, slots=True)
class Chunks:
    """The layout of the chunks of a format."""

    head: struct.Struct
    """Name and size."""
    aligned_to: int
    counts_head: bool = False
    """Whether the size includes the header."""

    def at(self, content: Content, offset: int) -> tuple[bytes, int] | None:
        """Name of the chunk at `offset` and size of its body; None at the end of the file."""
        read = content.at(offset, self.head.size)
        if len(read) < self.head.size:
            return None
        name, size = self.head.unpack(read)
        return name, max(size - self.head.size, 0) if self.counts_head else size

    def walk(self, content: Content, offset: int) -> Iterator[tuple[bytes, int, int]]:
        """Name, offset and size of the bodies of the chunks from `offset` on."""
        for _ in range(MOST_CHUNKS):
            found = self.at(content, offset)
            if found is None:
                return
            name, size = found
            yield name, offset + self.head.size, size
            offset += self.head.size + size + -size % self.aligned_to

    def is_one(self, content: Content, offset: int) -> bool:
        """Whether there is a complete chunk at `offset`, and not another file."""
        found = self.at(content, offset)
        if found is None or signatures.kind_of(content.at(offset, signatures.HEAD_BYTES)) is not None:
            return False
        name, size = found
        is_name = all(0x20 <= byte < 0x7F for byte in name[:4])
        return is_name and offset + self.head.size + size <= content.size + 1

    def behind(self, content: Content, offset: int) -> int:
        """The offset after the chunks at `offset`, with or without padding bytes."""
        for _ in range(MOST_CHUNKS):
            padding = -offset % self.aligned_to
            places = [offset + padding, offset] if padding else [offset]
            place = next((place for place in places if self.is_one(content, place)), None)
            if place is None:
                break
            found = self.at(content, place)
            offset = place + self.head.size + (found[1] if found else 0)
        return min(offset, content.size)


@dataclass(frozen=True, slots=True)
class Region:
    """The audio of one file."""

    rate: int
    channels: int
    begin: int
    """Offset of its first byte."""
    promised: int | None
    """Number of bytes according to the header; None if it does not say."""
    align: int
    """Size in bytes of an indivisible unit."""
    bytes_per_s: int
    head: Callable[[int], bytes]
    """A header for a file with this many bytes of audio."""
    chunks: Chunks | None
    """The layout of the chunks after the audio; None for a format without chunks."""
    is_sought_in: bool = False
    """Whether libsndfile cannot decode its codec from a pipe."""
    is_regular: bool = True
    """Whether libsndfile finds the audio itself, if its size is correct and there is no other data in the file."""

    def seconds(self, content: Content) -> float:
        """Approximate length from the header; otherwise the maximum length of the rest of the file. Raises OSError."""
        held = max(content.size - self.begin, 0)
        return (held if self.promised is None else self.promised) / max(self.bytes_per_s, 1)

    def first_stream(self, content: Content) -> Stream:
        """The beginning of its audio. Raises OSError."""
        end = min(self.begin + self.align * 4096, content.size)
        return Stream(self._as_file(content, self.begin, end), is_sought_in=self.is_sought_in)

    def streams(self, content: Content) -> Generator[Stream, None, int]:
        """Its audio. Returns the offset at which other data may follow. Raises OSError."""
        end, behind = self._ends(content)
        held = max(end - self.begin, 0)
        share = self.promised / held if self.promised is not None and held else None
        if self._is_readable_whole(content, end, behind):
            yield Stream(None, promised_share=share)
            return behind
        if not held:
            yield Stream(())
            return behind
        step = MOST_STREAM_BYTES // self.align * self.align
        for begin in range(self.begin, end, step):
            stream_end = min(begin + step, end)
            yield Stream(
                self._as_file(content, begin, stream_end),
                is_sought_in=self.is_sought_in,
                promised_share=share if held <= step else None,
            )
        return behind

    def _is_readable_whole(self, content: Content, end: int, behind: int) -> bool:
        """Whether libsndfile, given the file, reads exactly this audio."""
        if self.promised is None or not self.is_regular or not content.is_whole_file or behind < content.size:
            return False
        return end == min(self.begin + self.promised, content.size)

    def _ends(self, content: Content) -> tuple[int, int]:
        """The offset after the audio, and the one at which other data may follow."""
        size = content.size
        if self.promised is None:
            if self._behind_chunks(content, self.begin) > self.begin:
                return self.begin, self._behind_chunks(content, self.begin)
            return (self._next(content, self.begin, size) or size,) * 2
        end = self.begin + self.promised
        if end >= size:
            return (self._next(content, self.begin, size) or size,) * 2
        behind = self._behind_chunks(content, end)
        if _is_end(content, behind):
            return end, behind
        if (inside := self._next(content, self.begin, end)) is not None:
            return inside, inside
        following = self._next(content, end, size) or size
        return (end, behind) if following - end < SHORTEST_DAMAGE_S * self.bytes_per_s else (following, following)

    def _next(self, content: Content, begin: int, end: int) -> int | None:
        """The offset of another file within bytes that may be audio."""
        found = signatures.find(content, begin, end)
        header = mpeg.find_header(content, begin, end if found is None else found)
        return found if header is None else header

    def _behind_chunks(self, content: Content, offset: int) -> int:
        return offset if self.chunks is None else self.chunks.behind(content, offset)

    def _as_file(self, content: Content, begin: int, end: int) -> Iterator[bytes]:
        yield self.head(end - begin)
        yield from content.from_offset(begin, end)


def _is_end(content: Content, offset: int) -> bool:
    """Whether only tags and padding follow, up to the end of the file or to another file."""
    behind = signatures.behind_padding(content, offset)
    if behind >= content.size:
        return True
    if signatures.kind_of(content.at(behind, signatures.HEAD_BYTES)) is not None:
        return True
    return mpeg.find(content, behind, behind + 1) is not None
