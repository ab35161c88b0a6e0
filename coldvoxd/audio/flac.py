"""FLAC frames, to continue after a damaged one, at which libFLAC stops."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from coldvoxd.audio.streams import Content, Window

_BLOCK_SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
"""RFC 9639, section 9.1.1, by code; codes 6 and 7 precede an explicit size."""
_STREAM_INFO_BYTES = 34
_RATES = (88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
"""RFC 9639, section 9.1.2, by code from 1 on; for 0 only the file's header has it."""
_BITS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}
"""RFC 9639, section 9.1.4, by code."""
_HEADLESS = -1
_LAST_BLOCK = 0x80
MOST_FRAME_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """The first metadata block (RFC 9639, section 8.2)."""

    body: bytes
    """The block itself, 34 bytes."""
    offset: int
    """Offset of the FLAC file in the file; negative if its header is missing."""
    begin: int
    """Offset of the first audio frame in the file."""

    @property
    def block_size(self) -> int:
        """Samples per frame if it is the same for all."""
        return int.from_bytes(self.body[2:4], "big")

    @property
    def rate(self) -> int:
        return int.from_bytes(self.body[10:13], "big") >> 4

    @property
    def channels(self) -> int:
        return (self.body[12] >> 1 & 7) + 1

    @property
    def samples(self) -> int:
        """Samples per channel; 0 if the header has no number."""
        return int.from_bytes(self.body[13:18], "big") & (1 << 36) - 1

    def as_file(self, frame: "Frame") -> bytes:
        """A FLAC file that has only this frame."""
        body = bytearray(self.body)
        body[4:10] = bytes(6)  # its smallest and largest frame are unknown
        body[13:18] = (body[13] >> 4 << 36 | frame.samples).to_bytes(5, "big")
        body[18:] = bytes(16)  # and so is its checksum
        return b"fLaC\x80" + _STREAM_INFO_BYTES.to_bytes(3, "big") + body + frame.data


@dataclass(frozen=True, slots=True)
class Frame:
    first: int
    """Number of its first sample."""
    samples: int
    data: bytes


def stream_info(content: Content, offset: int) -> StreamInfo | None:
    """The block of the FLAC file at `offset`; None if its header is damaged. Raises OSError."""
    mark = content.at(offset, 8)
    if mark[:4] != b"fLaC" or mark[5:] != _STREAM_INFO_BYTES.to_bytes(3, "big") or mark[4] & ~_LAST_BLOCK:
        return None
    body = content.at(offset + 8, _STREAM_INFO_BYTES)
    begin = offset + 4
    while len(head := content.at(begin, 4)) == 4:
        begin += 4 + int.from_bytes(head[1:], "big")
        if head[0] & _LAST_BLOCK:
            break
    return StreamInfo(body, offset, begin) if len(body) == _STREAM_INFO_BYTES else None


def headless(content: Content, offset: int, most_bytes: int) -> StreamInfo | None:
    """The parameters in the frame headers of a file without a header, from its first complete frame on.

    The frame starts within `most_bytes` from `offset` on, and the next one continues it; None if there is none. Raises
    OSError.
    """
    unknown = StreamInfo(b"\0\1" * (_STREAM_INFO_BYTES // 2), _HEADLESS, offset)  # frames count in frames
    for (begin, first, samples), (_, following, _) in pairwise(_candidates(content, unknown, offset + 2 * most_bytes)):
        if begin >= offset + most_bytes:
            return None
        head = content.at(begin, 16)
        continues = following == (first + samples if head[1] & 1 else first + 1)
        rate, bits, mode = head[2] & 15, _BITS.get(head[3] >> 1 & 7), head[3] >> 4
        if continues and 1 <= rate <= len(_RATES) and bits and mode <= 10:
            channels = mode + 1 if mode < 8 else 2
            size = samples.to_bytes(2, "big") if samples < 1 << 16 else b"\xff\xff"
            described = _RATES[rate - 1] << 44 | channels - 1 << 41 | bits - 1 << 36
            return StreamInfo(2 * size + bytes(6) + described.to_bytes(8, "big") + bytes(16), _HEADLESS, begin)
    return None


def frames(content: Content, info: StreamInfo, end: int) -> Iterator[Frame]:
    """The frames before the offset `end` in order, each up to the start of the next; some may be damaged.

    A candidate counts as a frame if it continues the previous one, or the next one continues it. Raises OSError.
    """
    expected = 0
    for (offset, first, samples), (behind, following, _) in pairwise(_candidates(content, info, end)):
        if first == expected or (first > expected and following == first + samples):
            expected = first + samples
            yield Frame(first, samples, content.at(offset, min(behind - offset, MOST_FRAME_BYTES)))


def _candidates(content: Content, info: StreamInfo, end: int) -> Iterator[tuple[int, int, int]]:
    """Offset, first sample and samples of everything that looks like a frame; `end` is the last, with no samples."""
    window = Window(content)
    window.skip(info.begin)
    while window.offset < end and (head := window.peek(16)):
        if (found := _parse(head, info)) is not None:
            yield window.offset, *found
        window.skip(1)
        window.skip_to(b"\xff", end)
    yield min(window.offset, end), -1, 0


def _parse(head: bytes, info: StreamInfo) -> tuple[int, int] | None:
    """First sample and number of samples of the frame that starts with these bytes; None if none does."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    coded = _number(head[4:])
    if coded is None:
        return None
    number, at = coded[0], 4 + coded[1]
    size_code, rate_code = head[2] >> 4, head[2] & 15
    if size_code in {6, 7}:
        explicit = size_code - 5
        samples = int.from_bytes(head[at : at + explicit], "big") + 1
        at += explicit
    else:
        samples = _BLOCK_SIZES.get(size_code, 0)
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if not samples or rate_code == 15 or at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return (number if head[1] & 1 else number * info.block_size), samples


def _number(coded: bytes) -> tuple[int, int] | None:
    """A number in FLAC's extension of UTF-8, and its length in bytes."""
    lead = coded[0]
    ones = 8 - (lead ^ 0xFF).bit_length()
    if ones == 1 or ones > 7 or len(coded) < max(ones, 1):
        return None
    if ones == 0:
        return lead, 1
    number = lead & (0x7F >> ones)
    for byte in coded[1:ones]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    return number, ones


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc8_of(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1 ^ 0x07 if byte & 0x80 else byte << 1) & 0xFF
    return byte


_CRC8 = bytes(_crc8_of(byte) for byte in range(256))
