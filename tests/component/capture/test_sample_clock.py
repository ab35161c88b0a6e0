"""The sample clock is given times; no test here waits."""

import random

import pytest

from coldvoxd.capture.sample_clock import SampleClock
from coldvoxd.core.values import SAMPLE_RATE

CHUNK = 512
CHUNK_S = CHUNK / SAMPLE_RATE
START_S = 5_000.0


class Stream:
    """Chunks of 32 ms as a device would deliver them, starting at START_S."""

    def __init__(self, clock: SampleClock) -> None:
        self.clock = clock
        self.sample = 0
        self.now_s = START_S
        self.lost: list[int] = []

    def run(self, seconds: float, *, late_s: float = 0.0, rate: float = 1.0) -> "Stream":
        for _ in range(round(seconds / CHUNK_S)):
            self.now_s += CHUNK_S / rate
            self.sample += CHUNK
            if lost := self.clock.arrived(self.now_s + late_s, self.sample):
                self.lost.append(lost)
                self.sample += lost
        return self

    def stand_still(self, seconds: float) -> "Stream":
        self.now_s += seconds
        return self


def test_before_all_audio_every_moment_is_sample_0() -> None:
    clock = SampleClock()
    assert clock.sample_at(START_S) == 0


def test_a_moment_is_mapped_to_the_sample_spoken_then() -> None:
    stream = Stream(SampleClock()).run(5)
    assert stream.clock.sample_at(START_S + 2.5) == 40_000
    assert stream.clock.sample_at(START_S + 60) == 960_000, "future samples have positions too"
    assert stream.clock.sample_at(START_S - 1) == 0


def test_late_chunks_do_not_move_the_anchor() -> None:
    stream = Stream(SampleClock())
    jitter = random.Random(3)
    for _ in range(2000):
        stream.run(CHUNK_S, late_s=abs(jitter.gauss(0, 0.03)))
    assert stream.lost == []
    assert stream.clock.sample_at(START_S + 30) == pytest.approx(480_000, abs=64)


def test_a_first_chunk_that_came_late_is_forgotten_at_once() -> None:
    stream = Stream(SampleClock()).run(CHUNK_S, late_s=0.25).run(1)
    assert stream.clock.sample_at(START_S + 0.5) == pytest.approx(8_000, abs=1)


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_sound_card_that_runs_slow_or_fast_is_followed_and_nothing_counts_as_lost(ppm: int) -> None:
    stream = Stream(SampleClock()).run(3600, rate=1 + ppm * 1e-6)
    assert stream.lost == []
    assert stream.clock.sample_at(stream.now_s) == pytest.approx(stream.sample, abs=0.01 * SAMPLE_RATE)


def test_lost_audio_is_found_after_a_second_with_its_length() -> None:
    stream = Stream(SampleClock()).run(20).stand_still(0.8).run(0.9)
    assert stream.lost == []
    stream.run(1)
    assert stream.lost == [pytest.approx(12_800, abs=2)]
    stream.run(60)
    assert len(stream.lost) == 1
    assert stream.clock.sample_at(stream.now_s) == pytest.approx(stream.sample, abs=2)


def test_a_burst_that_was_merely_late_is_not_lost() -> None:
    stream = Stream(SampleClock()).run(20)
    stream.run(0.9, late_s=0.9).run(10)
    assert stream.lost == []


def test_less_than_the_limit_is_absorbed_into_the_anchor() -> None:
    stream = Stream(SampleClock()).run(20).stand_still(0.2).run(40)
    assert stream.lost == []
    assert stream.clock.sample_at(stream.now_s) == pytest.approx(stream.sample, abs=2)


def test_time_without_a_microphone_counts() -> None:
    stream = Stream(SampleClock()).run(5)
    missing = stream.clock.missing_at_reopening(stream.now_s + 7, stream.sample)
    assert missing == pytest.approx(7 * SAMPLE_RATE, abs=2)


def test_reopening_a_quicker_device_never_turns_the_count_back() -> None:
    stream = Stream(SampleClock()).run(5)
    assert stream.clock.missing_at_reopening(stream.now_s - 0.1, stream.sample) == 0
    stream.now_s -= 0.1
    stream.run(5)
    assert stream.lost == []


def test_what_an_overflow_lost_is_read_from_the_clock() -> None:
    stream = Stream(SampleClock()).run(5)
    assert stream.clock.behind(stream.now_s + 0.5, stream.sample) == pytest.approx(8_000, abs=2)
    assert stream.clock.behind(stream.now_s - 0.5, stream.sample) == 0
