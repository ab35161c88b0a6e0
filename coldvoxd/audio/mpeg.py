"""MPEG audio frames (MP3 and its older layers), counted instead of estimated.

libsndfile decodes as many samples as the header counts, or as it estimates from the size and the first frames; for
joined files, and for files with a variable bit rate and no count, that is only a part.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from coldvoxd.audio.signatures import HEAD_BYTES, kind_of, tag_bytes
from coldvoxd.audio.streams import READ_BYTES, SHORTEST_DAMAGE_S, Content, Stream, Window

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""ISO/IEC 11172-3 and 13818-3, by version (1; 2 and 2.5) and layer: kbit/s of bit rate indices 1 to 14."""
_DECODER_DELAY = 529
"""Delay in samples of every layer III decoder, as counted in LAME's header."""
_MONO = 3
_LAYER_WITH_RESERVOIR = 3
_CANDIDATE = re.compile(rb"\xff|ID3|TAG|APE|LYRICS|RIFF|RF64|BW64|riff|FORM|\.snd|caff|fLaC|OggS")
_FRAME = re.compile(rb"\xff[\xe2-\xff]")
_SURE_FRAMES = 4
"""Fewer than one in 2^60 places in arbitrary bytes look like this many consecutive frames."""
_MOST_FRAME_BYTES = 2881
_SURE_BYTES = _SURE_FRAMES * _MOST_FRAME_BYTES + 4
_HEADER = re.compile(rb"Xing|Info")
_HEADER_OFFSETS = (4 + 9, 4 + 17, 4 + 32)
"""Offset of an encoder's header in its frame, by version and channels."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame header: the first four bytes."""

    size: int
    """In bytes."""
    rate: int
    samples: int
    channels: int
    side_bytes: int
    """Number of bytes between the frame header and an encoder's header."""
    layer: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def continues(self, other: "Frame") -> bool:
        """Whether the same decoder can decode both."""
        return (self.rate, self.channels, self.layer) == (other.rate, other.channels, other.layer)


def parse_frame(head: bytes) -> Frame | None:
    """The frame that starts with these bytes; None if none does, or if it has no bit rate ("free format")."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate_index, kbps_index = head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or not 0 < kbps_index < 15:
        return None
    rate = _RATES[version][rate_index]
    kbps = _KBPS[1 if version == 3 else 2, layer][kbps_index - 1]
    padding = head[2] >> 1 & 1
    mono = head[3] >> 6 == _MONO
    if layer == 1:
        size, samples = (12_000 * kbps // rate + padding) * 4, 384
    else:
        samples = 576 if layer == 3 and version != 3 else 1152
        size = samples // 8 * 1000 * kbps // rate + padding
    side_bytes = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return Frame(size, rate, samples, 1 if mono else 2, side_bytes, layer)


def streams(content: Content) -> Generator[Stream, None, int]:
    """The streams of an MPEG audio file in order: a new one at each encoder's header and after each gap.

    A stream must be read to its end, or abandoned, before the next one is requested. Returns the offset at which the
    file ends or one of another kind starts. Raises OSError.
    """
    window = Window(content)
    scanner = _Scanner(window)
    while (stream := scanner.next_stream()) is not None:
        yield stream
    return scanner.end


def begins(content: Content) -> bool:
    """Whether the file is MPEG audio from its first byte after any tags. Raises OSError."""
    window = Window(content)
    while _skip_tag(window):
        pass
    return _Scanner(window).at_frame()


def find(content: Content, offset: int, end: int) -> int | None:
    """The first offset in [offset, end) from which frames are consecutive. Raises OSError."""
    seen = content.at(offset, end - offset + _SURE_BYTES)
    is_last = offset + len(seen) >= content.size
    for found in _FRAME.finditer(seen, 0, min(end - offset + 1, len(seen))):
        if _frames_follow(seen, found.start(), is_last=is_last):
            return offset + found.start()
    return None


def find_header(content: Content, offset: int, end: int) -> int | None:
    """The offset in [offset, end) of a frame with an encoder's header. Raises OSError."""
    while offset < end:
        seen = content.at(offset, min(READ_BYTES, end - offset) + _SURE_BYTES)
        for found in _HEADER.finditer(seen):
            for shift in _HEADER_OFFSETS:
                at = found.start() - shift
                if at >= 0 and offset + at < end and _frames_follow(seen, at, is_last=False):
                    return offset + at
        offset += READ_BYTES
    return None


def _frames_follow(seen: bytes, at: int, *, is_last: bool) -> bool:
    """Whether there are consecutive frames here: _SURE_FRAMES, or fewer before the end of the file or a tag."""
    first = frame = parse_frame(seen[at : at + 4])
    count = 0
    while count < _SURE_FRAMES and first is not None and frame is not None and frame.continues(first):
        count, at = count + 1, at + frame.size
        if at > len(seen):
            return False
        frame = parse_frame(seen[at : at + 4])
    ends = (is_last and at == len(seen)) or tag_bytes(seen[at : at + 32]) > 0
    return count >= _SURE_FRAMES or (count > 1 and ends)


class _Scanner:
    def __init__(self, window: Window) -> None:
        self._window = window
        self._bytes_per_s = 0.0
        """Rate of the previous stream; 0 before the first one."""
        self._is_complete = False
        """Whether the previous stream had as many frames as its header counts."""
        self.end = 0
        """The offset after the last frame and the tags there, once all frames have been read."""

    def next_stream(self) -> Stream | None:
        """The next stream; an empty one for damage at the file's end; None after the last."""
        window, lost, silent = self._window, 0, True
        self.end = window.offset
        while (frame := self._frame_here()) is None:
            if _skip_tag(window):
                self.end = self.end if lost else window.offset
                continue
            if kind_of(window.peek(HEAD_BYTES)) is not None:
                return self._damaged_end(0 if silent else lost)
            passed = _to_next_candidate(window)
            if not passed:
                return self._damaged_end(0 if silent else lost)
            lost, silent = lost + len(passed), silent and not any(passed)
        stream = Stream(None)
        if self._is_complete:
            stream.continues = True
            stream.foreign_bytes = 0 if silent else lost
        elif self._bytes_per_s:
            stream.continues = True
            stream.damaged, stream.gap_s = lost > 0, lost / self._bytes_per_s
        header = _encoder_header(window.peek(frame.size), frame)
        if header is None and not self._bytes_per_s:
            stream.damaged = _needs_frames_before(window.peek(8), frame)
        if header is not None:
            window.skip(frame.size)
            stream.continues = False
            sound = header.frames * frame.samples - header.delay - header.padding
            stream.promised_s = sound / frame.rate if header.frames else None
            stream.skip = header.delay + _DECODER_DELAY if header.delay else 0
        stream.content = self._read(stream, frame, header)
        return stream

    def at_frame(self) -> bool:
        """Whether a frame starts here."""
        return self._frame_here() is not None

    def _damaged_end(self, lost: int) -> Stream | None:
        seconds = lost / self._bytes_per_s if self._bytes_per_s else 0.0
        if self._is_complete or seconds <= SHORTEST_DAMAGE_S:
            return None
        return Stream((), continues=True, gap_s=seconds, damaged=True)

    def _frame_here(self) -> Frame | None:
        """The frame that starts here, followed by a similar one, by a tag or by the end of the file."""
        frame = parse_frame(self._window.peek(4))
        if frame is None:
            return None
        seen = self._window.peek(frame.size + 4)
        after = seen[frame.size :]
        following = parse_frame(after)
        if following is not None:
            return frame if (following.rate, following.layer) == (frame.rate, frame.layer) else None
        ends = len(seen) == frame.size or after.startswith((b"TAG", b"ID3", b"APET"))
        return frame if ends else None

    def _read(self, stream: Stream, first: Frame, header: "_EncoderHeader | None") -> Iterator[bytes]:
        window, frames, size = self._window, 0, 0
        while (frame := parse_frame(window.peek(4))) is not None and frame.continues(first):
            data = window.peek(frame.size)
            if len(data) < frame.size:
                stream.unfinished = True
                window.skip(len(data))
                break
            if self._is_cut(frame):
                window.skip(1)
                stream.unfinished = True
                break
            if frames and _encoder_header(data, frame) is not None:
                break
            window.skip(frame.size)
            frames, size = frames + 1, size + frame.size
            yield data
        if frames:
            self._bytes_per_s = size / (frames * first.seconds)
        self._is_complete = header is not None and header.frames == frames
        if header is not None and header.frames == frames and header.delay:
            stream.keep = frames * first.samples - header.delay - header.padding

    def _is_cut(self, frame: Frame) -> bool:
        """Whether another file starts within the frame that starts here."""
        if parse_frame(self._window.peek(frame.size + 4)[frame.size :]) is not None:
            return False
        seen = self._window.peek(frame.size + _SURE_BYTES)
        if any(kind_of(seen[at : at + HEAD_BYTES]) for at in range(1, frame.size)):
            return True
        is_last = len(seen) < frame.size + _SURE_BYTES
        starts = (found.start() for found in _FRAME.finditer(seen, 1, frame.size))
        return any(_frames_follow(seen, start, is_last=is_last) for start in starts)


def _needs_frames_before(head: bytes, frame: Frame) -> bool:
    """Whether a frame that starts with these 8 bytes has part of its audio in the previous frames."""
    if frame.layer != _LAYER_WITH_RESERVOIR or len(head) < 8:
        return False
    side = int.from_bytes(head[4 if head[1] & 1 else 6 :][:2], "big")
    return bool(side >> (7 if head[1] & 0x08 else 8))


@dataclass(frozen=True, slots=True)
class _EncoderHeader:
    frames: int
    """Number of frames that follow; 0 if it is not given."""
    delay: int = 0
    padding: int = 0
    """Samples that the encoder added before and after the audio."""


def _encoder_header(data: bytes, frame: Frame) -> _EncoderHeader | None:
    """The header that LAME, Xing, Fraunhofer and others store in a first frame instead of audio."""
    if frame.layer != 3:
        return None
    if data[36:40] == b"VBRI":
        return _EncoderHeader(int.from_bytes(data[50:54], "big"))
    at = 4 + frame.side_bytes
    if data[at : at + 4] not in {b"Xing", b"Info"}:
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    frames = int.from_bytes(data[at + 8 : at + 12], "big") if flags & 1 else 0
    at += 8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8)
    trim = data[at + 21 : at + 24]
    if len(trim) < 3 or not data[at : at + 4].isalnum():
        return _EncoderHeader(frames)
    return _EncoderHeader(frames, trim[0] << 4 | trim[1] >> 4, (trim[1] & 15) << 8 | trim[2])


def _skip_tag(window: Window) -> bool:
    """Skip a tag, which players write before, after and, in joined files, between the frames."""
    size = tag_bytes(window.peek(32))
    window.skip(size)
    return size > 0


def _to_next_candidate(window: Window) -> bytes:
    """Skip one byte, and the following ones up to a possible frame or tag; return what was skipped."""
    seen = window.peek(4096)
    found = _CANDIDATE.search(seen, 1)
    passed = seen[: found.start() if found else len(seen)]
    window.skip(len(passed))
    return passed
