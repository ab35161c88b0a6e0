"""Messages that an honest client does not send: unknown parts, damaged bodies, huge bodies, very long names."""

import os
import re
import struct
from pathlib import Path

import pytest

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.interface_xml import DICTATION
from coldvoxd.bus.library import Variant
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.values import Word
from tests.support.bus.private_bus import BROKER, BusClient, BusError, RunningService
from tests.support.bus.raw import NO_REPLY, SIGNAL, UNKNOWN_FIELD, RawClient, message, text, variants
from tests.support.eventually import eventually

HUGE = variants(1_000_000)
"""8 MB, which a decoder written in Python needs about 10 s for."""
LONG = "x" * 1000


async def test_a_call_with_an_unknown_header_field_is_served(running: RunningService, client: BusClient) -> None:
    async with RawClient(running.bus.address) as raw:
        await raw.send(message("Ping", serial=7, more=[UNKNOWN_FIELD]))
        await raw.received(struct.pack("<I", 7))
        await client.settle()
    assert await client.call("StartDictation") == 1


async def test_a_message_of_an_unknown_type_is_ignored(running: RunningService, client: BusClient) -> None:
    name = running.connection.unique_name
    async with RawClient(running.bus.address) as raw:
        await raw.send(message("Ping", kind=9, to=str(name)))
        await raw.send(message("Ping", serial=7))
        if running.bus.kind == BROKER:
            await raw.received(struct.pack("<I", 7))
    assert await client.call("StartDictation") == 1


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("s", struct.pack("<I", 2) + b"\xff\xfe\0"),
        ("s", struct.pack("<I", 1000) + b"short\0"),
        ("s", b"\1"),
        ("s", struct.pack("<I", 1 << 31)),
    ],
    ids=["no UTF-8", "longer than the message", "cut off", "2 GB"],
)
async def test_a_body_that_can_not_be_decoded_harms_its_sender_alone(
    running: RunningService, client: BusClient, signature: str, body: bytes
) -> None:
    async with RawClient(running.bus.address) as raw:
        await raw.send(
            message("SelectDevice", interface="org.coldvox.Microphone1", serial=7, signature=signature, body=body)
        )
        with pytest.raises((AssertionError, ConnectionError)):  # both buses disconnect its sender
            await raw.received(b"never")
    assert await client.call("StartDictation") == 1


async def test_a_listening_client_ignores_what_it_does_not_know(running: RunningService, stranger: BusClient) -> None:
    async with DaemonClient.connected(running.bus.address) as daemon, RawClient(running.bus.address) as raw:
        await daemon.subscribe()
        name = str(daemon._connection.unique_name)
        forged = message(
            "SpeechStarted",
            interface=DICTATION,
            to=name,
            kind=SIGNAL,
            signature="u",
            body=b"\1\0\0\0",
            more=[UNKNOWN_FIELD],
        )
        await raw.send(forged)
        await raw.send(message("Ping", to=name, serial=7, more=[UNKNOWN_FIELD]))
        await raw.received(struct.pack("<I", 7))
        await stranger.call("StartDictation")
        assert (await daemon.next_event()).name == "started"


async def test_a_huge_call_is_refused_while_others_are_served(running: RunningService, client: BusClient) -> None:
    huge = memoryview(message("SetProvider", interface="org.coldvox.Engine1", serial=7, signature="av", body=HUGE))
    async with RawClient(running.bus.address) as raw:
        sent = 0
        while sent < len(huge):
            sent += raw.send_some(huge[sent : sent + (1 << 20)])
            await client.settle()  # replied to after each part of it
        answer = await raw.received(b"bytes.")
    assert b"org.freedesktop.DBus.Error.LimitsExceeded" in answer
    assert b"The call is longer than 262144 bytes." in answer
    assert await client.call("StartDictation") == 1


@pytest.mark.parametrize(
    ("interface", "member", "signature"),
    [
        ("org.coldvox.Dictation1", "StartDictationWithOptions", "a{sv}"),
        ("org.coldvox.Microphone1", "SelectDevice", "s"),
        ("org.coldvox.Unknown1", "Unknown", "av"),
        ("org.freedesktop.DBus.Peer", "Ping", "av"),
    ],
)
async def test_whatever_method_a_huge_call_names(
    running: RunningService, client: BusClient, interface: str, member: str, signature: str
) -> None:
    body = {"s": text("x" * 300_000), "av": variants(40_000), "a{sv}": struct.pack("<II", 0, 0)}[signature]
    if signature == "a{sv}":
        entry = b"\1\0\0\0x\0\1b\0\0\0\0\1\0\0\0"
        body = struct.pack("<II", len(entry) * 20_000, 0) + entry * 20_000
    async with RawClient(running.bus.address) as raw:
        await raw.send(message(member, interface=interface, serial=7, signature=signature, body=body))
        assert b"LimitsExceeded" in await raw.received(b"bytes.")
    assert await client.call("StartDictation") == 1


async def test_a_huge_call_that_wants_no_answer_gets_none(running: RunningService) -> None:
    body = variants(100_000)
    async with RawClient(running.bus.address) as raw:
        await raw.send(message("Ping", serial=7, flags=NO_REPLY, signature="av", body=body))
        await raw.send(message("Ping", serial=8))
        assert b"LimitsExceeded" not in await raw.received(struct.pack("<I", 8))


async def test_the_descriptors_of_a_huge_call_are_closed(
    running: RunningService, client: BusClient, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()

    def ours() -> int:
        """Return the number of descriptors of the file in this process, which also runs the service."""
        links = (os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir())
        return sum(link == str(file) for link in links)

    call = message(
        "TranscribeFile",
        interface=DICTATION,
        serial=7,
        signature="hav",
        body=b"\0\0\0\0" + variants(100_000),
        descriptors=3,
    )
    with file.open() as opened:
        async with RawClient(running.bus.address) as raw:
            await raw.send_with(call, [opened.fileno()] * 3)
            await raw.received(b"bytes.")
        await client.settle()
        await eventually(lambda: ours() == 1, what="the closing of the descriptors")
    assert await client.call("StartDictation") == 1


async def test_a_call_of_just_under_the_limit_is_served(client: BusClient) -> None:
    with pytest.raises(BusError, match="There is no microphone"):
        await client.call("SelectDevice", "s", "x" * 255_000, interface="org.coldvox.Microphone1")


async def test_the_text_of_three_hours_arrives_whole(running: RunningService) -> None:
    words = tuple(Word(f"word{n}", n * 0.4, n * 0.4 + 0.3, 0.9) for n in range(27_000))  # 150 per minute
    whole = FileTranscript(" ".join(word.text for word in words), words, 10_800.0, 0.9)
    async with DaemonClient.connected(running.bus.address) as daemon:
        await daemon.subscribe(sessions=False)
        running.announcer.file_transcribed(1, whole, True, str(daemon._connection.unique_name))
        event = await daemon.next_event()
    assert event.fields["text"] == whole.text
    assert [(word["word"], word["start"]) for word in event.fields["words"]] == [(w.text, w.start_s) for w in words]


@pytest.mark.parametrize(
    ("interface", "member", "signature", "body"),
    [
        ("org.coldvox.Dictation1", "StartDictationWithOptions", "a{sv}", [{LONG: Variant("b", True)}]),
        ("org.freedesktop.DBus.Properties", "Get", "ss", [DICTATION, LONG]),
        ("org.freedesktop.DBus.Properties", "Get", "ss", [LONG, "State"]),
        ("org.freedesktop.DBus.Properties", "GetAll", "s", [LONG]),
        (f"a.{'x' * 250}", "y" * 255, "", []),
    ],
)
async def test_errors_repeat_no_more_than_200_characters_of_a_name(
    client: BusClient, interface: str, member: str, signature: str, body: list[object]
) -> None:
    with pytest.raises(BusError) as error:
        await client.call(member, signature, *body, interface=interface)
    longest = max(len(run.group()) for run in re.finditer(r"x+|y+", error.value.message))
    assert 190 <= longest <= 200
