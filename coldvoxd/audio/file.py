"""Reads audio files of any rate and channel count at 16 kHz, as one channel or several."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from coldvoxd.audio import ogg, parts
from coldvoxd.audio.decoding import SequentialSound, decoded, decoded_stream
from coldvoxd.audio.opening import Opened, opened
from coldvoxd.audio.parts import MOST_JUNK_BYTES, Part
from coldvoxd.audio.reading import UNKNOWN_FRAMES, Block, Reading, Report, check_sound
from coldvoxd.audio.signatures import Kind
from coldvoxd.audio.streams import Content
from coldvoxd.audio.unread_formats import CONVERT
from coldvoxd.core.errors import FileFault
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.values import SAMPLE_RATE


def _no_report(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A readable audio file, which can be read repeatedly from the start."""

    source: Path | int
    """Its path, or an open descriptor of a regular file, whose offset is not changed."""
    sample_rate: int
    channels: int
    samples: int
    """Approximate number of samples that `blocks` yields at 16 kHz, from the header; wrong for damaged files.

    0 if the header has no length, as in streamed recordings.
    """
    name: str = "the file"
    """The file's name in messages."""
    first: Part = field(default=Part(0, None), repr=False)
    """The first recording in the file."""

    @classmethod
    def open(cls, source: Path | int, name: str | None = None) -> "AudioFile":
        """Read the file's header. Raises FileFault with what to do if it is not audio in a readable format."""
        name = name or ("the file" if isinstance(source, int) else str(source))
        with opened(source, name) as file:
            part = parts.first_part(file.content)
            if part.kind is None and not _is_of_another_format(file):
                _check_codec(file.content, name)
                part = parts.part_behind_damage(file.content) or part
                _check_head(file.content, part, name)
            rate, channels, seconds = _look_at(file, part, name)
            return cls(source, rate, channels, round(seconds * SAMPLE_RATE), name, part)

    def blocks(self, report: Report = _no_report, mixdown: Callable[[Block], Block] = mixed) -> Iterator[Block]:
        """The audio of the file, float32 (n,) in [-1, 1] at 16 kHz, channels averaged, some seconds per block.

        `mixdown` converts the channels, float32 (n, channels), to one, (n,), or several, (n, some).

        Yields all audio that can be decoded, and silence of about the same length for the rest. `report` receives a
        sentence for each damaged place, and for a length that differs from the header. Raises FileFault if nothing can
        be decoded, the file has no audio, or has values that are not finite.
        """
        with opened(self.source, self.name) as file:
            reading = Reading(self.name, file, report, mixdown)
            for stream in parts.streams(file.content, self.first):
                yield from reading.stream(stream)
            reading.finish()


def _look_at(file: Opened, part: Part, name: str) -> tuple[int, int, float]:
    """Rate, channels and length in seconds from the header of a recording. Raises LibsndfileError, FileFault."""
    if part.flac is not None:
        check_sound(part.flac.rate, part.flac.channels, name)
        return part.flac.rate, part.flac.channels, part.flac.samples / part.flac.rate
    if part.region is not None:
        check_sound(part.region.rate, part.region.channels, name)
        content = file.content.rest(part.begin)
        with decoded_stream(part.region.first_stream(content)) as sound:
            return _described(sound, name, part.region.seconds(content))
    elif part.kind is None:
        with decoded(file.whole()) as sound:
            return _described(sound, name)
    return _look_at_streams(file, part, name)


def _look_at_streams(file: Opened, part: Part, name: str) -> tuple[int, int, float]:
    """The same for OGG and MPEG audio, from its first stream that can be decoded."""
    fault: soundfile.LibsndfileError | None = None
    for stream in part.streams(file.content):
        try:
            with decoded_stream(stream) as sound:
                found = _described(sound, name, stream.promised_s or 0)
        except soundfile.LibsndfileError as error:
            fault = fault or error
            for _ in stream.content or ():
                pass
            continue
        if part.kind is not Kind.OGG or part.begin > 0 or fault is not None:
            return found
        with decoded(file.whole()) as sound:  # which knows the length of a first link
            return _described(sound, name)
    raise fault or FileFault(f"{name} has no audio: the file has no samples; record it again")


def _described(sound: SequentialSound, name: str, seconds: float | None = None) -> tuple[int, int, float]:
    check_sound(sound.samplerate, sound.channels, name)
    if seconds is None:
        seconds = sound.frames / sound.samplerate if 0 < sound.frames < UNKNOWN_FRAMES else 0.0
    return sound.samplerate, sound.channels, seconds


def _is_of_another_format(file: Opened) -> bool:
    """Whether libsndfile reads a file with an unknown signature. It may lose the beginning of an MP3."""
    try:
        with decoded(file.whole()) as sound:
            return bool(sound.format != "MP3")
    except soundfile.LibsndfileError:
        return False


def _check_codec(content: Content, name: str) -> None:
    """Raises FileFault for an OGG file of a codec that is not read."""
    if codec := ogg.undecoded(content):
        raise FileFault(f"{name} holds {codec} in OGG, which is not read (Vorbis and Opus are): {CONVERT}")


def _check_head(content: Content, part: Part, name: str) -> None:
    """Raise FileFault for recordings without a required header."""
    if part.kind is None and ogg.holds_pages(content, MOST_JUNK_BYTES):
        raise FileFault(
            f"{name} lacks its beginning, without which an OGG file cannot be decoded: copy it again from the original"
        )
