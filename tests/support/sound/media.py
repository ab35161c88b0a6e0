"""Recordings in formats that need ffmpeg's libraries, written with PyAV's encoders."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import numpy.typing as npt
import soxr
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition

Wave = npt.NDArray[np.float32]
RATE = 16_000


@dataclass(frozen=True)
class Kind:
    """A container and a codec."""

    suffix: str
    container: str
    codec: str
    rate: int = 48_000
    stereo: bool = False
    sample_format: str | None = None
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


KINDS = {
    "M4A": Kind("m4a", "ipod", "aac", 44_100, bit_rate=96_000),
    "MP4": Kind("mp4", "mp4", "aac", stereo=True, bit_rate=128_000),
    "QuickTime, ALAC": Kind("mov", "mov", "alac", 44_100),
    "WebM, Opus": Kind("webm", "webm", "libopus", bit_rate=64_000),
    "Matroska, AC-3": Kind("mkv", "matroska", "ac3", stereo=True, bit_rate=128_000),
    "AMR": Kind("amr", "amr", "libopencore_amrnb", 8_000, bit_rate=12_200),
    "3GP, AMR": Kind("3gp", "3gp", "libopencore_amrnb", 8_000, bit_rate=12_200),
    "AAC, ADTS": Kind("aac", "adts", "aac", 44_100, bit_rate=96_000),
    "WMA": Kind("wma", "asf", "wmav2", 44_100, bit_rate=96_000),
    "AVI, MP3": Kind("avi", "avi", "libmp3lame", 44_100, bit_rate=96_000),
    "MPEG-TS, AAC": Kind("ts", "mpegts", "aac", bit_rate=96_000),
    "MPEG, MP2": Kind("mpg", "mpeg", "mp2", bit_rate=128_000),
    "Flash, AAC": Kind("flv", "flv", "aac", 44_100, bit_rate=96_000),
    "Ogg, FLAC": Kind("oga", "ogg", "flac"),
    "WavPack": Kind("wv", "wv", "wavpack", RATE, sample_format="s16p"),
    "CAF, ALAC": Kind("caf", "caf", "alac", 44_100),
}
"""By name; all but one are read by PyAV only."""


@dataclass(frozen=True)
class Track:
    """An audio track."""

    wave: Wave
    """float32 (n,), 16 kHz."""
    language: str = ""
    is_default: bool = False
    begin_s: float = 0.0
    """Its first timestamp."""
    gaps: Mapping[float, float] = field(default_factory=dict)
    """Seconds in the wave from which timestamps are later by so many seconds."""


def encoded(kind: Kind, tracks: Sequence[Track] | Wave, *, video_s: float = 0.0) -> bytes:
    """Return a file with these audio tracks and, if `video_s` is not 0, a video of this length before them."""
    memory = io.BytesIO()
    tracks = [Track(tracks)] if isinstance(tracks, np.ndarray) else tracks
    with av.open(memory, "w", format=kind.container, options=dict(kind.options)) as container:
        video = container.add_stream("mpeg4", rate=5) if video_s else None
        streams = [_stream(container, kind, track) for track in tracks]
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for number in range(round(5 * video_s)):
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 256, np.uint8), format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, 5)
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        for stream, track in zip(streams, tracks, strict=True):
            for frame in _frames(kind, track):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return memory.getvalue()


def _stream(container: OutputContainer, kind: Kind, track: Track) -> AudioStream:
    stream = container.add_stream(kind.codec, rate=kind.rate, layout="stereo" if kind.stereo else "mono")
    assert isinstance(stream, AudioStream)
    if kind.bit_rate:
        stream.codec_context.bit_rate = kind.bit_rate
    if kind.sample_format:
        stream.codec_context.format = kind.sample_format
    stream.time_base = Fraction(1, kind.rate)
    if track.language:
        stream.metadata["language"] = track.language
    stream.disposition = Disposition.default if track.is_default else Disposition(0)
    return stream


def _frames(kind: Kind, track: Track) -> list[av.AudioFrame]:
    wave = soxr.resample(track.wave, RATE, kind.rate) if kind.rate != RATE else track.wave
    borders = sorted({0, len(wave), *(round(at_s * kind.rate) for at_s in track.gaps)})
    frames, late_s = [], track.begin_s
    for begin, end in pairwise(borders):
        late_s += track.gaps.get(begin / kind.rate, 0.0)
        columns = 2 if kind.stereo else 1
        samples = np.repeat(np.rint(wave[begin:end] * 32767).astype(np.int16), columns).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo" if kind.stereo else "mono")
        frame.sample_rate, frame.time_base = kind.rate, Fraction(1, kind.rate)
        frame.pts = begin + round(late_s * kind.rate)
        frames.append(frame)
    return frames
