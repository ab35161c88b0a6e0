"""Microphone1: what it reports about the microphone, and how clients select another one."""

import pytest

from coldvoxd.bus.interface_xml import ENGINE, MICROPHONE
from coldvoxd.core.ports import Policy
from tests.support.bus.private_bus import BusClient, BusError, RunningService


async def test_microphones_have_the_names_that_people_know(client: BusClient) -> None:
    assert await client.get(MICROPHONE, "Device") == "Blue Yeti"
    assert await client.get(MICROPHONE, "Devices") == [["mic1", "Blue Yeti"], ["mic2", "Built-in Audio"]]
    assert await client.get(MICROPHONE, "Selection") == "default"


async def test_another_is_selected_by_a_part_of_its_name_and_everybody_is_told(
    client: BusClient, stranger: BusClient
) -> None:
    changes = {"Device": "Built-in Audio", "Selection": "mic2"}
    async with stranger.expect_signal("PropertiesChanged", lambda body: body[0] == MICROPHONE) as told:
        await client.call("SelectDevice", "s", "Built", interface=MICROPHONE)
    assert {name: value.value for name, value in told.body[1].items()} == changes


async def test_an_unknown_microphone_is_an_invalid_option(client: BusClient) -> None:
    with pytest.raises(BusError, match="There is no microphone “Yetti”") as refusal:
        await client.call("SelectDevice", "s", "Yetti", interface=MICROPHONE)
    assert refusal.value.name == "org.coldvox.Error.InvalidOption"


async def test_open_and_policy_are_told(running: RunningService, client: BusClient) -> None:
    running.microphone.device_open, running.microphone.policy = False, Policy.IDLE_RELEASE
    async with client.expect_signal("PropertiesChanged", lambda body: body[0] == MICROPHONE) as told:
        running.announcer.state_changed()
    assert {name: value.value for name, value in told.body[1].items()} == {"Open": False, "Policy": "idle-release"}


async def test_mute_is_told_when_it_comes_and_again_with_each_session(
    running: RunningService, client: BusClient
) -> None:
    def says_muted(body: list[object]) -> bool:
        assert isinstance(body[1], dict)
        return body[0] == ENGINE and body[1]["Degraded"].value == "microphone-muted"

    running.microphone.muted = True
    async with client.expect_signal("PropertiesChanged", says_muted):
        running.announcer.state_changed()
    async with client.expect_signal("PropertiesChanged", says_muted):
        await client.call("StartDictation")
