"""Converts the chunks of successive streams to frames and gaps on one running sample count."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from coldvoxd.capture.sample_clock import LOST_S, SampleClock
from coldvoxd.core.audio_values import Chunk, Frame, Gap, GapReason
from coldvoxd.core.framing import Reframer
from coldvoxd.core.values import SAMPLE_RATE


class ChunkFramer:
    """Makes Frames and Gaps from a microphone's chunks, each starting where the previous one ended.

    The sample count begins with the first audio and never goes back: time without a microphone counts by the sample
    clock, as a Gap before the next frame.
    """

    def __init__(self) -> None:
        self._clock = SampleClock()
        self._reframer = Reframer()
        self._has_audio = False
        self._is_new_stream = True
        self._skip_samples = 0
        """Samples at the start of a joined stream that the previous stream has delivered already."""
        self._captured_s: float | None = None
        """Monotonic time at which the last sample of the latest chunk was captured, if that was measured."""

    def sample_at(self, monotonic_s: float) -> int:
        """Return the count of the sample spoken at that moment, which may be in the future."""
        return self._clock.sample_at(monotonic_s)

    def captured_at(self, monotonic_s: float) -> int:
        """Return the count of the sample captured at that moment, which may be in the future.

        It is more exact than `sample_at` if the driver measures the age of its audio: the latency that a driver reports
        is that of a full buffer. It is for looking back by a moment only, since a measured age varies by milliseconds.
        """
        if self._captured_s is None:
            return self.sample_at(monotonic_s)
        later_s = monotonic_s - self._captured_s
        return max(0, self._reframer.next_sample + round(later_s * SAMPLE_RATE))

    def begin_stream(self) -> None:
        """Mark the next chunk as the first of a newly opened stream."""
        self._captured_s = None
        self._is_new_stream = True
        self._skip_samples = 0

    def reaches(self, spoken_s: float) -> bool:
        """Return whether the frames so far reach up to the sample spoken at that moment."""
        return self._has_audio and self._clock.sample_at(spoken_s) <= self._reframer.next_frame_sample

    def join_stream(self, spoken_from_s: float) -> None:
        """Continue with a newly opened stream, whose first sample was spoken at that moment.

        If the frames so far reach up to it, there is no gap: the new stream is used from the end of the last frame on.
        Otherwise its first chunk begins after a gap, as in `begin_stream`.
        """
        self.begin_stream()
        if self.reaches(spoken_from_s):
            self._is_new_stream = False
            self._reframer.drop_incomplete()
            self._clock.join(spoken_from_s)
            self._skip_samples = self._reframer.next_frame_sample - self._clock.sample_at(spoken_from_s)

    def dropped(self, samples: int) -> Gap:
        """Account for audio that was delivered and discarded before the next chunk."""
        return self._reframer.skip(samples, GapReason.OVERRUN)

    def stalled(self, chunks: Sequence[Chunk], latency_s: float) -> list[Gap]:
        """Return the gap before `chunks`, the first chunks after a stall; empty if nothing is missing.

        Without it the missing audio would be found only later, in the middle of the next word.
        """
        spoken_s = chunks[-1].arrived_s - latency_s
        held_samples = sum(len(chunk.samples) for chunk in chunks)
        missing = self._clock.behind(spoken_s, self._reframer.next_sample + held_samples)
        if missing <= LOST_S * SAMPLE_RATE:
            return []
        return [self._reframer.skip(missing, GapReason.STALLED)]

    def take(self, chunk: Chunk, latency_s: float) -> list[Frame | Gap]:
        """Return the gaps before the chunk and the frames that it completes; `latency_s` is a sample's age on arrival.

        Raises ValueError if the number of channels changes within a stream.
        """
        if self._skip_samples:
            skipped = min(self._skip_samples, len(chunk.samples))
            self._skip_samples -= skipped
            chunk = replace(chunk, samples=chunk.samples[skipped:])
            if not len(chunk.samples) and not chunk.overflow:
                return []
        spoken_s = chunk.arrived_s - latency_s
        items: list[Frame | Gap] = [*self._gaps_before(chunk, spoken_s)]
        lost = self._clock.arrived(spoken_s, self._end_sample(chunk))
        if lost:
            items.append(self._reframer.skip(lost, GapReason.STALLED))
        items.extend(self._reframer.push(chunk.samples))
        self._captured_s = None if chunk.age_s is None else chunk.arrived_s - chunk.age_s
        return items

    def _gaps_before(self, chunk: Chunk, spoken_s: float) -> Iterator[Gap]:
        """Yield the gap that the stream itself reports: it was just opened, or the device overran."""
        if self._is_new_stream:
            began_s = spoken_s - len(chunk.samples) / SAMPLE_RATE
            missing = self._clock.missing_at_reopening(began_s, self._reframer.next_sample)
            if self._has_audio:
                yield self._reframer.skip(missing, GapReason.REOPENED)
            self._has_audio, self._is_new_stream = True, False
        elif chunk.overflow:
            missing = self._clock.behind(spoken_s, self._end_sample(chunk))
            yield self._reframer.skip(missing, GapReason.OVERRUN)

    def _end_sample(self, chunk: Chunk) -> int:
        return self._reframer.next_sample + len(chunk.samples)
