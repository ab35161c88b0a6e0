"""Decodes one audio track of a recording with ffmpeg's libraries, in order and in bounded memory."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from coldvoxd.audio.reading import Report, check_sound
from coldvoxd.audio.streams import Content
from coldvoxd.audio.unread_formats import is_encrypted, recording
from coldvoxd.core.errors import FileFault
from coldvoxd.media import library
from coldvoxd.media.conversion import Conversion, Samples
from coldvoxd.media.guarded_file import GuardedFile, Interrupted

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_OPTIONS = {"protocol_whitelist": "none"}
"""For ffmpeg's demuxers: a playlist inside a file must not open other files or addresses."""
_UNKNOWN_LENGTH = {"ignore_length": "1"}
"""For a WAV file that comes through a pipe: the length in its header is that of nothing."""
_MICROSECONDS = 1_000_000
"""Unit of a container's times: AV_TIME_BASE."""


class NotMedia(FileFault):
    """The file is no recording that ffmpeg's libraries recognize."""


class NoAudio(FileFault):
    """A recording without an audio track."""


@dataclass(frozen=True, slots=True)
class Track:
    """The audio track of a recording that is decoded."""

    number: int
    """Among the audio tracks, from 1."""
    count: int
    """Number of audio tracks."""
    codec: str
    """ffmpeg's name of it."""
    language: str
    """As the recording states it, mostly a code of ISO 639-2 such as `eng`; empty if it does not."""


class Media:
    """A recording that is decoded once, from its beginning to its end. Blocks; one thread."""

    def __init__(self, container: "InputContainer", stream: "AudioStream", name: str) -> None:
        """Use `open`, which checks the recording."""
        self._container = container
        self._stream = stream
        self._name = name
        self.track = _track(container, stream)
        self.duration_s = container.duration / _MICROSECONDS if container.duration else None
        """Length in seconds according to the header; None if unknown."""

    @classmethod
    def open(cls, file: io.RawIOBase, name: str, head: Content, *, is_piped: bool = False) -> Self:
        """Open a recording and choose its default audio track, otherwise the first one.

        `file` need not be seekable; `head` is its content, or the beginning of that. Raises LibraryUnusable without
        PyAV, NotMedia, NoAudio, or FileFault with what is wrong and what to do.
        """
        library.require()
        import av

        kind = recording(head)
        if kind is not None and is_encrypted(kind):
            raise FileFault(f"{name} is {kind}, which cannot be decoded: give the name of a copy without protection")
        options = _OPTIONS | (_UNKNOWN_LENGTH if is_piped and head.at(0, 4) in {b"RIFF", b"RF64"} else {})
        try:
            container = av.open(GuardedFile(file), "r", options=options, metadata_errors="replace")
        except Interrupted:
            raise KeyboardInterrupt from None
        except av.FFmpegError as error:
            if kind is None:
                raise NotMedia(f"{name} is not a recording ({error.strerror})") from error
            raise FileFault(
                f"{name} is {kind}, but cannot be opened ({error.strerror}): it is truncated or damaged; copy it again "
                "from the original"
            ) from error
        try:
            return cls(container, _chosen(container, name, kind), name)
        except BaseException:
            container.close()
            raise

    def close(self) -> None:
        """Close the decoder, but not the file."""
        self._container.close()

    def blocks(self, report: Report) -> Iterator[Samples]:
        """Yield the audio, int16 (n, channels) at 16 kHz, with silence where the recording has a gap.

        `report` receives a sentence, without the recording's name, for each kind of damage. Raises FileFault if nothing
        can be decoded.
        """
        conversion = Conversion(self._name, self.duration_s, report)
        start_s = (self._container.start_time or 0) / _MICROSECONDS
        for frame in self._frames(conversion, start_s):
            yield from conversion.take(frame, None if frame.time is None else float(frame.time) - start_s)
        yield from conversion.finish(f"{self.track.codec} audio")

    def _frames(self, conversion: Conversion, start_s: float) -> Iterator["AudioFrame"]:
        import av

        packets = self._container.demux()  # of all tracks: the recording ends where the last of them does
        while True:
            try:
                packet = next(packets, None)
            except Interrupted:
                raise KeyboardInterrupt from None
            except av.FFmpegError as error:
                conversion.note_damage(str(error.strerror))
                return
            if packet is None:
                return
            if packet.pts is not None and packet.time_base is not None:
                conversion.note_end(float((packet.pts + (packet.duration or 0)) * packet.time_base) - start_s)
            if packet.stream.index == self._stream.index:
                try:
                    frames = self._stream.codec_context.decode(packet if packet.size else None)
                except av.EOFError:
                    continue
                except av.FFmpegError as error:
                    conversion.note_damage(str(error.strerror))
                else:
                    yield from frames


def _chosen(container: "InputContainer", name: str, kind: str | None) -> "AudioStream":
    """The track to decode. Raises NotMedia, NoAudio, FileFault."""
    from av.stream import Disposition

    tracks = container.streams.audio
    if not tracks and kind is None:
        raise NotMedia(f"{name} is not a recording: it has no audio")
    if not tracks:
        container_name = kind.partition(" with")[0] if kind else ""
        raise NoAudio(f"{name} is {container_name} without an audio track: give the name of a recording with sound")
    stream = next((track for track in tracks if track.disposition & Disposition.default), tracks[0])
    if getattr(stream, "codec_context", None) is None:
        raise FileFault(
            f"{name} is {kind or 'a recording'} in a codec that PyAV cannot decode: convert it with the program that made it"
        )
    check_sound(stream.codec_context.sample_rate, stream.codec_context.channels, name)
    return stream


def _track(container: "InputContainer", stream: "AudioStream") -> Track:
    tracks = container.streams.audio
    language = stream.metadata.get("language", "")
    return Track(
        [track.index for track in tracks].index(stream.index) + 1,
        len(tracks),
        stream.codec_context.name,
        "" if language == "und" else language,
    )
