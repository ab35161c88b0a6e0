"""How long AIFF, Wave64, AU and CAF files say that their sound is: libsndfile reads what is there, without a word."""

import struct
from collections.abc import Iterator

from coldvoxd.audio.streams import Content

_MOST_CHUNKS = 1000
_UNKNOWN_FROM = {4: 0x7FFF_0000, 8: 1 << 62}
"""Sizes from here on, by how many bytes hold them, are written by programs that don't know one."""


def promised_share(content: Content) -> float | None:
    """Promised bytes of sound by those that are there; None where the file doesn't say, or is of another format."""
    head = content.at(0, 40)
    for name, begin, size in _chunks(content, head):
        if name in {b"SSND", b"data", b"snd "}:
            there = content.size - begin
            return size / there if size > 0 and there > 0 else None
    return None


def _chunks(content: Content, head: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and size of the chunks' bodies; of a size that says nothing, 0."""
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return _walk(content, 12, ">4sI", aligned_to=2)
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return _walk(content, 40, "<4s12xQ", aligned_to=8, counts_head=True)
    if head[:4] == b"caff":
        return _walk(content, 8, ">4sQ", aligned_to=1)
    if head[:4] == b".snd":
        begin, size = struct.unpack(">II", head[4:12])
        return iter(((b"snd ", begin, size if size < _UNKNOWN_FROM[4] else 0),))
    return iter(())


def _walk(
    content: Content, offset: int, form: str, *, aligned_to: int, counts_head: bool = False
) -> Iterator[tuple[bytes, int, int]]:
    head = struct.Struct(form)
    size_bytes = 4 if form.endswith("I") else 8
    for _ in range(_MOST_CHUNKS):
        read = content.at(offset, head.size)
        if len(read) < head.size:
            return
        name, size = head.unpack(read)
        if counts_head:
            size -= head.size
        yield name, offset + head.size, size if size < _UNKNOWN_FROM[size_bytes] else 0
        offset += head.size + max(size, 0) + -size % aligned_to
