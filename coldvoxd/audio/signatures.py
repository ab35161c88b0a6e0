"""The signatures of files, and the tags and padding before, between and after recordings."""

from collections.abc import Iterator
from enum import Enum, auto

from coldvoxd.audio.streams import READ_BYTES, Content

HEAD_BYTES = 40
"""Maximum number of bytes that are needed to identify a file."""
_WAVE64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_WAVE64_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_OGG_FIRST = 2
_MARKS = (
    (b"WAVE", 8),
    (b"AIF", 8),
    (_WAVE64_WAVE, 24),
    (b".snd", 0),
    (b"caff\0\1", 0),
    (b"fLaC", 0),
    (b"OggS\0", 0),
)
"""A part of each signature that is rare in audio, and its offset from the beginning of the file."""
_LOUDEST_AU_ENCODING = 27
_TAG_BYTES = 128
_ENHANCED_TAG_BYTES = 227
_LYRICS = b"LYRICSBEGIN"
_MOST_LYRICS_BYTES = 1 << 20
_ZEROS = bytes(READ_BYTES)


class Kind(Enum):
    """A container, or MPEG audio, which needs none."""

    WAVE = auto()
    """RIFF, RF64 or BW64."""
    WAVE64 = auto()
    AIFF = auto()
    AU = auto()
    CAF = auto()
    FLAC = auto()
    OGG = auto()
    MPEG = auto()


def kind_of(head: bytes) -> Kind | None:
    """The kind of file that starts with these bytes (at least HEAD_BYTES). MPEG audio has no signature."""
    match head[:4]:
        case b"RIFF" | b"RF64" | b"BW64":
            return Kind.WAVE if head[8:12] == b"WAVE" else None
        case b"riff":
            return Kind.WAVE64 if head[:16] == _WAVE64_RIFF and head[24:40] == _WAVE64_WAVE else None
        case b"FORM":
            return Kind.AIFF if head[8:12] in {b"AIFF", b"AIFC"} else None
        case b".snd":
            begin, encoding = (int.from_bytes(head[at : at + 4], "big") for at in (4, 12))
            return Kind.AU if 24 <= begin < READ_BYTES and 1 <= encoding <= _LOUDEST_AU_ENCODING else None
        case b"caff":
            return Kind.CAF if head[4:12] == b"\0\1\0\0desc" else None
        case b"fLaC":
            return Kind.FLAC if head[4:5] in {b"\0", b"\x80"} and head[5:8] == b"\0\0\x22" else None
        case b"OggS":
            return Kind.OGG if len(head) > 5 and head[4] == 0 and head[5] & _OGG_FIRST else None
    return None


def find(content: Content, offset: int, end: int | None = None) -> int | None:
    """The offset of the next file with a signature in [offset, end), or to the end of the file. Raises OSError."""
    for begin, seen in _windows(content, offset, end):
        places = sorted(
            place
            for mark, shift in _MARKS
            for place in _places(seen, mark, shift)
            if kind_of(seen[place : place + HEAD_BYTES]) is not None
        )
        if places and (end is None or begin + places[0] < end):
            return begin + places[0]
    return None


def behind_padding(content: Content, offset: int, most_zeros: int | None = None) -> int:
    """The offset after the tags and zeros that start here; `offset` if there are none. Raises OSError.

    Within longer runs of zeros than `most_zeros` bytes, the offset is that of the next zero.
    """
    while True:
        behind = behind_zeros(content, offset, None if most_zeros is None else offset + most_zeros)
        if behind >= content.size:
            return behind
        tag = tag_bytes(content.at(behind, _MOST_LYRICS_BYTES if content.at(behind, 11) == _LYRICS else 32))
        if not tag:
            return behind
        offset = min(behind + tag, content.size)


def behind_zeros(content: Content, offset: int, end: int | None = None) -> int:
    """The offset of the next byte that is not zero; otherwise `end`, or the end of the file. Raises OSError."""
    for piece in content.from_offset(offset, end):
        if piece != _ZEROS[: len(piece)]:
            return offset + len(piece) - len(piece.lstrip(b"\0"))
        offset += len(piece)
    return offset


def tag_bytes(head: bytes) -> int:
    """The size of the tag that starts with these 32 bytes: ID3 1 and 2, APE or Lyrics3; 0 if none does."""
    if head.startswith(b"ID3") and len(head) >= 10 and max(head[6:10]) < 0x80:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head.startswith(b"TAG+"):
        return _ENHANCED_TAG_BYTES
    if head.startswith(b"TAG"):
        return _TAG_BYTES
    if head.startswith(b"APETAGEX") and len(head) >= 32:
        return int.from_bytes(head[12:16], "little") + (32 if head[23] & 0x80 else 0)
    if head.startswith(_LYRICS):
        ends = [at + 9 for mark in (b"LYRICS200", b"LYRICSEND") if (at := head.find(mark)) >= 0]
        return min(ends, default=0)
    return 0


def _windows(content: Content, offset: int, end: int | None) -> Iterator[tuple[int, bytes]]:
    """Overlapping pieces of [offset, end) with their offsets, so that each signature is complete in one of them."""
    while end is None or offset < end:
        seen = content.at(offset, READ_BYTES + HEAD_BYTES)
        if not seen:
            return
        yield offset, seen
        offset += READ_BYTES


def _places(seen: bytes, mark: bytes, shift: int) -> Iterator[int]:
    at = seen.find(mark, shift)
    while at >= 0:
        yield at - shift
        at = seen.find(mark, at + 1)
