"""The headers of AIFF, AU and CAF files."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from coldvoxd.audio.regions import Chunks, Region, known_size
from coldvoxd.audio.riff import wav_head
from coldvoxd.audio.signatures import Kind
from coldvoxd.audio.streams import Content

_AIFF = Chunks(struct.Struct(">4sI"), aligned_to=2)
_CAF = Chunks(struct.Struct(">4sQ"), aligned_to=1)
_COMM_BYTES = range(18, 1 << 12)
_AIFF_PACKETS = {
    b"ima4": (34, 64, 1),
    b"GSM ": (33, 160, 160),
    **dict.fromkeys((b"ulaw", b"ULAW", b"alaw", b"ALAW"), (1, 1, 1)),
}
"""Bytes and samples in a packet of one channel, and how many the header counts for it, by AIFF-C's name of the codec.
Other codecs have samples of a fixed number of bits."""
_SOUGHT_IN = {b"GSM "}
"""Codecs that libsndfile cannot decode from a pipe."""
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
"""Bytes in a sample, by AU's number of the encoding: u-law, integers of 8 to 32 bits, floats, A-law."""
_AU_FLOATS = {32: 6, 64: 7}
_AU_WHOLE_NUMBERS = {8: 2, 16: 3, 24: 4, 32: 5}
"""AU's number of the encoding, by bits."""
_CAF_CODECS = {b"lpcm": 0, b"ulaw": 1, b"alaw": 27}
"""The supported ones, by AU's number of the encoding; that of plain samples depends on their bits."""
_CAF_FLOAT, _CAF_LITTLE_ENDIAN = 1, 2
_EDIT_COUNT_BYTES = 4


def region(content: Content, kind: Kind) -> Region | None:
    """The audio of an AIFF, AU or CAF file; None if its header cannot be read, or has another encoding."""
    match kind:
        case Kind.AIFF:
            return _in_aiff(content)
        case Kind.AU:
            return _in_au(content)
        case _:
            return _in_caf(content)


def _in_aiff(content: Content) -> Region | None:
    comm = b""
    for name, begin, size in _AIFF.walk(content, 12):
        if name == b"COMM" and size in _COMM_BYTES:
            comm = content.at(begin, size)
        elif name == b"SSND" and len(comm) in _COMM_BYTES:
            offset = int.from_bytes(content.at(begin, 4), "big")
            return _aiff_region(content.at(8, 4), comm, begin + 8 + offset, known_size(size - 8 - offset))
    return None


def _aiff_region(form: bytes, comm: bytes, begin: int, promised: int | None) -> Region | None:
    channels, bits = struct.unpack(">H4xH", comm[:8])
    rate = _extended(comm[8:18])
    codec = comm[18:22]
    packet_bytes, samples, counted = _AIFF_PACKETS.get(codec, (-(-bits // 8), 1, 1))
    align = channels * packet_bytes
    if not align:
        return None
    head = partial(_aiff_head, form, comm, align, counted)
    is_sought_in = codec in _SOUGHT_IN
    return Region(
        rate, channels, begin, promised, align, align * rate // samples, head, _AIFF, is_sought_in=is_sought_in
    )


def _aiff_head(form: bytes, comm: bytes, align: int, counted: int, size: int) -> bytes:
    described = comm[:2] + struct.pack(">I", size // align * counted) + comm[6:]
    chunk = b"COMM" + struct.pack(">I", len(comm)) + described + bytes(len(comm) % 2)
    sound = b"SSND" + struct.pack(">III", size + 8, 0, 0)
    return b"FORM" + struct.pack(">I", 4 + len(chunk) + len(sound) + size) + form + chunk + sound


def _extended(number: bytes) -> int:
    """A rate as 80 bits of IEEE 754 extended precision; 0 if it is not a valid rate."""
    exponent, mantissa = struct.unpack(">HQ", number)
    shift = 16383 + 63 - exponent
    return mantissa >> shift if 0 <= shift < 64 else 0


def _in_au(content: Content) -> Region | None:
    _, begin, size, *coding = struct.unpack(">4s5I", content.at(0, 24).ljust(24, b"\0"))
    return _au_region(coding, begin, known_size(size))


def _au_region(coding: Sequence[int], begin: int, promised: int | None) -> Region | None:
    """The audio of an equivalent AU file: the number of the encoding, the rate and the channels."""
    encoding, rate, channels = coding
    align = _AU_BYTES.get(encoding, 0) * channels
    head: Callable[[int], bytes] = partial(_au_head, coding)
    return Region(rate, channels, begin, promised, align, align * rate, head, None) if align else None


def _au_head(coding: Sequence[int], size: int) -> bytes:
    return struct.pack(">4s5I", b".snd", 24, size, *coding)


def _in_caf(content: Content) -> Region | None:
    described = b""
    for name, begin, size in _CAF.walk(content, 8):
        if name == b"desc" and size >= 32:
            described = content.at(begin, 32)
        elif name == b"data" and len(described) == 32:
            promised = known_size(size - _EDIT_COUNT_BYTES, 8)
            region = _caf_region(described, begin + _EDIT_COUNT_BYTES, promised)
            return None if region is None else replace(region, chunks=_CAF, is_regular=False)
    return None


def _caf_region(described: bytes, begin: int, promised: int | None) -> Region | None:
    rate, codec, flags, _, _, channels, bits = struct.unpack(">d4s5I", described)
    if not 0 < rate < 1 << 32 or codec not in _CAF_CODECS:
        return None
    is_float = bool(flags & _CAF_FLOAT)
    if codec == b"lpcm" and flags & _CAF_LITTLE_ENDIAN:
        align = channels * bits // 8
        if bits not in {16, 24, 32, 64} or align >= 1 << 16:
            return None
        fmt = struct.pack(
            "<HHIIHH", 3 if is_float else 1, channels, int(rate), int(rate) * align % (1 << 32), align, bits
        )
        return Region(
            int(rate), channels, begin, promised, max(align, 1), int(rate) * align, partial(wav_head, fmt), None
        )
    encoding = _CAF_CODECS.get(codec) or (_AU_FLOATS if is_float else _AU_WHOLE_NUMBERS).get(bits, 0)
    return _au_region((encoding, int(rate), channels), begin, promised)
