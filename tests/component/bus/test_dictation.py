"""Dictation1 as seen by any client of the bus."""

import asyncio
import logging
import time

import numpy as np
import pytest

from coldvoxd.bus.interface_xml import DICTATION
from coldvoxd.bus.library import Variant
from coldvoxd.core import errors
from coldvoxd.core.values import SessionOptions, StopReason, Transcript, Word
from tests.support.bus.private_bus import BusClient, BusError, RunningService


async def test_a_session_from_start_to_stop(running: RunningService, client: BusClient) -> None:
    async with client.expect_signal("DictationStarted") as started:
        session = await client.call("StartDictation")
    assert started.body == [session]
    async with client.expect_signal("Transcribed") as transcribed:
        running.control.say("one sentence")
    assert transcribed.body[:3] == [session, 1, "one sentence"]
    async with client.expect_signal("DictationStopped") as stopped:
        assert await client.call("StopDictation") == "one sentence"
    assert stopped.body == [session, "stopped", "one sentence"]


async def test_transcribed_carries_its_details(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictation")
    async with client.expect_signal("Transcribed") as transcribed:
        running.control.say("yes", words=(Word("yes", 0.5, 1.0, 0.75),))
    details = {key: (value.signature, value.value) for key, value in transcribed.body[3].items()}
    assert details == {
        "start": ("d", 0.5),
        "end": ("d", 1.5),
        "confidence": ("d", 0.875),
        "provider": ("s", "CPUExecutionProvider"),
        "latency": ("d", 0.25),
        "retried": ("b", False),
        "body": ("s", "yes"),
        "pending": ("s", ""),
        "seam": ("s", ""),
    }


async def test_numbers_of_numpy_are_sent_like_any_others(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictationWithOptions", "a{sv}", {"words": Variant("b", True)})
    quarter = np.float32(0.25)
    word = Word("x", quarter, quarter, quarter)  # type: ignore[arg-type]  # a possible bug in the calling code
    transcript = Transcript(1, 1, "x", quarter, quarter, quarter, "P", quarter, words=(word,))  # type: ignore[arg-type]
    async with client.expect_signal("Level"):
        running.announcer.transcribed(transcript, with_words=True, to=None)
        running.announcer.level(quarter)  # type: ignore[arg-type]
    assert client.bodies("Transcribed")[0][3]["words"].value == [["x", 0.25, 0.25, 0.25]]


async def test_words_come_where_asked_for(running: RunningService, client: BusClient) -> None:
    await client.call("StartDictationWithOptions", "a{sv}", {"words": Variant("b", True)})
    async with client.expect_signal("Transcribed") as transcribed:
        running.control.say("yes", words=(Word("yes", 0.5, 1.0, 0.75),))
    words = transcribed.body[3]["words"]
    assert (words.signature, words.value) == ("a(sddd)", [["yes", 0.5, 1.0, 0.75]])


async def test_cancel_and_toggle(client: BusClient) -> None:
    assert await client.call("ToggleDictation") is True
    async with client.expect_signal("DictationStopped") as stopped:
        assert await client.call("ToggleDictation") is False
    assert stopped.body[1] == "stopped"
    await client.call("StartDictation")
    async with client.expect_signal("DictationStopped") as stopped:
        assert await client.call("CancelDictation") is None
    assert stopped.body[1:] == ["cancelled", ""]


async def test_a_start_counts_from_the_moment_the_call_arrived(running: RunningService, client: BusClient) -> None:
    before_s = time.monotonic()
    async with client.expect_signal("DictationStarted"):
        client.call_and_forget("StartDictationWithOptions", "a{sv}", {"bind-to-caller": Variant("b", True)})
        await client.settle()
        arrived_by_s = time.monotonic()  # the ping was sent after the call, so the call had arrived
    _, _, called_s = running.control.started[0]
    assert before_s <= called_s <= arrived_by_s


async def test_stop_waits_for_the_text_and_holds_up_nobody(running: RunningService, client: BusClient) -> None:
    running.control.text_pending = asyncio.Event()
    await client.call("StartDictation")
    running.control.say("late")
    stopping = asyncio.ensure_future(client.call("StopDictation"))
    async with client.expect_signal("PropertiesChanged", lambda body: body[1]["State"].value == "transcribing"):
        pass
    await client.settle()
    assert not stopping.done()
    running.control.text_pending.set()
    assert await stopping == "late"


@pytest.mark.parametrize(
    ("options", "understood"),
    [
        ({}, SessionOptions()),
        (
            {"words": Variant("b", True), "single-utterance": Variant("b", True)},
            SessionOptions(words=True, single_utterance=True),
        ),
        ({"max-seconds": Variant("u", 7), "private": Variant("b", False)}, SessionOptions(max_seconds=7)),
        *(({"max-seconds": Variant(kind, 7)}, SessionOptions(max_seconds=7)) for kind in "ynqixt"),
        ({"bind-to-caller": Variant("b", True)}, SessionOptions(bind_to_caller=True)),
        ({"private": Variant("b", True)}, SessionOptions(private=True, bind_to_caller=True)),
    ],
)
async def test_options_are_understood(
    running: RunningService, client: BusClient, options: dict[str, Variant], understood: SessionOptions
) -> None:
    await client.call("StartDictationWithOptions", "a{sv}", options)
    caller, given, _ = running.control.started[0]
    assert (caller, given) == (client.name, understood)


@pytest.mark.parametrize(
    ("key", "value", "error", "said"),
    [
        ("privat", Variant("b", True), "InvalidOption", ["'privat'", "private", "max-seconds"]),
        ("private", Variant("s", "yes"), "InvalidOption", ["'private'", "boolean"]),
        ("words", Variant("u", 1), "InvalidOption", ["'words'", "boolean"]),
        ("max-seconds", Variant("d", 5.0), "InvalidOption", ["'max-seconds'", "whole number"]),
        ("max-seconds", Variant("b", True), "InvalidOption", ["'max-seconds'", "whole number"]),
        ("max-seconds", Variant("i", -5), "InvalidOption", ["'max-seconds'", "greater than 0"]),
        ("max-seconds", Variant("t", 1 << 40), "InvalidOption", ["'max-seconds'", "at most 4294967295"]),
        ("max-seconds", Variant("u", 0), "InvalidOption", ["'max-seconds'", "greater than 0"]),
        ("language", Variant("s", "german"), "NotSupported", ["'german'", "`de`"]),
        ("language", Variant("s", " "), "InvalidOption", ["'language'", "omit it"]),
        ("language", Variant("u", 1), "InvalidOption", ["'language'", "a text"]),
        ("alternatives", Variant("u", 0), "InvalidOption", ["'alternatives'", "greater than 0"]),
        ("alternatives", Variant("b", True), "InvalidOption", ["'alternatives'", "whole number"]),
        ("partials", Variant("s", "yes"), "InvalidOption", ["'partials'", "boolean"]),
        ("vocabulary", Variant("as", []), "NotSupported", ["'vocabulary'"]),
    ],
)
async def test_a_wrong_option_is_named_and_no_session_begins(
    running: RunningService, client: BusClient, key: str, value: Variant, error: str, said: list[str]
) -> None:
    with pytest.raises(BusError) as raised:
        await client.call("StartDictationWithOptions", "a{sv}", {"words": Variant("b", True), key: value})
    assert raised.value.name == f"org.coldvox.Error.{error}"
    assert all(part in raised.value.message for part in said), raised.value.message
    assert running.control.started == []


@pytest.mark.parametrize("member", ["StartDictation", "StopDictation", "CancelDictation", "ToggleDictation"])
@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (errors.AlreadyActive("a"), "AlreadyActive"),
        (errors.NotActive("b"), "NotActive"),
        (errors.NotOwner("c"), "NotOwner"),
        (errors.ModelMissing("d"), "NotReady"),
        (errors.NoMicrophone("e"), "NoMicrophone"),
        (errors.TextTimeout("f"), "Timeout"),
        (errors.RecognitionFailed("a name with \udcff and \0"), "Failed"),
    ],
)
async def test_every_error_has_its_name_and_message(
    running: RunningService,
    client: BusClient,
    caplog: pytest.LogCaptureFixture,
    member: str,
    fault: errors.ColdvoxError,
    name: str,
) -> None:
    await client.call("StartDictation")
    running.control.fault = fault
    with pytest.raises(BusError) as raised:
        await client.call(member)
    assert raised.value.name == f"org.coldvox.Error.{name}"
    assert raised.value.message == str(fault).replace("\udcff", "?").replace("\0", "")
    assert caplog.records == []


async def test_a_fault_of_the_daemon_is_failed_and_logged(
    running: RunningService, client: BusClient, caplog: pytest.LogCaptureFixture
) -> None:
    running.control.fault = ZeroDivisionError("inside")
    for member in ("StartDictation", "StopDictation"):
        with caplog.at_level(logging.ERROR), pytest.raises(BusError) as raised:
            await client.call(member)
        assert raised.value.name == "org.coldvox.Error.Failed"
        assert "ZeroDivisionError" in raised.value.message
        assert "Traceback" not in raised.value.message
        assert [record.message for record in caplog.records] == [f"{member} failed"]
        assert caplog.records[0].exc_info is not None
        caplog.clear()
    running.control.fault = None
    assert await client.call("StartDictation") == 1


async def test_interleaved_callers_are_told_apart(running: RunningService) -> None:
    clients = [running.client() for _ in range(8)]
    for client in clients:
        await client.__aenter__()
    for _ in range(3):
        calls = [
            client.call("StartDictationWithOptions", "a{sv}", {"bind-to-caller": Variant("b", True)})
            for client in clients
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        winners = [client for client, answer in zip(clients, answers, strict=True) if isinstance(answer, int)]
        assert [running.control.owner] == [client.name for client in winners]
        await winners[0].call("CancelDictation")
    for client in clients:
        await client.leave()


async def test_speech_signals_and_the_reasons_of_an_end(running: RunningService, client: BusClient) -> None:
    for reason in StopReason:
        session = await client.call("StartDictation")
        async with client.expect_signal("SpeechEnded") as ended:
            running.announcer.speech_started(session)
            running.announcer.speech_ended(session)
        assert client.bodies("SpeechStarted")[-1] == ended.body == [session]
        async with client.expect_signal("DictationStopped") as stopped:
            running.control.finish(reason)
        assert stopped.body == [session, reason.value, ""]


async def test_a_stop_may_name_its_session(client: BusClient, stranger: BusClient) -> None:
    first = await client.call("StartDictation")
    await stranger.call("StopDictation")
    second = await stranger.call("StartDictation")
    for kind in "uixt":
        with pytest.raises(BusError, match=r"NotActive: Session \d+ is not active"):
            await client.call("StopDictationWithOptions", "a{sv}", {"session": Variant(kind, first)})
    assert await client.get(DICTATION, "Session") == second
    assert await stranger.call("StopDictationWithOptions", "a{sv}", {"session": Variant("i", second)}) == ""
    assert await client.call("StartDictation") == second + 1
    assert await stranger.call("StopDictationWithOptions", "a{sv}", {}) == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"session": Variant("u", 0)}, "greater than 0"),
        ({"session": Variant("x", -1)}, "greater than 0"),
        ({"session": Variant("s", "1")}, "whole number"),
        ({"sesion": Variant("u", 1)}, "no option 'sesion'"),
    ],
)
async def test_a_stop_with_wrong_options_stops_nothing(
    client: BusClient, options: dict[str, Variant], said: str
) -> None:
    session = await client.call("StartDictation")
    with pytest.raises(BusError, match=said) as raised:
        await client.call("StopDictationWithOptions", "a{sv}", options)
    assert raised.value.name == "org.coldvox.Error.InvalidOption"
    assert await client.get(DICTATION, "Session") == session
