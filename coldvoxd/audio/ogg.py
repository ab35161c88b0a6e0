"""OGG pages: the links of a chained file, and where pages are damaged or missing.

libsndfile decodes the first link of a chain and ignores the others, and it drops damaged pages without an error.
"""

import struct
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from coldvoxd.audio import mpeg, signatures
from coldvoxd.audio.streams import Content, Stream, Window

_HEAD = struct.Struct("<4sBBqIII B")
"""RFC 3533, section 6: capture pattern, version, flags, granule position, serial, sequence, checksum, segments."""
_FLAGS_OFFSET = 5
_CHECKSUM = slice(22, 26)
_FIRST, _LAST = 2, 4
"""Flags: first and last page of a logical stream."""
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
MOST_HEADER_BYTES = 1 << 20
"""Headers larger than this are not repeated after a gap."""
OPUS_RATE = 48_000
_OTHER_CODECS = {b"\x7fFLAC": "FLAC", b"Speex   ": "Speex", b"\x80theora": "Theora video"}
"""By the beginning of their first packet."""
_MOST_PAGE_BYTES = 27 + 255 + 255 * 255


@dataclass(frozen=True, slots=True)
class Page:
    data: bytes
    flags: int
    granule: int
    """Position after the last packet that ends on the page, in samples of the codec's rate; -1 if none does."""
    serial: int
    sequence: int
    after_damage: bool
    """Whether bytes that are not a page precede it."""

    @property
    def body(self) -> bytes:
        return self.data[_HEAD.size + self.data[_HEAD.size - 1] :]


def is_decoded(content: Content) -> bool:
    """Whether one of the streams that start together at the beginning of the file is Vorbis or Opus. Raises OSError."""
    for page in _walk(content):
        if not page.flags & _FIRST:
            return False
        if _audio_rate(page.body):
            return True
    return False


def undecoded(content: Content) -> str:
    """The codec of a file that begins with OGG's pages, none of them Vorbis or Opus; empty for others. Raises OSError."""
    page = next(_walk(content), None) if content.at(0, 4) == b"OggS" else None
    if page is None or page.after_damage or not page.flags & _FIRST or is_decoded(content):
        return ""
    return next((name for mark, name in _OTHER_CODECS.items() if page.body.startswith(mark)), "another codec")


def holds_pages(content: Content, most_bytes: int) -> bool:
    """Whether there is an intact page in the first bytes of the file. Raises OSError."""
    window = Window(content)
    window.skip_to(b"OggS", most_bytes)
    while window.offset < most_bytes and (head := window.peek(_HEAD.size)):
        if len(head) == _HEAD.size and _page(head, window.peek, after_damage=False) is not None:
            return True
        window.take(1)
        window.skip_to(b"OggS", most_bytes)
    return False


def streams(content: Content) -> Generator[Stream, None, int]:
    """The audio streams of an OGG file in order: one per link, and one more after each gap.

    A stream must be read to its end, or abandoned, before the next one is requested. Returns the offset at which the
    file ends or other data follows. Raises OSError.
    """
    pages = _Pages(content)
    while (first := pages.next_link()) is not None:
        link = _Link(pages, *first)
        yield link.stream
        while (stream := link.after_gap()) is not None:
            yield stream
        if link.has_strays:
            yield Stream((), damaged=True)
    return pages.end


class _Pages:
    """The intact pages of a file, with one page of lookahead."""

    def __init__(self, content: Content) -> None:
        self._walk = _walk(content)
        self._ahead: Page | None = None
        self.end = 0
        """The offset after the last page, once all have been read."""
        self.advance()

    @property
    def ahead(self) -> Page | None:
        return self._ahead

    def advance(self) -> None:
        try:
            self._ahead = next(self._walk)
        except StopIteration as stop:
            self._ahead = None
            self.end = self.end if stop.value is None else stop.value

    def next_link(self) -> "tuple[Page, int] | None":
        """The first page of the next audio stream, and its rate. Pages of other streams are skipped."""
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
        """Whether this page is among the first pages of streams that start together."""
        self._others: set[int] = set()
        self._sequence: int | None = None
        self._granule = 0
        self._page_samples = rate
        """Length of a page: that of the last one, and one second before there is one."""
        self._over = False
        self.has_strays = False
        """Whether pages of a stream without a beginning followed it."""
        self.stream = Stream(None, damaged=first.after_damage)
        self.stream.content = self._read(self.stream)

    def after_gap(self) -> Stream | None:
        """The stream after the gap at which the previous one ended; None at the end of the link."""
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
                self._note(page)
                yield page.data if begun or not stream.continues else _without_end(page)
                begun = True
            elif self._beginning:
                self._others.add(page.serial)
            elif page.serial not in self._others:
                self.has_strays = True
            self._pages.advance()
            if page.serial == self._serial and page.flags & _LAST:
                self._over = True
                return
        self._over = True
        stream.unfinished = True
        if self._in_headers:
            stream.keep = 0

    def _lacks_pages_before(self, page: Page) -> bool:
        if self._in_headers:
            return False  # without them nothing can be decoded
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


def _walk(content: Content) -> Generator[Page, None, int]:
    """All intact pages, up to the next file of another kind. Returns the offset at which they end.

    Bytes after a stream's last page are left to the caller; after any other page they are truncated or damaged pages.
    """
    window = Window(content)
    end, is_finished, damaged = 0, False, False
    while head := window.peek(_HEAD.size):
        page = _page(head, window.peek, damaged) if len(head) == _HEAD.size and head[:4] == b"OggS" else None
        if page is not None:
            window.take(len(page.data))
            end, is_finished, damaged = window.offset, bool(page.flags & _LAST), False
            yield page
            continue
        if not damaged and (behind := signatures.behind_padding(content, window.offset)) > window.offset:
            window.skip(behind - window.offset)
            continue
        if is_finished and not damaged and mpeg.find(content, window.offset, window.offset + 1) is not None:
            return end
        place, damaged = window.offset, True
        window.take(1)
        window.skip_to(b"OggS")
        other = signatures.find(content, place, window.offset)
        if other is not None and content.at(other, 4) != b"OggS":
            return end if is_finished else other
    if is_finished or not damaged:
        return end
    other = mpeg.find(content, end, end + _MOST_PAGE_BYTES)
    return content.size if other is None else other


def _without_end(page: Page) -> bytes:
    """The page without the end-of-stream flag: libsndfile rejects an Opus stream whose last page follows the headers."""
    data = bytearray(page.data)
    data[_FLAGS_OFFSET] &= ~_LAST
    data[_CHECKSUM] = bytes(4)
    data[_CHECKSUM] = _checksum(bytes(data)).to_bytes(4, "little")
    return bytes(data)


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
    """OGG's CRC-32 has zlib's polynomial with reversed bits, and starts and ends with 0."""
    reflected = zlib.crc32(data.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_MIRRORED), "big")


def _audio_rate(header: bytes) -> int:
    """The rate in Hz of granule positions, from the first packet of a stream; 0 if it is not audio."""
    if header.startswith(b"\x01vorbis") and len(header) >= 16:
        return int.from_bytes(header[12:16], "little")
    if header.startswith(b"OpusHead"):
        return OPUS_RATE
    return 0
