"""Engine1's methods, and RetryLast, as seen by any client of the bus."""

import pytest

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Variant
from coldvoxd.core import errors
from coldvoxd.core.audio_values import GapReason
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.values import StopReason
from tests.support.bus.private_bus import BusClient, BusError, RunningService
from tests.support.eventually import eventually


async def test_reload_and_set_provider_are_passed_on_and_their_errors_named(
    running: RunningService, client: BusClient
) -> None:
    assert await client.call("Reload", interface=ENGINE) is None
    assert await client.call("SetProvider", "s", "cuda", interface=ENGINE) is None
    assert running.control.providers == ["reload", "cuda"]
    for fault, name in [
        (errors.InvalidOption("Line 3."), "InvalidOption"),
        (errors.ProviderUnavailable("No GPU."), "Failed"),
        (errors.LoadTimeout("Longer."), "Timeout"),
        (errors.ModelMissing("Fetch it."), "NotReady"),
    ]:
        running.control.fault = fault
        for member, *arguments in (("Reload",), ("SetProvider", "s", "cuda")):
            with pytest.raises(BusError) as raised:
                await client.call(member, *arguments, interface=ENGINE)
            assert (raised.value.name, raised.value.message) == (f"org.coldvox.Error.{name}", str(fault))


async def test_a_provider_change_is_told_to_everybody(
    running: RunningService, client: BusClient, stranger: BusClient
) -> None:
    running.announcer.provider_changed("CUDAExecutionProvider", "CPUExecutionProvider", "gpu-lost")
    for listener in (client, stranger):
        await listener.settle()
        assert listener.bodies("ProviderChanged") == [["CUDAExecutionProvider", "CPUExecutionProvider", "gpu-lost"]]


async def test_metrics_have_the_types_of_the_contract_and_grow(running: RunningService, client: BusClient) -> None:
    metrics = await client.call("GetMetrics", interface=ENGINE)
    types = {key: value.signature for key, value in metrics.items()}
    assert types == {
        "uptime": "d",
        "memory": "t",
        "model-load": "d",
        **{count.value: "t" for count in Count},
        "gaps": "a{st}",
        "sessions": "a{st}",
        "stages": "a{s(tddd)}",
        "stages-by-provider": "a{sa{s(tddd)}}",
        "distributions": "a{sat}",
        "distribution-edges": "ad",
        "faults": "a{st}",
        "fault-reasons": "a{st}",
        "accelerator-load": "d",
        "gpu": "a{st}",
    }
    assert metrics["memory"].value == 1 << 33
    assert metrics["sessions"].value == {reason.value: 0 for reason in StopReason}
    assert metrics["stages"].value == {}
    running.control.metrics.count(Count.UTTERANCES)
    running.control.metrics.gap(GapReason.STALLED)
    running.control.metrics.took(Stage.ENCODER, 0.25, "CUDAExecutionProvider")
    running.control.metrics.fault(FaultClass.STICKY, Reason.GPU_LOST)
    metrics = await client.call("GetMetrics", interface=ENGINE)
    assert metrics["utterances"].value == 1
    assert metrics["gaps"].value["stalled"] == 1
    assert metrics["stages"].value == {"encoder": [1, 0.25, 0.25, 0.25]}
    assert metrics["stages-by-provider"].value == {"CUDAExecutionProvider": {"encoder": [1, 0.25, 0.25, 0.25]}}
    assert len(metrics["distributions"].value["encoder"]) == len(metrics["distribution-edges"].value) + 1
    assert (metrics["faults"].value["sticky"], metrics["fault-reasons"].value) == (1, {"gpu-lost": 1})
    assert metrics["provider-faults"].value == 1
    assert metrics["gpu"].value == {}


async def test_the_delivery_of_each_text_is_timed(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    for _ in range(3):
        running.control.say("words")
    await eventually(lambda: Stage.DELIVERY in running.control.metrics.figures().stages)
    await client.settle()
    assert running.control.metrics.figures().stages[Stage.DELIVERY].count == 3


async def test_retry_returns_the_text_and_sends_no_signal(running: RunningService, client: BusClient) -> None:
    with pytest.raises(BusError, match="NotActive"):
        await client.call("RetryLast")
    await client.call("StartDictation")
    running.control.say("again")
    await client.settle()
    before = list(client.signals)
    assert await client.call("RetryLast") == "again"
    assert client.signals == before


async def test_what_was_said_in_private_is_retried_by_its_owner_alone(
    running: RunningService, client: BusClient, stranger: BusClient
) -> None:
    await client.call("StartDictationWithOptions", "a{sv}", {"private": Variant("b", True)})
    running.control.say("a secret")
    with pytest.raises(BusError, match="NotOwner"):
        await stranger.call("RetryLast")
    assert await client.call("RetryLast") == "a secret"
