"""Options of toggled sessions and of retries, and what clients can read of options."""

import asyncio
from dataclasses import replace

import pytest

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Variant
from coldvoxd.bus.options import OPTION_TYPES
from coldvoxd.core.decoding_options import MOST_ALTERNATIVES, Alternative
from coldvoxd.core.errors import InvalidOption, NotActive
from coldvoxd.core.values import EngineStatus, SessionOptions, State, Transcript
from tests.support.bus.private_bus import BusClient, BusError, RunningService

WORDS = {"words": Variant("b", True), "max-seconds": Variant("x", 60)}
PRIVATE = {"private": Variant("b", True)}
BOUND = {"bind-to-caller": Variant("b", True)}
DEFAULTS = {"private": False, "bind-to-caller": False, "words": False, "single-utterance": False, "partials": False}


def values(options: dict[str, Variant]) -> dict[str, object]:
    return {key: option.value for key, option in options.items()}


async def test_a_toggle_starts_with_options_and_then_stops(running: RunningService, client: BusClient) -> None:
    assert await client.call("ToggleDictationWithOptions", "a{sv}", WORDS) is True
    assert running.control.options == SessionOptions(words=True, max_seconds=60)
    running.control.say("yes")
    async with client.expect_signal("DictationStopped") as stopped:
        assert await client.call("ToggleDictationWithOptions", "a{sv}", WORDS) is False
    assert stopped.body == [1, "stopped", "yes"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"word": Variant("b", True)}, "InvalidOption.*no option 'word'"),
        ({"words": Variant("s", "yes")}, "InvalidOption.*must be a boolean"),
        ({"max-seconds": Variant("i", -1)}, "InvalidOption.*greater than 0"),
        ({"vocabulary": Variant("s", "names")}, "NotSupported"),
    ],
    ids=["unknown", "type", "value", "planned"],
)
async def test_a_toggle_with_invalid_options_neither_starts_nor_stops(
    running: RunningService, client: BusClient, options: dict[str, Variant], error: str
) -> None:
    for session in (0, 1):
        with pytest.raises(BusError, match=error):
            await client.call("ToggleDictationWithOptions", "a{sv}", options)
        assert running.control.session == session
        if not session:
            await client.call("StartDictation")


@pytest.mark.parametrize("options", [BOUND, PRIVATE], ids=["bound", "private"])
async def test_a_session_that_was_toggled_on_ends_with_its_caller(
    running: RunningService, stranger: BusClient, options: dict[str, Variant]
) -> None:
    async with running.client() as caller:
        assert await caller.call("ToggleDictationWithOptions", "a{sv}", options) is True
        assert await caller.call("ToggleDictationWithOptions", "a{sv}", options) is False
        assert running.service._calls._callers._watches == {}
        assert await caller.call("ToggleDictationWithOptions", "a{sv}", options) is True
        async with stranger.expect_signal("DictationStopped") as stopped:
            await caller.leave()
    assert stopped.body == [2, "caller-left", ""]


async def test_a_toggle_that_stops_the_session_of_another_does_not_bind_it(
    running: RunningService, client: BusClient
) -> None:
    await client.call("StartDictation")
    async with running.client() as caller:
        assert await caller.call("ToggleDictationWithOptions", "a{sv}", BOUND) is False
        await client.call("StartDictation")
    await client.settle()
    assert running.control.left == []
    assert running.control.state is State.LISTENING


async def test_a_private_session_is_not_toggled_by_others(
    running: RunningService, client: BusClient, stranger: BusClient
) -> None:
    await client.call("ToggleDictationWithOptions", "a{sv}", PRIVATE)
    with pytest.raises(BusError, match=r"org\.coldvox\.Error\.NotOwner"):
        await stranger.call("ToggleDictationWithOptions", "a{sv}", WORDS)
    assert running.control.state is State.LISTENING


async def test_the_options_of_the_active_session_are_readable(running: RunningService, client: BusClient) -> None:
    for given, expected in (
        ({}, DEFAULTS),
        (WORDS, DEFAULTS | {"words": True, "max-seconds": 60}),
        ({"single-utterance": Variant("b", True)}, DEFAULTS | {"single-utterance": True}),
        ({"partials": Variant("b", True)}, DEFAULTS | {"partials": True}),
        ({"alternatives": Variant("i", 3)}, DEFAULTS | {"alternatives": 3}),
        ({"alternatives": Variant("u", 1000)}, DEFAULTS | {"alternatives": MOST_ALTERNATIVES}),
        (BOUND, DEFAULTS | {"bind-to-caller": True}),
    ):
        session = await client.call("StartDictationWithOptions", "a{sv}", given)
        found = await client.call("GetSessionOptions", "u", session)
        assert values(found) == expected
        started = running.control.options
        await client.call("StopDictation")
        await client.call("StartDictationWithOptions", "a{sv}", found)
        assert running.control.options == started, "what was read starts a session alike"
        await client.call("StopDictation")


async def test_the_options_of_a_private_session_are_for_its_owner(client: BusClient, stranger: BusClient) -> None:
    session = await client.call("StartDictationWithOptions", "a{sv}", PRIVATE)
    with pytest.raises(BusError, match=r"org\.coldvox\.Error\.NotOwner"):
        await stranger.call("GetSessionOptions", "u", session)
    assert values(await client.call("GetSessionOptions", "u", session)) == DEFAULTS | {
        "private": True,
        "bind-to-caller": True,
    }


async def test_a_session_that_is_not_active_has_no_options(client: BusClient) -> None:
    session = await client.call("StartDictation")
    for other in (0, session + 1):
        with pytest.raises(BusError, match=r"org\.coldvox\.Error\.NotActive"):
            await client.call("GetSessionOptions", "u", other)
    await client.call("StopDictation")
    with pytest.raises(BusError, match=r"org\.coldvox\.Error\.NotActive"):
        await client.call("GetSessionOptions", "u", session)


async def test_a_retry_is_of_the_utterance_that_it_names(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    running.control.say("one")
    running.control.say("two")
    assert await client.call("RetryLastWithOptions", "a{sv}", {}) == "two"
    assert await client.call("RetryLastWithOptions", "a{sv}", {"utterance": Variant("i", 2)}) == "two"
    with pytest.raises(BusError, match=r"org\.coldvox\.Error\.NotActive"):
        await client.call("RetryLastWithOptions", "a{sv}", {"utterance": Variant("u", 1)})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *(({key: Variant(kind, 1 if kind == "u" else True)}, f"InvalidOption.*'{key}' is one of a session")
          for key, kind in OPTION_TYPES.items() if key != "language"),
        ({"sentence": Variant("u", 1)}, "InvalidOption.*no option 'sentence'. Known are: utterance, language"),
        ({"utterance": Variant("s", "1")}, "InvalidOption.*must be a whole number"),
        ({"utterance": Variant("u", 0)}, "InvalidOption.*greater than 0"),
        ({"vocabulary": Variant("s", "de")}, "NotSupported"),
    ],
)  # fmt: skip
async def test_options_without_a_meaning_for_a_retry_are_refused(
    running: RunningService, client: BusClient, options: dict[str, Variant], error: str
) -> None:
    await client.call("StartDictation")
    running.control.say("one")
    with pytest.raises(BusError, match=error):
        await client.call("RetryLastWithOptions", "a{sv}", options)


async def test_a_retry_returns_other_texts_with_its_details(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    running.control.say("one")
    plain = {"confidence": 0.875, "provider": "CPUExecutionProvider"}
    other = {"text": "not one", "share": 0.25}
    async with DaemonClient.connected(running.bus.address) as daemon:
        for options, count in (({"alternatives": 2}, 2), ({"utterance": 1}, 0)):
            found = await daemon.retry_last_with_details(options)
            assert found == ("one", plain | {"alternatives": [other] * count})
    for wrong in ({"alternatives": Variant("u", 0)}, {"words": Variant("b", True)}):
        with pytest.raises(BusError, match="InvalidOption"):
            await client.call("RetryLastWithDetails", "a{sv}", wrong)


async def test_the_capabilities_name_every_option_that_is_accepted(running: RunningService, client: BusClient) -> None:
    running.control.engine = EngineStatus(ready=True, languages=("de", "en"))
    found = await client.get(ENGINE, "Capabilities")
    assert found == sorted(found)
    assert set(OPTION_TYPES) <= set(found)
    assert not {"vocabulary"} & set(found)


async def test_our_own_client_passes_the_options(running: RunningService) -> None:
    async with DaemonClient.connected(running.bus.address) as daemon:
        assert await daemon.toggle({"words": True}) is True
        assert await daemon.session_options(running.control.session) == DEFAULTS | {"words": True}
        running.control.say("again")
        assert await daemon.retry_last({"utterance": 1}) == "again"
        with pytest.raises(InvalidOption, match="one of a session"):
            await daemon.retry_last({"words": True})
        with pytest.raises(NotActive):
            await daemon.session_options(7)
        assert await daemon.toggle() is False


@pytest.mark.programs("busctl")
async def test_a_script_toggles_with_options(running: RunningService) -> None:
    async def busctl(*arguments: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "busctl",
            f"--address={running.bus.address}",
            "call",
            "org.coldvox.Daemon1",
            "/org/coldvox/Daemon1",
            "org.coldvox.Dictation1",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output

    assert await busctl("ToggleDictationWithOptions", "a{sv}", "2", "words", "b", "true", "max-seconds", "u", "60") == (
        b"b true\n"
    )
    assert running.control.options == SessionOptions(words=True, max_seconds=60)
    told = await busctl("GetSessionOptions", "u", "1")
    assert b'"words" b true' in told
    assert b'"max-seconds" u 60' in told
    running.control.say("again")
    assert await busctl("RetryLastWithOptions", "a{sv}", "1", "utterance", "u", "1") == b's "again"\n'
    assert await busctl("ToggleDictationWithOptions", "a{sv}", "0") == b"b false\n"


async def test_other_texts_are_sent_with_their_shares(running: RunningService, client: BusClient) -> None:
    transcript = Transcript(1, 1, "a word", 0.0, 1.0, 0.5, "CPUExecutionProvider", 0.1)
    others = (Alternative("a\0 ward", 0.25), Alternative("award", 0.125))
    async with DaemonClient.connected(running.bus.address) as daemon:
        await daemon.subscribe()
        running.announcer.transcribed(transcript, False, None)
        running.announcer.transcribed(replace(transcript, utterance_id=2, alternatives=others), False, None)
        first, second = await daemon.next_event(), await daemon.next_event()
    assert "alternatives" not in first.fields
    assert second.fields["alternatives"] == [{"text": "a ward", "share": 0.25}, {"text": "award", "share": 0.125}]
    await client.settle()
    [_, [*_, details]] = client.bodies("Transcribed")
    assert details["alternatives"] == Variant("a(sd)", [["a ward", 0.25], ["award", 0.125]])
