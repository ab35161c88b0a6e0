"""Recordings as found in practice: joined, cut off, damaged, or with unfinished headers. Made from bytes."""

import io
import struct
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import soundfile

Wave = npt.NDArray[np.float32]
RATE = 16_000


def encoded(wave: Wave, kind: str, rate: int = RATE, subtype: str | None = None, **options: object) -> bytes:
    """Return a file of that format; `OPUS` is in OGG."""
    memory = io.BytesIO()
    subtype = "OPUS" if kind == "OPUS" else subtype
    soundfile.write(memory, wave, rate, format="OGG" if kind == "OPUS" else kind, subtype=subtype, **options)
    return memory.getvalue()


def wav(
    wave: Wave,
    *,
    riff_size: int | None = None,
    data_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    form: bytes = b"RIFF",
) -> bytes:
    """Return 16-bit WAV with these sizes, correct if not given; `before` and `after` are chunks around the data."""
    data = (wave * 32767).astype("<i2").tobytes()
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    sizes = [
        4 + len(before) + len(fmt) + 8 + len(data) + len(after) if riff_size is None else riff_size,
        len(data) if data_size is None else data_size,
    ]
    riff, size = (struct.pack("<I", number & 0xFFFF_FFFF) for number in sizes)
    return form + riff + b"WAVE" + before + fmt + b"data" + size + data + after


def ds64(size: int) -> bytes:
    """Return RF64's chunk of large sizes."""
    return b"ds64" + struct.pack("<IQQQI", 28, size & (1 << 64) - 1, size & (1 << 64) - 1, 0, 0)


def without_length(flac: bytes) -> bytes:
    """Return the file as an encoder writes it into a pipe: without the number of samples in its STREAMINFO."""
    content = bytearray(flac)
    content[8 + 13] &= 0xF0
    content[8 + 14 : 8 + 18] = bytes(4)
    return bytes(content)


def without_encoder_header(mp3: bytes) -> bytes:
    """Return the file as an encoder writes it into a pipe: without the first frame, which counts the others."""
    begin = next(at for at in range(len(mp3)) if mp3[at] == 0xFF and mp3[at + 1] & 0xE0 == 0xE0)
    tag = max(mp3.find(b"Xing", begin, begin + 200), mp3.find(b"Info", begin, begin + 200))
    assert tag > 0
    second = next(at for at in range(tag, len(mp3)) if mp3[at : at + 2] == mp3[begin : begin + 2])
    return mp3[second:]


def ogg_pages(content: bytes) -> Iterator[bytes]:
    """Yield the pages of an OGG file."""
    at = 0
    while at < len(content):
        assert content[at : at + 4] == b"OggS"
        segments = content[at + 26]
        size = 27 + segments + sum(content[at + 27 : at + 27 + segments])
        yield content[at : at + size]
        at += size


def with_page(content: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """Return the OGG file with one of its pages changed."""
    pages = list(ogg_pages(content))
    pages[number] = change(pages[number])
    return b"".join(pages)


def spoiled(page: bytes) -> bytes:
    """Flip some bytes of the page's body, so that its checksum is wrong."""
    half = len(page) // 2
    return page[:half] + bytes(byte ^ 0x5A for byte in page[half : half + 8]) + page[half + 8 :]
