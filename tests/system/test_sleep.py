"""The service in its sandbox and a real logind: suspend is delayed for the service, but never for long."""

from collections.abc import Iterator

import pytest

from coldvoxd.host.sleep_watch import WHO
from tests.support.eventually import eventually_blocking
from tests.support.login.login import UNIT, Login, samples
from tests.support.login.sleeping_machine import SleepingMachine, sleeping_machine

OPEN = samples()[0]


@pytest.fixture(scope="module")
def machine(place: Login) -> Iterator[SleepingMachine]:
    with sleeping_machine(place) as here:
        yield here


def delaying(machine: SleepingMachine) -> bool:
    return any((what, who, mode) == ("sleep", WHO, "delay") for what, who, _, mode in machine.inhibitors())


def test_logind_knows_of_the_inhibitor_of_the_service(dictation: Login, machine: SleepingMachine) -> None:
    """The call goes through the unit's sandbox, over the system bus, with what polkit permits every user."""
    eventually_blocking(lambda: delaying(machine), what=f"an inhibitor\n{dictation.journal(UNIT)}")


def test_a_session_ends_with_its_text_before_the_machine_sleeps_and_all_is_there_after_it(
    dictation: Login, machine: SleepingMachine
) -> None:
    for _ in range(3):
        eventually_blocking(lambda: delaying(machine), what="an inhibitor")
        with dictation.listening() as listener:
            dictation.answer("StartDictation")
            dictation.speak(OPEN)
            machine.suspend()
            stopped = listener.wait_for("stopped")
            assert stopped["reason"] == "suspending"
            assert OPEN.is_in(stopped["transcript"])
        assert not delaying(machine)
        assert dictation.state() == "suspended"
        machine.wake()
        dictation.wait_for_state("idle")
    eventually_blocking(lambda: delaying(machine), what="an inhibitor")
    dictation.answer("StartDictation")
    dictation.speak(OPEN)
    assert OPEN.is_in(dictation.answer("StopDictation"))
