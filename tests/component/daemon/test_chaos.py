"""The short form of the chaos run: 200 random steps. For manual and longer runs use contrib/chaos.sh."""

import os

import pytest

from tests.support.bus import broker
from tests.support.bus.private_bus import BROKER
from tests.support.faults.broken_daemon import Fault
from tests.support.faults.chaos.plan import CHECKPOINT, Source, Step
from tests.support.faults.chaos.run import chaos, play

SEED = int(os.environ.get("COLDVOX_TEST_SEED", "1"))
STEPS = 200


@pytest.mark.heavy
@pytest.mark.timeout(1800)
async def test_no_sentence_is_lost_or_published_twice_in_two_hundred_random_steps() -> None:
    outcome = await chaos(SEED, STEPS)
    assert not outcome.faults
    assert outcome.published >= STEPS // 10, "too few sentences were audible for the run to prove anything"
    assert outcome.losses_reported > 0


@pytest.mark.heavy
@pytest.mark.skipif(not broker.is_installed(), reason="dbus-broker is not installed")
async def test_the_same_on_the_other_message_bus() -> None:
    assert not (await chaos(SEED + 1, 40, BROKER)).faults


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("broken", "noticed"),
    [
        pytest.param(Fault.DROPS, "is lost, though no step made it unhearable", id="drops"),
        pytest.param(Fault.DOUBLES, "was published 2 times", id="doubles"),
        pytest.param(Fault.SWALLOWS_GAPS, "no gap was counted", id="swallows-gaps"),
    ],
)
async def test_a_daemon_that_is_broken_on_purpose_is_noticed(broken: Fault, noticed: str) -> None:
    say, away = Step("say", 0.0), (Step("microphone stalls", 0.0, 2.4), Step("microphone unplugged", 0.0))
    steps = [say, say, *away, Step("pause", 0.0, 2.5), Step("microphone plugged in", 0.0), say, Step(CHECKPOINT, 0.0)]
    outcome = await play(steps, Source.VIRTUAL, broken=broken)
    assert any(noticed in fault for fault in outcome.faults), outcome.faults
