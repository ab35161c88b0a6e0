"""When the microphone is open: every policy, every use, and what closes it under each policy."""

import pytest

from coldvoxd.capture.policy import ASLEEP, LOCKED, OPEN, Conditions, Use, policy_in_force
from coldvoxd.core.ports import Policy
from coldvoxd.core.sound_sources import Source

HEADSET = Source("bluez_input.38_18_4C", "WH-1000XM4", bluetooth=True)
YETI = Source("alsa_input.usb-Blue_Yeti-00.analog-stereo", "Blue Yeti")


@pytest.mark.parametrize(
    ("policy", "open_while"),
    [
        (Policy.ALWAYS, {Use.SESSION, Use.RECENT, Use.NONE}),
        (Policy.IDLE_RELEASE, {Use.SESSION, Use.RECENT}),
        (Policy.ON_DEMAND, {Use.SESSION}),
    ],
)
def test_each_policy_opens_the_microphone_for_its_uses(policy: Policy, open_while: set[Use]) -> None:
    assert {use for use in Use if Conditions(use).opens(policy)} == open_while


def test_the_table_has_a_row_for_each_policy_and_use() -> None:
    assert {policy: set(row) for policy, row in OPEN.items()} == {policy: set(Use) for policy in Policy}


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("use", Use)
@pytest.mark.parametrize(("locked", "asleep"), [(True, False), (False, True), (True, True)])
def test_a_locked_screen_and_sleep_close_it_under_every_policy(
    policy: Policy, use: Use, locked: bool, asleep: bool
) -> None:
    assert not Conditions(use, locked=locked, asleep=asleep).opens(policy)


def test_the_reason_names_sleep_before_the_lock() -> None:
    assert Conditions().closed_by == ""
    assert Conditions(locked=True).closed_by == LOCKED
    assert Conditions(locked=True, asleep=True).closed_by == ASLEEP


def test_only_idle_release_keeps_it_open_after_a_session() -> None:
    after = {policy: Conditions(Use.SESSION).use_after_session(policy) for policy in Policy}
    assert after == {Policy.ALWAYS: Use.NONE, Policy.ON_DEMAND: Use.NONE, Policy.IDLE_RELEASE: Use.RECENT}


def test_always_spares_a_bluetooth_headset_and_nothing_else() -> None:
    assert policy_in_force(Policy.ALWAYS, HEADSET, bluetooth_always=False) is Policy.ON_DEMAND
    assert policy_in_force(Policy.ALWAYS, HEADSET, bluetooth_always=True) is Policy.ALWAYS
    assert policy_in_force(Policy.ALWAYS, YETI, bluetooth_always=False) is Policy.ALWAYS
    assert policy_in_force(Policy.ALWAYS, None, bluetooth_always=False) is Policy.ALWAYS
    assert policy_in_force(Policy.IDLE_RELEASE, HEADSET, bluetooth_always=False) is Policy.IDLE_RELEASE
