"""Audio files of any rate and channel count, read at 16 kHz, as one channel or several."""

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
from coldvoxd.core.errors import FileFault
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.values import SAMPLE_RATE


def _no_report(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class AudioFile:
    """An audio file that can be read, from the beginning and as often as wanted."""

    source: Path | int
    """Its path, or an open descriptor of a regular file, whose own position is left alone."""
    sample_rate: int
    channels: int
    samples: int
    """About what `blocks` yields in all, at 16 kHz; the file's own word for it, which for damaged ones is wrong.

    0 where the file doesn't say, as of recordings that were streamed."""
    name: str = "the file"
    """What messages call it."""
    first: Part = field(default=Part(0, None), repr=False)
    """The first recording in it."""

    @classmethod
    def open(cls, source: Path | int, name: str | None = None) -> "AudioFile":
        """Look at the file's head. Raises FileFault with what to do for whatever is not audio that can be read."""
        name = name or ("the file" if isinstance(source, int) else str(source))
        with opened(source, name) as file:
            part = parts.first_part(file.content)
            if part.kind is None and not _is_of_another_format(file):
                part = parts.part_behind_damage(file.content) or part
                _check_head(file.content, part, name)
            rate, channels, seconds = _look_at(file, part, name)
            return cls(source, rate, channels, round(seconds * SAMPLE_RATE), name, part)

    def blocks(self, report: Report = _no_report, mixdown: Callable[[Block], Block] = mixed) -> Iterator[Block]:
        """The file's sound, float32 (n,) in [-1, 1] at 16 kHz, channels averaged, some seconds at a time.

        `mixdown` makes of the channels, float32 (n, channels), what is to be had: one, (n,), or several, (n, some).

        All of it that can be decoded; about as much silence stands in for what can't. `report` hears of each such
        place, and of a length that is not what the file says. Raises FileFault where nothing can be decoded, and where
        the file holds no sound at all or values that are not finite.
        """
        with opened(self.source, self.name) as file:
            reading = Reading(self.name, file, report, mixdown)
            for stream in parts.streams(file.content, self.first):
                yield from reading.stream(stream)
            reading.finish()


def _look_at(file: Opened, part: Part, name: str) -> tuple[int, int, float]:
    """Rate, channels and, as its header says it, length in seconds of a recording. Raises LibsndfileError, FileFault."""
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
    """The same of OGG and MPEG audio, by its first stream that can be decoded."""
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
    """Whether libsndfile reads the file, which begins with nothing that is known here. Of MP3 it may lose the beginning."""
    try:
        with decoded(file.whole()) as sound:
            return bool(sound.format != "MP3")
    except soundfile.LibsndfileError:
        return False


def _check_head(content: Content, part: Part, name: str) -> None:
    """Raises FileFault for recordings without the head that they need."""
    if part.kind is None and ogg.holds_pages(content, MOST_JUNK_BYTES):
        raise FileFault(
            f"{name} lacks its beginning, without which an OGG file cannot be decoded: copy it again from the original"
        )
