"""Audio files of any rate and channel count, read as 16 kHz mono."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from coldvoxd.audio import flac, mpeg, ogg, riff
from coldvoxd.audio.decoding import SequentialSound, decoded, decoded_bytes, decoded_stream
from coldvoxd.audio.opening import CONVERT, Opened, opened
from coldvoxd.audio.promises import promised_share
from coldvoxd.audio.streams import SHORTEST_DAMAGE_S, Content, Stream, clock
from coldvoxd.core.errors import FileFault
from coldvoxd.core.values import SAMPLE_RATE

BLOCK_S = 5
"""Files are read so much at a time, so that their length doesn't matter."""
BLOCK_VALUES = 2_000_000
"""And no more than so many values of all channels together."""
LOWEST_RATE, HIGHEST_RATE, MOST_CHANNELS = 1_000, 768_000, 32
"""What else a head claims is damage or malice, and would need memory beyond reason."""
UNKNOWN_FRAMES = 1 << 60
"""libsndfile's word for a length that is not known is at least this."""
MOST_PADDING = 4096
"""An MP3 encoder's header counts fewer samples than this behind the sound."""
READ_AHEAD_BYTES = 1 << 17
"""libFLAC reads no further ahead than this."""
MOST_GAP_S = 600.0
"""No more silence than this stands in for what is missing at one place."""

Block = npt.NDArray[np.float32]
Report = Callable[[str], None]
"""Receives a sentence about a place where the recording is damaged or is not as long as it says, without its name."""


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
    kind: str = field(default="", repr=False)
    """Its format and codec, as libsndfile names them."""

    @classmethod
    def open(cls, source: Path | int, name: str | None = None) -> "AudioFile":
        """Look at the file's head. Raises FileFault with what to do for whatever is not audio that can be read."""
        name = name or ("the file" if isinstance(source, int) else str(source))
        with opened(source, name) as file:
            wave = riff.wave(file.content)
            if wave is not None and not wave.is_regular:
                with decoded_stream(next(wave.streams(file.content))) as sound:
                    _check(sound, name)
                    seconds = (wave.end - wave.begin) / max(wave.bytes_per_s, 1)
                    samples = round(seconds * SAMPLE_RATE)
                    return cls(source, sound.samplerate, sound.channels, samples, name, "WAV")
            if mpeg.begins(file.content):
                first = next(mpeg.streams(file.content))
                with decoded_stream(first) as sound:
                    _check(sound, name)
                    samples = round((first.promised_s or 0) * SAMPLE_RATE)
                    return cls(source, sound.samplerate, sound.channels, samples, name, "MP3")
            with decoded(file.whole()) as sound:
                _check(sound, name)
                frames = sound.frames if 0 < sound.frames < UNKNOWN_FRAMES else 0
                samples = round(frames * SAMPLE_RATE / sound.samplerate)
                return cls(source, sound.samplerate, sound.channels, samples, name, f"{sound.format} {sound.subtype}")

    def blocks(self, report: Report = _no_report) -> Iterator[Block]:
        """The file's sound, float32 (n,) in [-1, 1] at 16 kHz, channels averaged, some seconds at a time.

        All of it that can be decoded; about as much silence stands in for what can't. `report` hears of each such
        place, and of a length that is not what the file says. Raises FileFault where nothing can be decoded, and where
        the file holds no sound at all or values that are not finite.
        """
        with opened(self.source, self.name) as file:
            reading = _Reading(self.name, file, report)
            for stream in self._streams(file.content):
                yield from reading.stream(stream)
            reading.finish()

    def _streams(self, content: Content) -> Iterator[Stream]:
        match self.kind.split():
            case ["OGG", "VORBIS" | "OPUS"]:
                return ogg.streams(content)
            case ["MP3", *_]:
                return mpeg.streams(content)
        if (wave := riff.wave(content)) is not None:
            return wave.streams(content)
        return iter((Stream(None, promised_share=promised_share(content)),))


class _Reading:
    """One pass over a recording."""

    def __init__(self, name: str, file: Opened, report: Report) -> None:
        self._name = name
        self._file = file
        self._report = report
        self._passed_s = 0.0
        """How much of the recording has been read, or is missing."""
        self._begin_s = 0.0
        """Where what the last header describes began."""
        self._header = Stream(())
        self._is_unfinished = False
        self._is_silent = True
        self._fault: FileFault | None = None

    def stream(self, stream: Stream) -> Iterator[Block]:
        """The sound of the next stream, with silence before it for what is missing there."""
        if not stream.continues:
            self._compare()
            self._begin_s, self._header = self._passed_s, stream
        if stream.damaged or stream.gap_s:
            yield from self._missing(stream.gap_s)
        if stream.content == ():
            return
        try:
            yield from self._sound(stream)
        except soundfile.LibsndfileError as error:
            self._fault = self._fault or FileFault(
                f"{self._name} is damaged after {self._passed_s:.1f} s ({error.error_string}): {CONVERT}, which may mend it"
            )
            self._report(f"The file is damaged at {clock(self._passed_s)}: what follows there can't be decoded.")
            for _ in stream.content or ():
                pass  # the next stream begins behind it
        self._is_unfinished = stream.unfinished

    def finish(self) -> None:
        """After the last stream. Raises FileFault where none held sound."""
        self._compare()
        if self._is_silent:
            raise self._fault or FileFault(
                f"{self._name} holds no sound: it is an audio file without a single sample; record it again"
            )

    def _sound(self, stream: Stream) -> Iterator[Block]:
        if stream.content is not None:
            with decoded_stream(stream) as sound:
                yield from self._mono(sound.samplerate, _trimmed(self._decoded(sound), stream))
            return
        with decoded(self._file.whole()) as sound:
            frames = self._flac(sound) if sound.format == "FLAC" else self._decoded(sound)
            yield from self._mono(sound.samplerate, frames)

    def _mono(self, rate: int, blocks: Iterator[Block]) -> Iterator[Block]:
        """Blocks of (frames, channels) at `rate`, averaged and resampled."""
        resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        for block in blocks:
            self._passed_s += len(block) / rate
            self._is_silent = False
            mono = block.mean(axis=1, dtype=np.float32)
            yield mono if rate == SAMPLE_RATE else resampler.resample_chunk(mono)
        if rate != SAMPLE_RATE:
            yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)

    def _decoded(self, sound: SequentialSound) -> Iterator[Block]:
        """What libsndfile decodes, float32 (frames, channels). Raises LibsndfileError."""
        _check(sound, self._name)
        count = min(BLOCK_S * sound.samplerate, BLOCK_VALUES // sound.channels)
        while len(block := sound.read(count, dtype="float32", always_2d=True)) > 0:
            if not np.isfinite(block).all():
                raise FileFault(f"{self._name} holds NaN or infinite values after {self._passed_s:.1f} s: {CONVERT}")
            yield block

    def _flac(self, sound: SequentialSound) -> Iterator[Block]:
        """The same of a FLAC file, and of others that are joined to it.

        libsndfile doesn't pass a damaged frame, and ends where the first file ends: beyond, each frame is decoded by
        itself.
        """
        read, promised = 0, sound.frames if sound.frames < UNKNOWN_FRAMES else 0
        try:
            for block in self._decoded(sound):
                read += len(block)
                yield block
            is_whole = True
        except soundfile.LibsndfileError:
            is_whole = False
        decoded_to = self._file.position() - READ_AHEAD_BYTES if is_whole else 0
        info = flac.stream_info(self._file.content, decoded_to=decoded_to)
        if info is None:
            if not is_whole:
                raise FileFault(f"{self._name} is damaged, its head too: {CONVERT}, which may mend it")
            return
        if not is_whole or read < promised:
            yield from self._single_frames(info, read, sound.channels)
        while (info := flac.stream_info(self._file.content, info.end)) is not None:
            if (info.rate, info.channels) != (sound.samplerate, sound.channels):
                self._report(
                    f"Another recording of a different kind is joined to the file at {clock(self._passed_s)}, and was "
                    "not read: split the file there."
                )
                return
            yield from self._single_frames(info, 0, sound.channels)

    def _single_frames(self, info: flac.StreamInfo, begin: int, channels: int) -> Iterator[Block]:
        """The samples of one FLAC file from `begin` on, and silence in the place of frames that can't be decoded."""
        position, breaks_off = begin, False
        for frame in flac.frames(self._file.content, info):
            if frame.first + frame.samples <= begin:
                continue
            try:
                with decoded_bytes(info.as_file(frame)) as sound:
                    block: Block = sound.read(frame.samples, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                breaks_off = True
                continue
            breaks_off = False
            if frame.first > position:
                gap_s = (frame.first - position) / info.rate
                self._report_missing(gap_s)
                for silence in _silence(gap_s, info.rate):
                    yield np.tile(silence[:, None], channels)
            yield block[max(position - frame.first, 0) :]
            position = frame.first + frame.samples
        if position < info.samples:
            missing_s = (info.samples - position) / info.rate
            self._report_cut(self._passed_s, self._passed_s + missing_s)
        elif breaks_off:
            self._report_breaking_off()

    def _missing(self, gap_s: float) -> Iterator[Block]:
        self._report_missing(gap_s)
        for silence in _silence(gap_s, SAMPLE_RATE):
            self._passed_s += len(silence) / SAMPLE_RATE
            yield silence

    def _report_missing(self, gap_s: float) -> None:
        if gap_s < SHORTEST_DAMAGE_S:
            self._report(f"The file is damaged at {clock(self._passed_s)}: a word may be missing there.")
        else:
            self._report(
                f"The file is damaged from {clock(self._passed_s)} to about {clock(self._passed_s + gap_s)}: what was said "
                "there is missing."
            )

    def _report_cut(self, held_s: float, promised_s: float) -> None:
        self._report(
            f"The file ends at {clock(held_s)}, though its header says {clock(promised_s)}: the rest is missing; if there "
            "is another copy, use that."
        )

    def _compare(self) -> None:
        """Report where what has been read since the last header is not as long as that says."""
        promised_s, held_s = self._header.promised_s, self._passed_s - self._begin_s
        if self._header.promised_share is not None:
            promised_s = held_s * self._header.promised_share
        if promised_s is not None and held_s < promised_s - SHORTEST_DAMAGE_S:
            self._report_cut(self._passed_s, self._begin_s + promised_s)
        elif promised_s is not None and held_s > promised_s + SHORTEST_DAMAGE_S:
            self._report(
                f"The file goes on to {clock(self._passed_s)}, though its header says "
                f"{clock(self._begin_s + promised_s)}: all of it was read."
            )
        elif self._is_unfinished:
            self._report_breaking_off()

    def _report_breaking_off(self) -> None:
        self._report(f"The file breaks off at {clock(self._passed_s)}: something may be missing there.")


def _trimmed(blocks: Iterator[Block], stream: Stream) -> Iterator[Block]:
    """Without the delay and the padding of the encoder."""
    skip, kept = stream.skip, 0
    held: Block | None = None
    for block in blocks:
        if skip:
            skip, rest = max(skip - len(block), 0), block[skip:]
        else:
            rest = block
        held = rest if held is None else np.concatenate((held, rest))
        passed = max(len(held) - MOST_PADDING, 0) if stream.skip else len(held)
        if passed:
            yield held[:passed]
        kept, held = kept + passed, held[passed:]
    if held is not None:
        rest = held if stream.keep is None else held[: max(stream.keep - kept, 0)]
        if len(rest):
            yield rest


def _silence(seconds: float, rate: int) -> Iterator[Block]:
    count = round(min(seconds, MOST_GAP_S) * rate)
    for begin in range(0, count, BLOCK_S * rate):
        yield np.zeros(min(BLOCK_S * rate, count - begin), dtype=np.float32)


def _check(sound: SequentialSound, name: str) -> None:
    if not (LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE and sound.channels <= MOST_CHANNELS):
        raise FileFault(
            f"{name} says it has {sound.channels} channels at {sound.samplerate} Hz, which nothing that is spoken has: "
            f"{CONVERT}"
        )
