"""The sound of a file whose header gives its place: where it really ends, and how a decoder is given it alone.

Recorders that were killed and programs that write into a pipe leave sizes of 0, of all ones, or of an earlier moment;
other files, tags and anything else may stand behind the sound. libsndfile then reads nothing, a part, or refuses the file.
"""

import struct
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from coldvoxd.audio import mpeg, signatures
from coldvoxd.audio.streams import SHORTEST_DAMAGE_S, Content, Stream

MOST_STREAM_BYTES = 1 << 30
"""Sound is passed on in streams of at most this size, since headers count to 2 or 4 GiB."""
MOST_CHUNKS = 1000
_UNKNOWN_IN_4_BYTES = 0x7EFF_FFFF
_UNKNOWN_IN_8_BYTES = 1 << 62


def known_size(size: int, size_bytes: int = 4) -> int | None:
    """A size that a header gives; None for those that programs write where they know none.

    They are 0, and the most that fits in 4 or 8 bytes, with or without a sign, rounded down (sox, arecord, ffmpeg).
    """
    return size if 0 < size < (_UNKNOWN_IN_4_BYTES if size_bytes == 4 else _UNKNOWN_IN_8_BYTES) else None


@dataclass(frozen=True, slots=True)
class Chunks:
    """How the chunks of a format are laid out."""

    head: struct.Struct
    """Name and size."""
    aligned_to: int
    counts_head: bool = False
    """The size is that of the head too."""

    def at(self, content: Content, offset: int) -> tuple[bytes, int] | None:
        """Name of the chunk at `offset` and size of its body; None at the end of the file."""
        read = content.at(offset, self.head.size)
        if len(read) < self.head.size:
            return None
        name, size = self.head.unpack(read)
        return name, max(size - self.head.size, 0) if self.counts_head else size

    def walk(self, content: Content, offset: int) -> Iterator[tuple[bytes, int, int]]:
        """Name, offset and size of the bodies of the chunks from `offset` on, as far as there are any."""
        for _ in range(MOST_CHUNKS):
            found = self.at(content, offset)
            if found is None:
                return
            name, size = found
            yield name, offset + self.head.size, size
            offset += self.head.size + size + -size % self.aligned_to

    def is_one(self, content: Content, offset: int) -> bool:
        """Whether a whole chunk stands at `offset`, and not another file."""
        found = self.at(content, offset)
        if found is None or signatures.kind_of(content.at(offset, signatures.HEAD_BYTES)) is not None:
            return False
        name, size = found
        is_name = all(0x20 <= byte < 0x7F for byte in name[:4])
        return is_name and offset + self.head.size + size <= content.size + 1

    def behind(self, content: Content, offset: int) -> int:
        """The offset behind the chunks that stand at `offset`, with or without the bytes that pad them."""
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
    """The sound of one file."""

    rate: int
    channels: int
    begin: int
    """Offset of its first byte."""
    promised: int | None
    """How many bytes its header says there are; None where it doesn't say."""
    align: int
    """Bytes that can't be divided."""
    bytes_per_s: int
    head: Callable[[int], bytes]
    """What makes a file of so many bytes of sound, if it stands before them."""
    chunks: Chunks | None
    """How chunks behind the sound are laid out; None for a format that has none."""
    is_sought_in: bool = False
    """Its codec is one that libsndfile decodes from no pipe."""
    is_regular: bool = True
    """libsndfile finds the sound by itself, if its size is right and nothing else stands in the file."""

    def seconds(self, content: Content) -> float:
        """What its header says, about; where it doesn't, what the rest of the file is at most. Raises OSError."""
        held = max(content.size - self.begin, 0)
        return (held if self.promised is None else self.promised) / max(self.bytes_per_s, 1)

    def first_stream(self, content: Content) -> Stream:
        """Some of its first sound, to look at. Raises OSError."""
        end = min(self.begin + self.align * 4096, content.size)
        return Stream(self._as_file(content, self.begin, end), is_sought_in=self.is_sought_in)

    def streams(self, content: Content) -> Generator[Stream, None, int]:
        """Its sound. Returns the offset at which something else may follow. Raises OSError."""
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
        """Whether libsndfile, given the file, reads this sound and nothing else."""
        if self.promised is None or not self.is_regular or not content.is_whole_file or behind < content.size:
            return False
        return end == min(self.begin + self.promised, content.size)

    def _ends(self, content: Content) -> tuple[int, int]:
        """The offset behind the sound, and that at which something else may follow."""
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
        """Where another file begins within bytes that might be sound."""
        found = signatures.find(content, begin, end)
        header = mpeg.find_header(content, begin, end if found is None else found)
        return found if header is None else header

    def _behind_chunks(self, content: Content, offset: int) -> int:
        return offset if self.chunks is None else self.chunks.behind(content, offset)

    def _as_file(self, content: Content, begin: int, end: int) -> Iterator[bytes]:
        yield self.head(end - begin)
        yield from content.from_offset(begin, end)


def _is_end(content: Content, offset: int) -> bool:
    """Whether nothing stands from here on but tags and padding, up to the file's end or to another file."""
    behind = signatures.behind_padding(content, offset)
    if behind >= content.size:
        return True
    if signatures.kind_of(content.at(behind, signatures.HEAD_BYTES)) is not None:
        return True
    return mpeg.find(content, behind, behind + 1) is not None
