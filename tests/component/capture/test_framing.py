"""Chunks become contiguous frames and gaps; the framer is given times, so no test waits."""

import numpy as np
import pytest

from coldvoxd.capture.framing import ChunkFramer
from coldvoxd.core.audio_values import Chunk, Frame, Gap, GapReason
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

LATENCY_S = 0.02
START_S = 5_000.0


class Device:
    """A device that delivers frame-sized chunks on time."""

    def __init__(self) -> None:
        self.framer = ChunkFramer()
        self.now_s = START_S
        self.items: list[Frame | Gap] = []

    def deliver(self, seconds: float, samples: int = FRAME_SAMPLES, *, overflow: bool = False) -> "Device":
        for _ in range(round(seconds * SAMPLE_RATE / samples)):
            self.now_s += samples / SAMPLE_RATE
            chunk = Chunk(np.zeros(samples, np.int16), self.now_s, overflow)
            self.items += self.framer.take(chunk, LATENCY_S)
        return self

    def pause(self, seconds: float) -> "Device":
        self.now_s += seconds
        return self

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]

    def assert_seamless(self) -> None:
        expected = 0
        for item in self.items:
            assert item.start_sample == expected
            expected += len(item.samples) if isinstance(item, Frame) else item.samples


@pytest.mark.parametrize("samples", [160, 512, 700, 4096])
def test_chunks_of_any_length_become_frames_without_a_gap(samples: int) -> None:
    device = Device().deliver(3, samples)
    assert device.gaps == []
    assert len(device.items) == round(3 * SAMPLE_RATE / samples) * samples // FRAME_SAMPLES
    device.assert_seamless()


def test_a_moment_is_mapped_to_its_sample_with_the_latency_taken_off() -> None:
    device = Device().deliver(2)
    assert device.framer.sample_at(START_S + 1 - LATENCY_S) == pytest.approx(SAMPLE_RATE, abs=1)


def test_the_sample_of_a_moment_follows_the_measured_age_of_the_latest_audio() -> None:
    device = Device().deliver(2)
    assert device.framer.captured_at(device.now_s) == device.framer.sample_at(device.now_s), "nothing was measured"
    for age_s in (0.05, 0.2):
        device.now_s += FRAME_SAMPLES / SAMPLE_RATE
        device.framer.take(Chunk(np.zeros(FRAME_SAMPLES, np.int16), device.now_s, age_s=age_s), LATENCY_S)
        end_sample = round((device.now_s - START_S) * SAMPLE_RATE)
        assert device.framer.captured_at(device.now_s) == pytest.approx(end_sample + age_s * SAMPLE_RATE, abs=1)
        assert device.framer.captured_at(device.now_s - age_s) == pytest.approx(end_sample, abs=1)
    device.framer.begin_stream()
    assert device.framer.captured_at(device.now_s) == device.framer.sample_at(device.now_s), "of another stream"
    device.assert_seamless()


def test_the_first_stream_begins_at_sample_0_and_a_reopened_one_after_a_gap() -> None:
    device = Device().deliver(2)
    device.framer.begin_stream()
    device.pause(7).deliver(1)
    (gap,) = device.gaps
    assert gap.reason is GapReason.REOPENED
    assert gap.samples == pytest.approx(7 * SAMPLE_RATE, abs=2)
    device.assert_seamless()


def test_a_stream_without_audio_leaves_no_gap() -> None:
    device = Device()
    device.framer.begin_stream()
    device.framer.begin_stream()
    device.deliver(1)
    assert device.gaps == []


def test_audio_that_the_device_lost_is_a_gap_as_long_as_the_clock_says() -> None:
    device = Device().deliver(2).pause(0.5).deliver(FRAME_SAMPLES / SAMPLE_RATE, overflow=True)
    (gap,) = device.gaps
    assert gap.reason is GapReason.OVERRUN
    assert gap.samples == pytest.approx(0.5 * SAMPLE_RATE, abs=2)
    device.assert_seamless()


def test_audio_that_the_stream_skipped_silently_is_found_after_a_second() -> None:
    device = Device().deliver(20).pause(0.8).deliver(0.9)
    assert device.gaps == []
    device.deliver(1)
    (gap,) = device.gaps
    assert gap.reason is GapReason.STALLED
    assert gap.samples == pytest.approx(0.8 * SAMPLE_RATE, abs=2)
    device.assert_seamless()


def test_dropped_audio_counts_together_with_the_frame_that_it_interrupts() -> None:
    device = Device().deliver(0.1, samples=100)
    whole = len([item for item in device.items if isinstance(item, Frame)]) * FRAME_SAMPLES
    gap = device.framer.dropped(1000)
    assert gap == Gap(whole, 1600 - whole + 1000, GapReason.OVERRUN)


def test_the_number_of_channels_may_change_with_a_new_stream_but_not_within_one() -> None:
    framer = ChunkFramer()
    framer.take(Chunk(np.zeros(100, np.int16), START_S), LATENCY_S)
    stereo = Chunk(np.zeros((FRAME_SAMPLES, 2), np.int16), START_S + 1)
    with pytest.raises(ValueError, match="channels in a frame"):
        framer.take(stereo, LATENCY_S)
    framer.begin_stream()
    gap, frame = framer.take(stereo, LATENCY_S)
    assert isinstance(gap, Gap)
    assert isinstance(frame, Frame)
    assert frame.channels is not None


def joined(device: Device, spoken_from_s: float, chunks: list[Chunk], latency_s: float) -> list[Frame | Gap]:
    """Return the items of a second stream that continues the first one."""
    device.framer.join_stream(spoken_from_s)
    return [item for chunk in chunks for item in device.framer.take(chunk, latency_s)]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_stream_that_overlaps_the_one_before_continues_it_without_a_gap(channels: int) -> None:
    """The sample that the new stream delivers follows the last frame of the old one, whatever its latency."""
    device = Device().deliver(2).deliver(0.01, 160)
    last = device.items[-1]
    assert isinstance(last, Frame)
    latency_s, began_s = 0.3, device.now_s - LATENCY_S - 0.5
    numbers = np.arange(SAMPLE_RATE, dtype=np.int16)
    samples = numbers if channels == 1 else np.stack([numbers] * channels, axis=1)
    chunks = [
        Chunk(samples[start : start + 800], began_s + latency_s + (start + 800) / SAMPLE_RATE)
        for start in range(0, SAMPLE_RATE, 800)
    ]
    items = joined(device, began_s, chunks, latency_s)
    first = items[0]
    assert isinstance(first, Frame)
    assert first.start_sample == last.end_sample
    spoken_s = began_s + float(first.samples[0]) / SAMPLE_RATE
    assert device.framer.sample_at(spoken_s + LATENCY_S) == pytest.approx(
        last.end_sample + LATENCY_S * SAMPLE_RATE, abs=1
    )
    device.items += items
    device.assert_seamless()


def test_a_stream_that_begins_after_the_one_before_has_ended_comes_after_a_gap() -> None:
    device = Device().deliver(2)
    last = device.items[-1]
    assert isinstance(last, Frame)
    began_s = device.now_s - LATENCY_S + 0.7
    chunks = [Chunk(np.zeros(FRAME_SAMPLES, np.int16), began_s + LATENCY_S + FRAME_SAMPLES / SAMPLE_RATE)]
    gap, _frame = joined(device, began_s, chunks, LATENCY_S)
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.start_sample) == (GapReason.REOPENED, last.end_sample)
    assert gap.samples == pytest.approx(0.7 * SAMPLE_RATE, abs=1)
