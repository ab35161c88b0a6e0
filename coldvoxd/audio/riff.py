"""The chunks of WAV files whose headers don't fit their contents.

Recorders that were killed and programs that write into a pipe leave sizes of 0, of all ones, or of an earlier moment;
some editors leave out the byte that pads a chunk of odd size. libsndfile then reads nothing, a part, or refuses the file.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from coldvoxd.audio.streams import SHORTEST_DAMAGE_S, Content, Stream

_FORMS = {b"RIFF", b"RF64", b"BW64"}
_FMT_BYTES = range(16, 1 << 16)
_UNKNOWN = (range(1), range(0x7FFF_0000, 0x8000_0001), range(0xFFFF_0000, 1 << 32))
"""Sizes that programs write where they know none: nothing, or the most that fits, rounded (sox, arecord, ffmpeg)."""
_UNKNOWN_IN_DS64 = 1 << 62
MOST_WAV_BYTES = 1 << 30
"""Sound is handed on in streams of at most this size, since a WAV header counts to 4 GiB."""
_SOUGHT_IN = {0x31, 0x40, 0x42, 0x45, 0x50, 0x55, 0x64, 0xA106}
"""Codecs (GSM 6.10 and others, all of a low bit rate) that libsndfile decodes from no pipe."""
_MOST_CHUNKS = 1000


@dataclass(frozen=True, slots=True)
class Wave:
    """Where the sound of a WAV file is."""

    fmt: bytes
    """The body of its format chunk."""
    begin: int
    """Offset of the first byte of sound."""
    promised: int | None
    """How many bytes of sound its header says it holds; None where it doesn't say."""
    end: int
    """Offset behind the last byte of sound that is there."""
    is_regular: bool
    """libsndfile finds all of the sound by itself."""

    @property
    def bytes_per_s(self) -> int:
        return int.from_bytes(self.fmt[8:12], "little")

    def streams(self, content: Content) -> Iterator[Stream]:
        """Its sound as streams. Raises OSError."""
        share = None if self.promised is None else self.promised / max(self.end - self.begin, 1)
        if self.is_regular:
            yield Stream(None, promised_share=share)
            return
        align = max(int.from_bytes(self.fmt[12:14], "little"), 1)
        step = MOST_WAV_BYTES // align * align
        for begin in range(self.begin, self.end, step):
            end = min(begin + step, self.end)
            whole = begin + step >= self.end and begin == self.begin
            yield Stream(
                self._as_file(content, begin, end),
                is_sought_in=int.from_bytes(self.fmt[:2], "little") in _SOUGHT_IN,
                promised_share=share if whole else None,
            )

    def _as_file(self, content: Content, begin: int, end: int) -> Iterator[bytes]:
        size = end - begin
        fmt = b"fmt " + struct.pack("<I", len(self.fmt)) + self.fmt + bytes(len(self.fmt) % 2)
        yield b"RIFF" + struct.pack("<I", 4 + len(fmt) + 8 + size) + b"WAVE" + fmt + b"data" + struct.pack("<I", size)
        yield from content.from_offset(begin, end)


def wave(content: Content) -> Wave | None:
    """The sound of a WAV file (RIFF, RF64 or BW64); None for anything else, and where there is none. Raises OSError."""
    size = content.size
    head = content.at(0, 12)
    if head[:4] not in _FORMS or head[8:] != b"WAVE":
        return None
    fmt, large, is_regular = b"", None, head[:4] != b"BW64"
    offset = 12
    for _ in range(_MOST_CHUNKS):
        name, length = _chunk(content, offset)
        body = offset + 8
        if name == b"data":
            known = _known(length, large)
            return _sound(
                content, fmt, body, known, is_regular and (known is not None or (length != 0 and large is None))
            )
        if name == b"fmt " and length in _FMT_BYTES:
            fmt = content.at(body, length)
        elif name == b"ds64" and length >= 24:
            large = int.from_bytes(content.at(body + 8, 8), "little")
        following = body + length + length % 2
        if length % 2 and not _is_chunk(content, following) and _is_chunk(content, body + length):
            following, is_regular = body + length, False
        if following >= size:
            return None
        offset = following
    return None


def _known(length: int, large: int | None) -> int | None:
    """The size of the data chunk, in the chunk itself or, where that says so, in ds64; None where neither knows it."""
    if length == 0xFFFF_FFFF and large is not None:
        return large if 0 < large < _UNKNOWN_IN_DS64 else None
    return None if any(length in sizes for sizes in _UNKNOWN) else length


def _sound(content: Content, fmt: bytes, begin: int, length: int | None, is_regular: bool) -> Wave | None:
    size = content.size
    if not fmt or begin >= size or (length is None and _ends_in_chunks(content, begin)):
        return None
    if length is None:
        return Wave(fmt, begin, None, size, is_regular and size < 0x7FFF_0000)
    end = begin + length
    if end >= size:
        return Wave(fmt, begin, length, size, is_regular)
    extra_s = (size - end) / max(int.from_bytes(fmt[8:12], "little"), 1)
    if extra_s < SHORTEST_DAMAGE_S or _ends_in_chunks(content, end):
        return Wave(fmt, begin, length, end, is_regular)
    return Wave(fmt, begin, length, size, is_regular=False)


def _ends_in_chunks(content: Content, offset: int) -> bool:
    """Whether nothing but chunks stands from here to the file's end, with or without the bytes that pad them."""
    size = content.size
    for _ in range(_MOST_CHUNKS):
        if size - offset < 8:
            return True
        if not _is_chunk(content, offset):
            if offset % 2 == 0 or not _is_chunk(content, offset + 1):
                return False
            offset += 1
        offset += 8 + _chunk(content, offset)[1]
    return False


def _is_chunk(content: Content, offset: int) -> bool:
    name, length = _chunk(content, offset)
    if len(name) < 4 or not all(0x20 <= byte < 0x7F for byte in name):
        return False
    return name == b"data" or offset + 8 + length <= content.size + 1


def _chunk(content: Content, offset: int) -> tuple[bytes, int]:
    head = content.at(offset, 8)
    return head[:4], int.from_bytes(head[4:], "little")
