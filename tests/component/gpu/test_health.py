"""From the driver's readings to the decision whether to use the GPU, as sequences of looks."""

from dataclasses import replace

import pytest

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.settings import GpuSettings
from coldvoxd.gpu.health import (
    MIB,
    NEEDED_BYTES,
    SUSPICION_S,
    Effect,
    Event,
    Health,
    Looked,
    Noted,
    Sight,
    Struck,
    Trouble,
    Unwell,
    Verdict,
    WellAgain,
    XidSeen,
    refined,
    step,
)
from coldvoxd.gpu.xids import XIDS, XidKind, meaning

SETTINGS = GpuSettings(min_free_mib=256, cool_by_c=8, braked_s=15.0, well_after_s=10.0)
WELL = Sight(total_bytes=8192 * MIB, free_bytes=4096 * MIB, own_bytes=0, temperature_c=50, slowdown_c=90, uncorrected=0)


def told(*events: Event, settings: GpuSettings = SETTINGS) -> tuple[Health, list[Effect]]:
    """Return the health after all events, and all effects on the way."""
    health = Health()
    effects: list[Effect] = []
    for event in events:
        health, more = step(health, event, settings)
        effects += more
    return health, effects


def looks(*sights: Sight, every_s: float = 5.0) -> list[Event]:
    return [Looked(sight, number * every_s) for number, sight in enumerate(sights)]


def reasons(effects: list[Effect]) -> list[Reason | str]:
    """Return short names of the effects."""
    short: list[Reason | str] = []
    for effect in effects:
        match effect:
            case Unwell(verdict):
                short.append(verdict.reason)
            case Struck(verdict):
                short.append(f"struck {verdict.reason}")
            case WellAgain():
                short.append("well")
            case Noted():
                short.append("noted")
    return short


def test_a_card_that_is_well_is_not_worth_a_word() -> None:
    assert told(*looks(WELL, WELL, WELL))[1] == []


def test_a_card_that_tells_nothing_of_itself_is_taken_for_well() -> None:
    assert told(*looks(Sight(), Sight()))[1] == []


@pytest.mark.parametrize(
    ("trouble", "fault_class", "reason"),
    [
        (Trouble.LOST, FaultClass.STICKY, Reason.GPU_LOST),
        (Trouble.RESET, FaultClass.STICKY, Reason.GPU_LOST),
        (Trouble.NO_DRIVER, FaultClass.STICKY, Reason.GPU_LOST),
        (Trouble.MISMATCH, FaultClass.STICKY, Reason.DRIVER_MISMATCH),
        (Trouble.HUNG, FaultClass.UNHEALTHY, Reason.GPU_TIMEOUT),
    ],
)
def test_what_the_driver_answers_instead_of_figures_is_told_once(
    trouble: Trouble, fault_class: FaultClass, reason: Reason
) -> None:
    health, effects = told(*looks(WELL, Sight(trouble), Sight(trouble)))
    assert len(effects) == 1
    assert isinstance(effects[0], Unwell)
    assert (effects[0].verdict.fault_class, effects[0].verdict.reason) == (fault_class, reason)
    assert health.condition == effects[0].verdict


def test_a_driver_that_was_never_there_is_no_card_and_not_a_lost_one() -> None:
    (effect,) = told(*looks(Sight(Trouble.NO_DRIVER)))[1]
    assert isinstance(effect, Unwell)
    assert (effect.verdict.fault_class, effect.verdict.reason) == (FaultClass.UNHEALTHY, Reason.NO_GPU)


def test_it_is_well_again_only_after_all_was_well_for_long_enough() -> None:
    lost = Sight(Trouble.LOST)
    assert reasons(told(*looks(lost, WELL, WELL))[1]) == [Reason.GPU_LOST]
    assert reasons(told(*looks(lost, WELL, WELL, WELL))[1]) == [Reason.GPU_LOST, "well"]
    assert reasons(told(*looks(lost, WELL, WELL, lost, WELL, WELL))[1]) == [Reason.GPU_LOST], "the time starts again"


def test_a_temperature_at_its_limit_does_not_flap() -> None:
    hot, nearly, cool = (replace(WELL, temperature_c=degrees) for degrees in (90, 85, 81))
    assert reasons(told(*looks(*[hot, nearly] * 20))[1]) == [Reason.GPU_OVERHEATING]
    assert reasons(told(*looks(hot, cool, cool, cool))[1]) == [Reason.GPU_OVERHEATING, "well"]
    assert reasons(told(*looks(nearly, nearly))[1]) == []


def test_the_limit_of_temperature_can_be_set() -> None:
    warm = replace(WELL, temperature_c=70)
    assert reasons(told(*looks(warm), settings=replace(SETTINGS, hot_c=70))[1]) == [Reason.GPU_OVERHEATING]
    assert reasons(told(*looks(replace(warm, slowdown_c=None)))[1]) == [], "no limit is known"


def test_a_brake_counts_once_it_has_held_for_long_enough() -> None:
    braked = replace(WELL, braked=True)
    assert told(*looks(braked, braked, braked))[1] == []
    assert reasons(told(*looks(braked, braked, braked, braked))[1]) == [Reason.GPU_OVERHEATING]
    assert told(*looks(braked, braked, WELL, braked, braked))[1] == [], "each period of throttling counts separately"


def test_memory_is_given_up_before_it_runs_out_and_taken_again_once_our_part_fits() -> None:
    used = replace(WELL, free_bytes=1000 * MIB, own_bytes=1500 * MIB)
    short = replace(WELL, free_bytes=200 * MIB, own_bytes=1500 * MIB)
    given_up = replace(WELL, free_bytes=1700 * MIB, own_bytes=0)
    fits = replace(WELL, free_bytes=1756 * MIB, own_bytes=0)
    assert reasons(told(*looks(used, short, *[given_up] * 9))[1]) == [Reason.GPU_OUT_OF_MEMORY]
    assert reasons(told(*looks(used, short, *[fits] * 3))[1]) == [Reason.GPU_OUT_OF_MEMORY, "well"]


def test_where_our_part_is_not_known_it_is_guessed() -> None:
    short = replace(WELL, free_bytes=100 * MIB, own_bytes=None)
    after = replace(short, free_bytes=NEEDED_BYTES + 256 * MIB)
    assert reasons(told(*looks(short, *[replace(after, free_bytes=NEEDED_BYTES)] * 9))[1]) == [Reason.GPU_OUT_OF_MEMORY]
    assert reasons(told(*looks(short, *[after] * 3))[1]) == [Reason.GPU_OUT_OF_MEMORY, "well"]


def test_memory_is_nobodys_business_where_that_is_set() -> None:
    assert told(*looks(replace(WELL, free_bytes=0)), settings=replace(SETTINGS, min_free_mib=0))[1] == []


def test_another_cause_is_told_and_the_worst_goes_first() -> None:
    hot_and_full = replace(WELL, temperature_c=99, free_bytes=0)
    full = replace(WELL, free_bytes=0)
    seen = told(*looks(full, hot_and_full, Sight(Trouble.LOST), full))[1]
    assert reasons(seen) == [
        Reason.GPU_OUT_OF_MEMORY,
        Reason.GPU_OVERHEATING,
        Reason.GPU_LOST,
        Reason.GPU_OUT_OF_MEMORY,
    ]


def test_memory_errors_strike_when_they_happen_and_old_ones_do_not() -> None:
    bad = replace(WELL, uncorrected=3)
    assert told(*looks(bad, bad))[1] == [], "they existed before the daemon started"
    assert reasons(told(*looks(WELL, bad, bad))[1]) == ["struck gpu-memory-errors"]
    unknown = replace(WELL, uncorrected=None)
    assert reasons(told(*looks(WELL, unknown, bad))[1]) == ["struck gpu-memory-errors"], (
        "the unknown value changes nothing"
    )


@pytest.mark.parametrize("number", XIDS)
def test_every_xid_has_its_consequence(number: int) -> None:
    kind, words = meaning(number)
    _, effects = told(*looks(WELL), XidSeen(number, 6.0))
    expected = {
        XidKind.PROGRAM: ["noted"],
        XidKind.NOTE: ["noted"],
        XidKind.MEMORY: ["struck gpu-memory-errors"],
        XidKind.LOST: ["struck gpu-lost"],
        XidKind.RESET: ["struck gpu-lost"],
    }
    assert reasons(effects) == expected[kind]
    assert words in str(effects[0])


def test_an_unknown_xid_is_noted() -> None:
    assert reasons(told(XidSeen(4711, 1.0))[1]) == ["noted"]


def test_a_driver_upgraded_under_us_is_told_once() -> None:
    upgraded = replace(WELL, library_replaced=True)
    assert reasons(told(*looks(WELL, upgraded, Sight(), upgraded))[1]) == ["noted"]


def test_a_programs_xid_makes_an_unknown_fault_of_ours_one_that_stays() -> None:
    unknown = FaultClass.TRANSIENT, Reason.GPU_FAULT
    health, _ = told(*looks(WELL), XidSeen(31, 100.0))
    assert refined(health, *unknown, now_s=101.0) == (FaultClass.STICKY, Reason.GPU_FAULT)
    assert refined(health, *unknown, now_s=101.0 + SUSPICION_S) == unknown
    memory = FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY
    assert refined(health, *memory, now_s=101.0) == memory, "its cause is known"
    assert refined(Health(), *unknown, now_s=1.0) == unknown


def test_a_slow_run_on_a_hot_card_is_told_as_heat() -> None:
    slow = FaultClass.TRANSIENT, Reason.GPU_TIMEOUT
    hot, _ = told(*looks(replace(WELL, slowed=True)))
    assert refined(hot, *slow, now_s=1.0) == (FaultClass.TRANSIENT, Reason.GPU_OVERHEATING)
    assert refined(told(*looks(WELL))[0], *slow, now_s=1.0) == slow


def test_a_fault_on_a_lost_card_is_its_loss() -> None:
    lost, _ = told(*looks(Sight(Trouble.LOST)))
    assert refined(lost, FaultClass.TRANSIENT, Reason.GPU_FAULT, 1.0) == (FaultClass.STICKY, Reason.GPU_LOST)
    mismatch, _ = told(*looks(Sight(Trouble.MISMATCH)))
    assert refined(mismatch, FaultClass.ABSENT, Reason.NO_GPU, 1.0) == (FaultClass.ABSENT, Reason.DRIVER_MISMATCH)


def test_a_verdict_says_what_it_saw() -> None:
    (effect,) = told(*looks(replace(WELL, temperature_c=97)))[1]
    expected = Verdict(FaultClass.UNHEALTHY, Reason.GPU_OVERHEATING, "the GPU is at 97 °C, its limit is 90 °C")
    assert effect == Unwell(expected)
