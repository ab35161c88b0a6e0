"""OGG's pages: a chained file's links, and where pages are damaged or missing.

libsndfile decodes the first link of a chain and ignores the others, and it drops damaged pages without a word.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coldvoxd.audio.streams import Content, Stream, Window

_HEAD = struct.Struct("<4sBBqIII B")
"""RFC 3533, section 6: capture pattern, version, flags, granule position, serial, sequence, checksum, segments."""
_FIRST, _LAST = 2, 4
"""Flags: first and last page of a logical stream."""
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
MOST_HEADER_BYTES = 1 << 20
"""Headers larger than this are not repeated after a gap."""
OPUS_RATE = 48_000


@dataclass(frozen=True, slots=True)
class Page:
    data: bytes
    flags: int
    granule: int
    """Of the last packet that ends on it, in samples of the codec's rate; -1 where none does."""
    serial: int
    sequence: int
    after_damage: bool
    """Bytes that are no page stood before it."""

    @property
    def body(self) -> bytes:
        return self.data[_HEAD.size + self.data[_HEAD.size - 1] :]


def streams(content: Content) -> Iterator[Stream]:
    """The audio streams of an OGG file in their order: a link each, and one more after each gap. Raises OSError.

    A stream must be read to its end, or given up, before the next one is asked for.
    """
    pages = _Pages(content)
    while (first := pages.next_link()) is not None:
        link = _Link(pages, *first)
        yield link.stream
        while (stream := link.after_gap()) is not None:
            yield stream
        if link.has_strays or (link.is_finished and pages.ahead is None and pages.ended_damaged):
            yield Stream((), damaged=True)


class _Pages:
    """The file's intact pages, one ahead."""

    def __init__(self, content: Content) -> None:
        self._walk = _walk(Window(content))
        self._ahead: Page | None = None
        self.ended_damaged = False
        self.advance()

    @property
    def ahead(self) -> Page | None:
        return self._ahead

    def advance(self) -> None:
        found = next(self._walk, None)
        if found is not None and not found.data:
            found, self.ended_damaged = None, True
        self._ahead = found

    def next_link(self) -> "tuple[Page, int] | None":
        """The first page of the next audio stream, and its rate. Pages of other streams are passed."""
        while (page := self._ahead) is not None:
            if page.flags & _FIRST and (rate := _audio_rate(page.body)):
                return page, rate
            self.advance()
        return None


class _Link:
    """One logical stream of a chain."""

    def __init__(self, pages: _Pages, first: Page, rate: int) -> None:
        self._pages = pages
        self._serial, self._rate = first.serial, rate
        self._headers: list[bytes] = []
        self._header_bytes = 0
        self._in_headers = True
        self._beginning = True
        """Among the first pages of all streams that begin together."""
        self._others: set[int] = set()
        self._sequence: int | None = None
        self._granule = 0
        self._page_samples = rate
        """How long a page is: that of the last one, and a second before there is one."""
        self._over = False
        self.is_finished = False
        """Its last page was read."""
        self.has_strays = False
        """Pages of a stream whose beginning is lost stood behind it."""
        self.stream = Stream(None, damaged=first.after_damage)
        self.stream.content = self._read(self.stream)

    def after_gap(self) -> Stream | None:
        """What follows the gap at which the stream before this one ended; None at the link's end."""
        if self._over or (page := self._pages.ahead) is None:
            return None
        begin = max(self._granule, page.granule - self._page_samples) if page.granule >= 0 else self._granule
        stream = Stream(None, continues=True, gap_s=(begin - self._granule) / self._rate, damaged=True)
        stream.content = self._read(stream)
        return stream

    def _read(self, stream: Stream) -> Iterator[bytes]:
        yield from self._headers
        begun = False
        while (page := self._pages.ahead) is not None:
            if page.flags & _FIRST and not self._beginning:
                break
            self._beginning = bool(page.flags & _FIRST)
            if page.serial == self._serial:
                if begun and self._lacks_pages_before(page):
                    return
                begun = True
                self._note(page)
                yield page.data
            elif self._beginning:
                self._others.add(page.serial)
            elif page.serial not in self._others:
                self.has_strays = True
            self._pages.advance()
            if page.serial == self._serial and page.flags & _LAST:
                self._over = self.is_finished = True
                return
        self._over = True
        stream.unfinished = True

    def _lacks_pages_before(self, page: Page) -> bool:
        if self._in_headers:
            return False  # without them nothing can be decoded anyway
        return page.after_damage or (self._sequence is not None and page.sequence != self._sequence + 1)

    def _note(self, page: Page) -> None:
        if self._in_headers and page.granule > 0:
            self._in_headers = False
            self._granule = max(0, page.granule - self._rate) if page.granule > 60 * self._rate else 0
        if self._in_headers:
            self._header_bytes += len(page.data)
            if self._header_bytes <= MOST_HEADER_BYTES:
                self._headers.append(page.data)
        elif page.granule > self._granule:
            self._page_samples, self._granule = page.granule - self._granule, page.granule
        self._sequence = page.sequence


def _walk(window: Window) -> Iterator[Page]:
    """All intact pages; after the last one a page without data where the file ends in bytes that are none."""
    damaged = False
    while head := window.peek(_HEAD.size):
        page = _page(head, window.peek, damaged) if len(head) == _HEAD.size and head[:4] == b"OggS" else None
        if page is None:
            damaged = True
            window.take(1)
            window.skip_to(b"OggS")
            continue
        window.take(len(page.data))
        damaged = False
        yield page
    if damaged:
        yield Page(b"", 0, -1, 0, 0, after_damage=True)


def _page(head: bytes, peek: Callable[[int], bytes], after_damage: bool) -> Page | None:
    _, version, flags, granule, serial, sequence, checksum, segments = _HEAD.unpack(head)
    lacing = peek(_HEAD.size + segments)[_HEAD.size :]
    size = _HEAD.size + segments + sum(lacing)
    data = peek(size)
    if version != 0 or len(lacing) != segments or len(data) != size:
        return None
    if _checksum(data[:22] + bytes(4) + data[26:]) != checksum:
        return None
    return Page(data, flags, granule, serial, sequence, after_damage)


def _checksum(data: bytes) -> int:
    """OGG's CRC-32 has zlib's polynomial, with the bits the other way round, and begins and ends with 0."""
    reflected = zlib.crc32(data.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_MIRRORED), "big")


def _audio_rate(header: bytes) -> int:
    """Samples a second that granule positions count, from a stream's first packet; 0 for what is not audio."""
    if header.startswith(b"\x01vorbis") and len(header) >= 16:
        return int.from_bytes(header[12:16], "little")
    if header.startswith(b"OpusHead"):
        return OPUS_RATE
    return 0
