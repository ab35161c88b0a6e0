"""Reframing: splits chunks of any length into frames of 512 samples with a running sample count, and joins frames."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audio_values import Frame, Gap, GapReason
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.values import FRAME_SAMPLES


class Reframer:
    """Splits a stream of int16 samples into Frames, and skips lost audio.

    Frames and Gaps together are contiguous: each starts where the previous one ended. A frame is never padded, and
    never holds audio from both sides of a gap; so up to 511 samples from just before a loss are discarded and counted
    in the Gap. With several channels, a frame holds their mix and the channels themselves.
    """

    def __init__(self) -> None:
        self._begun = np.empty(FRAME_SAMPLES, dtype=np.int16)
        self._held = 0
        self._start_sample = 0

    @property
    def next_sample(self) -> int:
        """Sample count of the next sample to be pushed."""
        return self._start_sample + self._held

    @property
    def next_frame_sample(self) -> int:
        """Sample count of the first sample that no frame holds yet."""
        return self._start_sample

    def drop_incomplete(self) -> None:
        """Discard the samples after the last frame: the next `push` has the same audio from another microphone."""
        self._held = 0

    def push(self, samples: npt.NDArray[np.int16]) -> list[Frame]:
        """Return the frames that `samples`, int16 (n,) or (n, channels) with any n, complete.

        Frames may share the memory of `samples`, which must not change. Raises ValueError if the number of channels
        changes within a frame, that is, without `skip`.
        """
        frames: list[Frame] = []
        if samples.shape[1:] != self._begun.shape[1:]:
            if self._held:
                raise ValueError(f"{samples.shape[1:]} channels in a frame that started with {self._begun.shape[1:]}")
            self._begun = np.empty((FRAME_SAMPLES, *samples.shape[1:]), dtype=np.int16)
        position = 0
        while position < len(samples):
            if self._held == 0 and len(samples) - position >= FRAME_SAMPLES:
                frames.append(self._frame(samples[position : position + FRAME_SAMPLES]))
                position += FRAME_SAMPLES
                continue
            taken = min(FRAME_SAMPLES - self._held, len(samples) - position)
            self._begun[self._held : self._held + taken] = samples[position : position + taken]
            self._held += taken
            position += taken
            if self._held == FRAME_SAMPLES:
                self._held = 0
                frames.append(self._frame(self._begun.copy()))
        return frames

    def skip(self, lost_samples: int, reason: GapReason) -> Gap:
        """Account for lost audio, 0 samples if the length is unknown. The incomplete frame is discarded with it."""
        if lost_samples < 0:
            raise ValueError(f"a gap of {lost_samples} samples: the sample count never goes back")
        gap = Gap(start_sample=self._start_sample, samples=self._held + lost_samples, reason=reason)
        self._start_sample += gap.samples
        self._held = 0
        return gap

    def _frame(self, samples: npt.NDArray[np.int16]) -> Frame:
        if samples.ndim == 1:
            frame = Frame(start_sample=self._start_sample, samples=samples)
        else:
            frame = Frame(start_sample=self._start_sample, samples=mixed(samples), channels=samples)
        self._start_sample += FRAME_SAMPLES
        return frame


def joined(frames: Iterable[Frame], start_sample: int, end_sample: int) -> npt.NDArray[np.float32]:
    """Return the samples [start_sample, end_sample) of ordered frames, float32 (n,) in [-1, 1]; missing ones are 0."""
    samples = np.zeros(max(0, end_sample - start_sample), np.float32)
    for frame in frames:
        if frame.end_sample <= start_sample:
            continue
        if frame.start_sample >= end_sample:
            break
        a, b = max(frame.start_sample, start_sample), min(frame.end_sample, end_sample)
        samples[a - start_sample : b - start_sample] = frame.samples[a - frame.start_sample : b - frame.start_sample]
    samples /= 32768
    return samples
