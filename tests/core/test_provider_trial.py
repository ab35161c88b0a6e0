"""When a trial counts, and what it says."""

import math

from coldvoxd.core.provider_trial import VALID_S, Trial

FAST = Trial("webgpu", "a GPU", 1000.0, accelerator_s=0.1, cpu_s=0.25)
SLOW = Trial("webgpu", "llvmpipe", 1000.0, accelerator_s=0.5, cpu_s=0.25)


def test_it_counts_for_a_week_and_not_from_the_future() -> None:
    assert FAST.counts_at(1000.0)
    assert FAST.counts_at(1000.0 + VALID_S)
    assert not FAST.counts_at(1001.0 + VALID_S)
    assert not FAST.counts_at(999.0)


def test_the_accelerator_must_be_faster_by_what_the_settings_ask() -> None:
    assert math.isclose(FAST.speedup, 2.5)
    assert FAST.is_fast_enough(2.5)
    assert not FAST.is_fast_enough(2.6)
    assert not SLOW.is_fast_enough(1.1)
    assert SLOW.is_fast_enough(0.5)


def test_a_trial_without_a_result_is_no_success() -> None:
    assert not Trial("webgpu", "", 0.0, attempts=1).is_fast_enough(0.0)


def test_it_says_what_is_used_and_why() -> None:
    assert FAST.told(1.1) == "auto uses webgpu on a GPU: it took 0.100 s, the CPU 0.250 s for the golden clip."
    assert SLOW.told(1.1) == "auto uses the CPU: webgpu on llvmpipe took 0.500 s, the CPU 0.250 s for the golden clip."
    crashed = Trial("cuda", "", 0.0, attempts=2)
    assert crashed.told(1.1) == "auto uses the CPU: the process ended 2 times while it tried cuda."
