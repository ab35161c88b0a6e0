"""Confidence intervals by the bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.evaluate.bootstrap import FEWEST_SPEAKERS, Bootstrap, Unit, unit_for
from coldvoxd.evaluate.scoring import Counts

COUNTS = st.lists(
    st.builds(Counts, st.integers(1, 20), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
    min_size=1,
    max_size=30,
)


@given(COUNTS, st.sampled_from(Unit))
def test_an_interval_lies_within_the_rates_of_its_groups(counts: list[Counts], unit: Unit) -> None:
    speakers = [str(number % 3) for number in range(len(counts))]
    groups: dict[str, Counts] = {}
    for number, (one, speaker) in enumerate(zip(counts, speakers, strict=True)):
        key = speaker if unit is Unit.SPEAKERS else str(number)
        groups[key] = groups.get(key, Counts()) + one
    rates = [group.rate for group in groups.values()]
    interval = Bootstrap(unit, 100).interval(counts, speakers)
    assert min(rates) - 1e-9 <= interval.low <= interval.high <= max(rates) + 1e-9
    assert interval == Bootstrap(unit, 100).interval(counts, speakers)


@given(COUNTS)
def test_a_system_does_not_differ_from_itself(counts: list[Counts]) -> None:
    interval = Bootstrap(Unit.UTTERANCES, 50).difference(counts, counts, [""] * len(counts))
    assert (interval.low, interval.high) == (0.0, 0.0)


def test_the_interval_is_that_of_a_binomial_rate() -> None:
    """With one word per clip the rate is a binomial share, whose standard error is known."""
    chance = np.random.default_rng(1)
    counts = [Counts(1, int(wrong), 0, 0) for wrong in chance.random(2000) < 0.1]
    rate = sum(counts, Counts()).rate
    interval = Bootstrap(Unit.UTTERANCES, 2000).interval(counts, [""] * 2000)
    error = 1.96 * np.sqrt(rate * (1 - rate) / 2000)
    assert interval.low == pytest.approx(rate - error, abs=0.1 * error)
    assert interval.high == pytest.approx(rate + error, abs=0.1 * error)


def test_clips_of_one_speaker_fail_together_so_the_interval_by_speakers_is_wider() -> None:
    counts, speakers = [], []
    for speaker in range(20):
        for _ in range(20):
            counts.append(Counts(10, 5 if speaker % 4 == 0 else 0, 0, 0))
            speakers.append(str(speaker))
    by_clips = Bootstrap(Unit.UTTERANCES).interval(counts, speakers)
    by_speakers = Bootstrap(Unit.SPEAKERS).interval(counts, speakers)
    assert by_speakers.high - by_speakers.low > 3 * (by_clips.high - by_clips.low)


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    chance = np.random.default_rng(2)
    base = [Counts(10, int(number), 0, 0) for number in chance.integers(0, 6, 300)]
    other = [Counts(10, one.substitutions, 0, 1) for one in base]
    bootstrap, names = Bootstrap(Unit.UTTERANCES), [""] * 300
    difference = bootstrap.difference(base, other, names)
    assert difference.low == pytest.approx(0.1)
    assert difference.high == pytest.approx(0.1)
    alone = bootstrap.interval(base, names)
    assert alone.high - alone.low > 0.02


def test_speakers_are_drawn_if_enough_are_known() -> None:
    many = [str(number) for number in range(FEWEST_SPEAKERS)] * 2
    assert unit_for(many, None) is Unit.SPEAKERS
    assert unit_for([*many, ""], None) is Unit.UTTERANCES
    assert unit_for(many[: FEWEST_SPEAKERS - 1], None) is Unit.UTTERANCES
    assert unit_for(many, Unit.UTTERANCES) is Unit.UTTERANCES
    assert unit_for([], Unit.SPEAKERS) is Unit.SPEAKERS
