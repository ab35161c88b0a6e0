"""One pass over a recording: decodes its streams, converts them to one scale and rate, and reports missing audio."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from coldvoxd.audio import flac, mpeg, signatures
from coldvoxd.audio.decoding import SequentialSound, decoded, decoded_bytes, decoded_stream
from coldvoxd.audio.opening import Opened
from coldvoxd.audio.streams import SHORTEST_DAMAGE_S, Stream, clock
from coldvoxd.audio.unread_formats import CONVERT
from coldvoxd.core.conditioning import Conditioning
from coldvoxd.core.errors import FileFault, InputFault
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.values import SAMPLE_RATE

BLOCK_S = 5
"""Seconds of audio per read, so that memory use does not depend on the file's length."""
BLOCK_VALUES = 2_000_000
"""Maximum number of values of all channels per read."""
LOWEST_RATE, HIGHEST_RATE, MOST_CHANNELS = 1_000, 768_000, 32
"""Limits for values in headers; others are damaged or malicious, and would need excessive memory."""
UNKNOWN_FRAMES = 1 << 60
"""libsndfile reports at least this for an unknown length."""
MOST_PADDING = 4096
"""An MP3 encoder's header counts fewer padding samples than this after the audio."""
READ_AHEAD_BYTES = 1 << 17
"""Maximum read-ahead of libFLAC in bytes."""
MOST_GAP_S = 600.0
"""Maximum seconds of silence that replace missing audio at one place."""

Block = npt.NDArray[np.float32]
Report = Callable[[str], None]
"""Receives a sentence, without the file's name, about a damaged place or a length that differs from the header."""


class Reading:
    """One pass over a recording."""

    def __init__(self, name: str, file: Opened, report: Report, mixdown: Callable[[Block], Block]) -> None:
        self._name = name
        self._file = file
        self._report = report
        self._mixdown = mixdown
        self._columns: int | None = None
        """Number of columns of the first block after the mixdown; None for one channel. Later streams are converted to
        it."""
        self._passed_s = 0.0
        """Seconds of the recording that were read or are missing."""
        self._begin_s = 0.0
        """Start in seconds of the recording that the last header describes."""
        self._header = Stream(())
        self._is_unfinished = False
        self._is_silent = True
        self._fault: FileFault | None = None

    def stream(self, stream: Stream) -> Iterator[Block]:
        """The audio of the next stream, after silence for what is missing before it."""
        broke_off = False
        if not stream.continues:
            broke_off = self._compare()
            self._begin_s, self._header = self._passed_s, stream
        if stream.foreign_bytes and not broke_off:
            self._report_foreign(stream.foreign_bytes)
        if (stream.damaged or stream.gap_s) and not (broke_off and stream.gap_s < SHORTEST_DAMAGE_S):
            yield from self._missing(stream.gap_s)
        if stream.content == ():
            return
        try:
            yield from self._sound(stream)
        except soundfile.LibsndfileError as error:
            for _ in stream.content or ():
                pass  # the next stream starts after it
            self._is_unfinished = stream.unfinished
            if stream.keep == 0:
                return  # a header without audio
            self._fault = self._fault or FileFault(
                f"{self._name} is damaged after {self._passed_s:.1f} s ({error.error_string}): {CONVERT}, which may repair it"
            )
            self._report(
                f"The file is damaged at {clock(self._passed_s)}: the rest of the audio there cannot be decoded."
            )
        self._is_unfinished = stream.unfinished

    def finish(self) -> None:
        """End the pass after the last stream. Raises FileFault if none had audio."""
        self._compare()
        if self._is_silent:
            raise self._fault or FileFault(f"{self._name} has no audio: the file has no samples; record it again")

    def _sound(self, stream: Stream) -> Iterator[Block]:
        if stream.flac is not None:
            yield from self._mono(stream.flac.rate, self._flac(stream, stream.flac))
        elif stream.content is not None:
            with decoded_stream(stream) as sound:
                yield from self._mono(sound.samplerate, _trimmed(self._decoded(sound), stream))
        else:
            with decoded(self._file.whole()) as sound:
                yield from self._mono(sound.samplerate, self._decoded(sound))

    def _mono(self, rate: int, blocks: Iterator[Block]) -> Iterator[Block]:
        """Blocks of (frames, channels) at `rate`, converted to scale, mixed down and resampled."""
        condition = Conditioning(rate)
        resampler: soxr.ResampleStream | None = None
        for block in blocks:
            try:
                sound = self._mixed_down(condition(block))
            except InputFault as fault:
                at_s = self._passed_s
                raise FileFault(
                    f"{self._name} holds {fault}, after {at_s:.1f} s: export it again with samples from -1 to 1"
                ) from fault
            self._passed_s += len(block) / rate
            self._is_silent = False
            if rate == SAMPLE_RATE:
                yield sound
                continue
            resampler = resampler or soxr.ResampleStream(rate, SAMPLE_RATE, self._columns or 1, dtype="float32")
            yield resampler.resample_chunk(np.ascontiguousarray(sound))
        if resampler is not None:
            yield resampler.resample_chunk(self._shaped(np.zeros(0, dtype=np.float32)), last=True)

    def _mixed_down(self, block: Block) -> Block:
        sound = self._mixdown(block)
        if self._is_silent and self._columns is None and sound.ndim > 1:
            self._columns = sound.shape[1]
        if sound.shape[1:] == (() if self._columns is None else (self._columns,)):
            return sound
        return self._shaped(mixed(block))

    def _shaped(self, mono: Block) -> Block:
        """One channel in the shape of the first block's mixdown."""
        return mono if self._columns is None else np.tile(mono[:, None], self._columns)

    def _decoded(self, sound: SequentialSound) -> Iterator[Block]:
        """The output of libsndfile, float32 (frames, channels). Raises LibsndfileError."""
        check_sound(sound.samplerate, sound.channels, self._name)
        count = min(BLOCK_S * sound.samplerate, BLOCK_VALUES // sound.channels)
        while len(block := sound.read(count, dtype="float32", always_2d=True)) > 0:
            if not np.isfinite(block).all():
                raise FileFault(f"{self._name} holds NaN or infinite values after {self._passed_s:.1f} s: {CONVERT}")
            yield block

    def _flac(self, stream: Stream, info: flac.StreamInfo) -> Iterator[Block]:
        """The same for a FLAC file. libsndfile reads the one at the beginning of a file, up to a damaged frame.

        Each frame after it, and those of other FLAC files, are decoded one by one.
        """
        check_sound(info.rate, info.channels, self._name)
        read, is_whole = 0, False
        if info.offset == signatures.tag_bytes(self._file.content.at(0, signatures.HEAD_BYTES)):
            try:
                with decoded(self._file.whole()) as sound:
                    for block in self._decoded(sound):
                        read += len(block)
                        yield block
                is_whole = True
            except soundfile.LibsndfileError:
                pass  # its frames are decoded one by one
        decoded_to = self._file.position() - READ_AHEAD_BYTES if is_whole else 0
        stream.end = self._flac_end(max(decoded_to, info.begin))
        if not is_whole or read < info.samples:
            yield from self._single_frames(info, read, stream.end)

    def _flac_end(self, offset: int) -> int:
        """The offset of another file, possibly MPEG audio without a header if it is near `offset`; or the end."""
        content = self._file.content
        end = signatures.find(content, offset)
        end = content.size if end is None else end
        frames = mpeg.find(content, offset, min(end, offset + 2 * READ_AHEAD_BYTES))
        header = mpeg.find_header(content, offset, end if frames is None else frames)
        return min(place for place in (end, frames, header) if place is not None)

    def _single_frames(self, info: flac.StreamInfo, begin: int, end: int) -> Iterator[Block]:
        """The samples of one FLAC file from `begin` on, with silence for frames that cannot be decoded."""
        position, breaks_off = begin, False
        for frame in flac.frames(self._file.content, info, end):
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
                    yield np.tile(silence[:, None], info.channels)
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
            yield self._shaped(silence)

    def _report_missing(self, gap_s: float) -> None:
        if gap_s < SHORTEST_DAMAGE_S and self._passed_s == 0:
            self._report("The beginning of the file is damaged or missing: words may be missing there.")
        elif gap_s < SHORTEST_DAMAGE_S:
            self._report(f"The file is damaged at {clock(self._passed_s)}: a word may be missing there.")
        else:
            self._report(
                f"The file is damaged from {clock(self._passed_s)} to about {clock(self._passed_s + gap_s)}: the audio in "
                "between is missing."
            )

    def _report_foreign(self, count: int) -> None:
        self._report(
            f"At {clock(self._passed_s)} the file holds {count} bytes that are neither audio nor a tag: they were skipped."
        )

    def _report_cut(self, held_s: float, promised_s: float) -> None:
        self._report(
            f"The file ends at {clock(held_s)}, though its header says {clock(promised_s)}: the rest is missing; if there "
            "is another copy, use that."
        )

    def _compare(self) -> bool:
        """Report a difference between the audio and the length in its header; return whether the audio is too short."""
        promised_s, held_s = self._header.promised_s, self._passed_s - self._begin_s
        if self._header.promised_share is not None:
            promised_s = held_s * self._header.promised_share
        if promised_s is not None and held_s < promised_s - SHORTEST_DAMAGE_S:
            self._report_cut(self._passed_s, self._begin_s + promised_s)
            return True
        if promised_s is not None and held_s > promised_s + SHORTEST_DAMAGE_S:
            self._report(
                f"The file continues to {clock(self._passed_s)}, though its header says "
                f"{clock(self._begin_s + promised_s)}: all of it was read."
            )
        elif self._is_unfinished:
            self._report_breaking_off()
            return True
        return False

    def _report_breaking_off(self) -> None:
        self._report(f"The file is truncated at {clock(self._passed_s)}: words may be missing there.")


def _trimmed(blocks: Iterator[Block], stream: Stream) -> Iterator[Block]:
    """The blocks without the delay and the padding of the encoder."""
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


def check_sound(rate: int, channels: int, name: str) -> None:
    """Raise FileFault for a rate or a number of channels that no recording of speech has."""
    if not (LOWEST_RATE <= rate <= HIGHEST_RATE and 1 <= channels <= MOST_CHANNELS):
        noun = "channel" if channels == 1 else "channels"
        raise FileFault(
            f"{name} says it has {channels} {noun} at {rate} Hz; recordings of speech have 1 to {MOST_CHANNELS} channels at "
            f"{LOWEST_RATE} to {HIGHEST_RATE} Hz: {CONVERT}"
        )
