"""The recordings in one file, with tags, padding or other data around them."""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from coldvoxd.audio import aiff, flac, mpeg, ogg, riff, signatures
from coldvoxd.audio.flac import StreamInfo
from coldvoxd.audio.regions import Region
from coldvoxd.audio.signatures import HEAD_BYTES, Kind
from coldvoxd.audio.streams import Content, Stream

MOST_JUNK_BYTES = 1 << 16
"""Maximum number of other bytes before the first recording of a file, and before MPEG audio that follows another one."""
MOST_ZEROS = 1 << 24
"""Maximum number of zero bytes before the first recording: a file of zeros is rejected quickly."""
_OTHER_MEDIA = re.compile(rb"\x1aE\xdf\xa3|0&\xb2u|FLV\x01|RIFF....AVI |\0\0\x01\xba|....ftyp|G.{187}G", re.DOTALL)
"""Matroska, ASF, Flash, AVI, MPEG program streams, MP4 and MPEG transport streams: MPEG audio in them is fragmented."""


@dataclass(frozen=True, slots=True)
class Part:
    """One recording in a file."""

    begin: int
    """Its offset."""
    kind: Kind | None
    """None for a format that only libsndfile knows; such a part is the whole file."""
    region: Region | None = None
    """For a format whose header gives the position of the audio."""
    flac: StreamInfo | None = None
    """For a FLAC file."""
    foreign_bytes: int = 0
    """Number of bytes before it that are neither audio nor a tag."""

    def streams(self, content: Content) -> Generator[Stream, None, int]:
        """Its streams; returns the offset after it. Raises OSError.

        A stream must be read to its end, or abandoned, before the next one is requested.
        """
        rest = content.rest(self.begin)
        match self.kind:
            case Kind.MPEG:
                return self.begin + (yield from mpeg.streams(rest))
            case Kind.OGG:
                return self.begin + (yield from ogg.streams(rest))
            case Kind.FLAC:
                stream = Stream(None, flac=self.flac)
                yield stream
                return content.size if stream.end is None else stream.end
            case None:
                yield Stream(None)
                following = signatures.find(content, HEAD_BYTES)
                return content.size if following is None else following
        assert self.region is not None  # noqa: S101 - the other kinds have one
        return self.begin + (yield from self.region.streams(rest))


def first_part(content: Content) -> Part:
    """The first recording in a file; without a kind if none is found. Raises OSError."""
    begin = signatures.behind_padding(content, 0, MOST_ZEROS)
    part = _part_at(content, begin)
    if part is not None:
        return part
    if mpeg.begins(content.rest(begin)):
        return Part(begin, Kind.MPEG)
    return Part(0, None)


def part_behind_damage(content: Content) -> Part | None:
    """The first recording in a file that starts with other data, or in the middle of MPEG audio or FLAC.

    Raises OSError.
    """
    if _OTHER_MEDIA.match(content.at(0, 200)):
        return None
    begin = signatures.behind_padding(content, 0, MOST_ZEROS)
    part = _next_part(content, begin, begin + MOST_JUNK_BYTES)
    info = flac.headless(content, begin, MOST_JUNK_BYTES) if part is None else None
    return part if info is None else Part(info.begin, Kind.FLAC, flac=info)


def streams(content: Content, part: Part) -> Iterator[Stream]:
    """The streams of a file whose first recording is `part`, in order.

    A stream must be read to its end, or abandoned, before the next one is requested. Raises OSError.
    """
    while True:
        end = yield from _behind_others(part, part.streams(content))
        begin = signatures.behind_padding(content, end)
        if begin >= content.size:
            return
        following = _part_at(content, begin) or _next_part(content, begin, content.size)
        if following is None:
            yield Stream((), foreign_bytes=content.size - begin)
            return
        part = following


def _behind_others(part: Part, found: Generator[Stream, None, int]) -> Generator[Stream, None, int]:
    """The streams of a part, the first of them with the foreign bytes before the part."""
    foreign_bytes = part.foreign_bytes
    while True:
        try:
            stream = next(found)
        except StopIteration as stop:
            return int(stop.value)
        if part.kind is Kind.MPEG and foreign_bytes:
            stream.damaged = True  # frames without a beginning
        else:
            stream.foreign_bytes += foreign_bytes
        foreign_bytes = 0
        yield stream


def _part_at(content: Content, begin: int) -> Part | None:
    """The recording with a signature that starts here."""
    rest = content.rest(begin)
    kind = signatures.kind_of(rest.at(0, HEAD_BYTES))
    region: Region | None = None
    match kind:
        case Kind.WAVE | Kind.WAVE64:
            region = riff.region(rest, kind)
        case Kind.AIFF | Kind.AU | Kind.CAF:
            region = aiff.region(rest, kind)
        case Kind.FLAC:
            info = flac.stream_info(content, begin)
            return None if info is None else Part(begin, kind, flac=info)
        case Kind.OGG:
            return Part(begin, kind) if ogg.is_decoded(rest) else None
        case _:
            return None
    return None if region is None else Part(begin, kind, region)


def _next_part(content: Content, begin: int, end: int) -> Part | None:
    """The next recording that starts in [begin, end); MPEG audio only within the first MOST_JUNK_BYTES."""
    found = begin
    part: Part | None = None
    while part is None and (place := signatures.find(content, found, end)) is not None:
        part, found = _part_at(content, place), place + 1
    nearest = end if part is None else part.begin
    frames = mpeg.find(content, begin, min(nearest, begin + MOST_JUNK_BYTES))
    if frames is not None:
        part = Part(frames, Kind.MPEG)
    if part is None:
        return None
    return replace(part, foreign_bytes=part.begin - begin)
