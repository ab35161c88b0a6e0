"""The limit on wasted speculative recognition."""

from coldvoxd.dictation.speculation import INITIAL_ALLOWANCE_S, MEMORY_S, Budget


def test_nothing_may_be_in_vain_for_a_share_of_nothing() -> None:
    assert not Budget(used_s=100).allows(0.0)


def test_some_waste_is_allowed_before_anything_was_useful() -> None:
    assert Budget().allows(0.1)
    assert not Budget(wasted_s=INITIAL_ALLOWANCE_S * 1.1).allows(1.0)


def test_the_waste_stays_within_its_share() -> None:
    budget, share = Budget(), 0.5
    for _ in range(1000):
        budget = budget.used(0.3)
        if budget.allows(share):
            budget = budget.wasted(0.5)
    assert 0.45 < budget.wasted_s / budget.used_s <= 0.56


def test_what_is_long_past_counts_less() -> None:
    """Pins that an hour without waste does not permit an hour of nothing but waste."""
    budget = Budget()
    for _ in range(10_000):
        budget = budget.used(1.0)
    assert budget.used_s <= MEMORY_S
    while budget.allows(0.25):
        budget = budget.wasted(1.0)
    assert budget.wasted_s < 0.3 * MEMORY_S
