"""Engine1.Problems: all current codes, merged from all sources, and Degraded as the first of them."""

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.core.values import EngineStatus
from tests.support.bus.private_bus import BusClient, RunningService


async def test_all_problems_that_hold_are_listed_most_severe_first(running: RunningService, client: BusClient) -> None:
    assert await client.get(ENGINE, "Problems") == []
    assert await client.get(ENGINE, "Degraded") == ""
    running.control.engine = EngineStatus(degraded="gpu-timeout", ready=True)
    running.microphone.muted, running.microphone.problem = True, "It is unplugged."
    assert await client.get(ENGINE, "Problems") == ["microphone-lost", "microphone-muted", "gpu-timeout"]
    assert await client.get(ENGINE, "Degraded") == "microphone-lost"
    running.control.engine = EngineStatus(degraded="model-invalid")
    assert await client.get(ENGINE, "Problems") == ["model-invalid", "microphone-lost", "microphone-muted"]
    assert await client.get(ENGINE, "Degraded") == "model-invalid"


async def test_a_less_severe_problem_is_published_without_a_change_of_degraded(
    running: RunningService, client: BusClient
) -> None:
    running.microphone.muted = True
    running.announcer.state_changed()
    await client.settle()
    running.control.engine = EngineStatus(degraded="gpu-fault", ready=True)
    async with client.expect_signal("PropertiesChanged", lambda body: "Problems" in body[1]) as told:
        running.announcer.state_changed()
    assert told.body[0] == ENGINE
    assert {name: value.value for name, value in told.body[1].items()} == {
        "Problems": ["microphone-muted", "gpu-fault"]
    }


async def test_a_session_start_repeats_the_problems_that_hold(running: RunningService, client: BusClient) -> None:
    running.microphone.muted = True
    running.announcer.state_changed()
    await client.settle()
    seen = len(client.signals)
    await client.call("StartDictation")
    await client.settle()
    repeated = [s.body[1] for s in client.signals[seen:] if s.member == "PropertiesChanged" and s.body[0] == ENGINE]
    assert [{name: value.value for name, value in body.items()} for body in repeated] == [
        {"Problems": ["microphone-muted"], "Degraded": "microphone-muted"}
    ]
