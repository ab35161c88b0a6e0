"""The headers of WAV files: RIFF, RF64, BW64 and Wave64."""

import struct
from functools import partial

from coldvoxd.audio.regions import Chunks, Region, known_size
from coldvoxd.audio.signatures import Kind
from coldvoxd.audio.streams import Content

_RIFF = Chunks(struct.Struct("<4sI"), aligned_to=2)
_WAVE64 = Chunks(struct.Struct("<4s12xQ"), aligned_to=8, counts_head=True)
_FMT_BYTES = range(16, 1 << 16)
_SOUGHT_IN = {0x31, 0x40, 0x42, 0x45, 0x50, 0x55, 0x64, 0xA106}
"""Codecs (GSM 6.10 and others with a low bit rate) that libsndfile cannot decode from a pipe."""
_IN_DS64 = 0xFFFF_FFFF


def region(content: Content, kind: Kind) -> Region | None:
    """The audio of a WAV file; None if its header has no format or no audio. Raises OSError."""
    return _in_wave64(content) if kind is Kind.WAVE64 else _in_riff(content)


def _in_riff(content: Content) -> Region | None:
    form = content.at(0, 4)
    fmt, large, is_regular = b"", None, form != b"BW64"
    offset = 12
    while (found := _RIFF.at(content, offset)) is not None:
        name, length = found
        body = offset + 8
        if name == b"data":
            promised = known_size(large, 8) if length == _IN_DS64 and large is not None else known_size(length)
            return _region(fmt, body, promised, _RIFF, is_regular=is_regular)
        if name == b"fmt " and length in _FMT_BYTES:
            fmt = content.at(body, length)
        elif name == b"ds64" and length >= 24:
            large = int.from_bytes(content.at(body + 8, 8), "little")
        following = body + length + length % 2
        if length % 2 and not _is_chunk(content, following) and _is_chunk(content, body + length):
            following, is_regular = body + length, False
        offset = following
    return None


def _in_wave64(content: Content) -> Region | None:
    fmt = b""
    for name, begin, size in _WAVE64.walk(content, 40):
        if name == b"fmt " and size in _FMT_BYTES:
            fmt = content.at(begin, size)
        elif name == b"data":  # libsndfile reads to the end of the file, whatever the size
            return _region(fmt, begin, known_size(size, 8), _WAVE64, is_regular=begin + size >= content.size)
    return None


def _region(fmt: bytes, begin: int, promised: int | None, chunks: Chunks, *, is_regular: bool) -> Region | None:
    if not fmt:
        return None
    codec, channels, rate, bytes_per_s, align = struct.unpack("<HHIIH", fmt[:14])
    return Region(
        rate,
        channels,
        begin,
        promised,
        max(align, 1),
        bytes_per_s,
        partial(wav_head, fmt),
        chunks,
        is_sought_in=codec in _SOUGHT_IN,
        is_regular=is_regular,
    )


def wav_head(fmt: bytes, size: int) -> bytes:
    """The header of a WAV file with this many bytes of audio and this body of its format chunk."""
    chunk = b"fmt " + struct.pack("<I", len(fmt)) + fmt + bytes(len(fmt) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk) + 8 + size) + b"WAVE" + chunk + b"data" + struct.pack("<I", size)


def _is_chunk(content: Content, offset: int) -> bool:
    return _RIFF.is_one(content, offset) or content.at(offset, 4) == b"data"
