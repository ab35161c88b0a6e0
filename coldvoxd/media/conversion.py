"""Makes one stream at 16 kHz of decoded frames, with silence in its gaps, and reports missing audio."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soxr

from coldvoxd.audio.reading import Report, check_sound
from coldvoxd.audio.streams import clock
from coldvoxd.core.errors import FileFault
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.media.timeline import Timeline

if TYPE_CHECKING:
    from av import AudioFrame

BATCH_S = 1.0
"""Seconds of audio that are resampled together: frames of codecs have some hundredths of a second."""
MOST_MISSING_S = 1.0
"""A recording may end this many seconds before the length in its header: containers round it, or count a pause."""
MOST_WARNINGS = 5
"""Maximum number of warnings about damaged places."""

Samples = npt.NDArray[np.int16]
_Wave = npt.NDArray[np.float32]
_FULL_SCALES = {"u1": 128.0, "i2": 32768.0, "i4": 2.0**31, "i8": 2.0**63, "f4": 1.0, "f8": 1.0}
"""By numpy's type of a frame's samples."""


class Conversion:
    """One pass over a recording. The caller passes the frames of one track, in order."""

    def __init__(self, name: str, duration_s: float | None, report: Report) -> None:
        self._name = name
        self._report = report
        self._timeline = Timeline(duration_s)
        self._resampler = _Resampler()
        self._is_damaged = False
        """Whether something before the next frame could not be decoded."""
        self._damage_count = 0
        self._reason = ""
        self._end_s = 0.0

    def note_damage(self, reason: str) -> None:
        """Note that the next packet of the track could not be read or decoded."""
        self._is_damaged = True
        self._reason = self._reason or reason

    def note_end(self, end_s: float) -> None:
        """Note the end of a packet of any track, in seconds from the beginning."""
        self._end_s = max(self._end_s, end_s)

    def take(self, frame: "AudioFrame", at_s: float | None) -> Iterator[Samples]:
        """Yield audio up to this frame, whose timestamp is `at_s`. Raises FileFault."""
        rate, channels = frame.sample_rate, len(frame.layout.channels)
        check_sound(rate, channels, self._name)
        samples = _samples(frame, channels)
        if not np.isfinite(samples).all():
            raise FileFault(
                f"{self._name} holds NaN or infinite values after {self._timeline.passed_s:.1f} s: export it again with "
                "samples from -1 to 1"
            )
        gap_s = self._timeline.silence_before(at_s)
        self._report_damage(gap_s)
        while gap_s > 0:
            step_s = min(gap_s, BATCH_S)
            gap_s -= step_s
            self._timeline.advance(step_s)
            yield from self._resampler.put(np.zeros((round(step_s * rate), channels), np.float32), rate)
        self._timeline.advance(len(samples) / rate)
        yield from self._resampler.put(samples, rate)

    def finish(self, what: str) -> Iterator[Samples]:
        """Yield the rest. Raises FileFault if no frame was decoded; `what` names the audio."""
        yield from self._resampler.finish()
        passed_s, duration_s = self._timeline.passed_s, self._timeline.duration_s
        if passed_s == 0:
            why = f" ({self._reason})" if self._reason else ""
            raise FileFault(
                f"{self._name} has no {what} that can be decoded{why}: it is empty, damaged or encrypted; copy it again from "
                "the original"
            )
        end_s = max(self._end_s, passed_s)
        if duration_s is not None and end_s < duration_s - MOST_MISSING_S:
            self._report(
                f"The file ends at {clock(end_s)}, though its header says {clock(duration_s)}: the rest is missing; if there "
                "is another copy, use that."
            )
        elif self._is_damaged:
            self._report(f"The file is truncated at {clock(passed_s)}: words may be missing there.")

    def _report_damage(self, gap_s: float) -> None:
        if not self._is_damaged:
            return
        self._is_damaged = False
        self._damage_count += 1
        if self._damage_count > MOST_WARNINGS:
            return
        at = clock(self._timeline.passed_s)
        if gap_s > 0:
            until = clock(self._timeline.passed_s + gap_s)
            self._report(f"The file is damaged from {at} to about {until}: the audio in between is missing.")
        else:
            self._report(f"The file is damaged at {at}: a word may be missing there.")


class _Resampler:
    """Converts blocks of any rate and number of channels to 16 kHz and the number of channels of the first block."""

    def __init__(self) -> None:
        self._channels = 0
        self._rate = 0
        self._stream: soxr.ResampleStream | None = None
        self._waiting: list[_Wave] = []
        self._waiting_samples = 0

    def put(self, block: _Wave, rate: int) -> Iterator[Samples]:
        """Yield converted audio. `block` is float32 (n, channels) at `rate`."""
        if rate != self._rate:
            yield from self.finish()
            self._rate = rate
        self._channels = self._channels or block.shape[1]
        if block.shape[1] != self._channels:
            block = np.tile(mixed(block)[:, None], self._channels)
        self._waiting.append(block)
        self._waiting_samples += len(block)
        if self._waiting_samples >= BATCH_S * rate:
            yield self._converted(last=False)

    def finish(self) -> Iterator[Samples]:
        """Yield the rest of the audio at the current rate."""
        if self._rate:
            yield self._converted(last=True)
        self._stream = None

    def _converted(self, *, last: bool) -> Samples:
        wave = np.concatenate([np.zeros((0, self._channels), np.float32), *self._waiting])
        self._waiting, self._waiting_samples = [], 0
        if self._rate != SAMPLE_RATE:
            if self._stream is None:
                self._stream = soxr.ResampleStream(self._rate, SAMPLE_RATE, self._channels, dtype="float32")
            wave = self._stream.resample_chunk(np.ascontiguousarray(wave), last=last)
        scaled: _Wave = np.clip(np.rint(wave * np.float32(32768)), -32768, 32767)
        return scaled.astype(np.int16)


def _samples(frame: "AudioFrame", channels: int) -> _Wave:
    """The samples of a frame, float32 (n, channels), mostly in [-1, 1]."""
    raw = frame.to_ndarray()
    columns = raw.T if frame.format.is_planar else raw.reshape(-1, channels)
    full_scale = _FULL_SCALES[f"{raw.dtype.kind}{raw.dtype.itemsize}"]
    offset = full_scale if raw.dtype.kind == "u" else 0.0
    return ((columns.astype(np.float64) - offset) / full_scale).astype(np.float32)
