"""Reframing is pure: whatever the chunks' lengths, the same samples come out in frames of 512."""

import numpy as np
import pytest

from coldvoxd.core.audio_values import Gap, GapReason
from coldvoxd.core.framing import Reframer
from coldvoxd.core.values import FRAME_SAMPLES

SIGNAL = np.random.default_rng(1).integers(-32768, 32767, 10_000, dtype=np.int16)


@pytest.mark.parametrize("length", [1, 7, 160, 511, 512, 513, 1024, 5000, 10_000])
def test_frames_hold_the_signal_bit_exact_whatever_the_chunks_length(length: int) -> None:
    reframer = Reframer()
    frames = [f for at in range(0, len(SIGNAL), length) for f in reframer.push(SIGNAL[at : at + length])]
    assert [f.start_sample for f in frames] == list(range(0, 9_728, FRAME_SAMPLES))
    assert all(f.samples.shape == (FRAME_SAMPLES,) and f.samples.dtype == np.int16 for f in frames)
    assert np.array_equal(np.concatenate([f.samples for f in frames]), SIGNAL[:9_728])
    assert reframer.next_sample == len(SIGNAL)


def test_a_frame_handed_out_does_not_change_with_what_follows() -> None:
    reframer = Reframer()
    reframer.push(SIGNAL[:500])
    (frame,) = reframer.push(SIGNAL[500:600])
    reframer.push(SIGNAL[600:1000])
    assert np.array_equal(frame.samples, SIGNAL[:512])


def test_a_gap_takes_the_begun_frame_with_it_and_the_count_goes_on_behind_it() -> None:
    reframer = Reframer()
    reframer.push(SIGNAL[:700])
    assert reframer.skip(1000, GapReason.STALLED) == Gap(start_sample=512, samples=188 + 1000, reason=GapReason.STALLED)
    (frame,) = reframer.push(SIGNAL[700:1212])
    assert frame.start_sample == 1700
    assert np.array_equal(frame.samples, SIGNAL[700:1212])


def test_a_gap_of_unknown_length_still_accounts_for_what_was_given_up() -> None:
    reframer = Reframer()
    assert reframer.skip(0, GapReason.OVERRUN).samples == 0
    reframer.push(SIGNAL[:100])
    assert reframer.skip(0, GapReason.OVERRUN).samples == 100
    assert reframer.next_sample == 100


def test_the_count_never_goes_back() -> None:
    with pytest.raises(ValueError, match="never goes back"):
        Reframer().skip(-1, GapReason.STALLED)
